"""The commands. `invoke --list` names the tasks, `invoke --help TASK` explains one.

A task's parameters are its options, with type, help and default; those of several tasks are in
`tunnelbed/testbed/options.py`. A task parses, calls and prints. A failure is one line (`scripts/declared_task.py`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from invoke.context import Context
from invoke.exceptions import Exit

from scripts.checkout import INVOKE, which
from scripts.declared_task import task
from tunnelbed.bench.benchmark import Benchmark
from tunnelbed.checks.tracing import Tracing
from tunnelbed.engines import Progress
from tunnelbed.engines.images import node_images
from tunnelbed.errors import ChecksFailed, TunnelbedError
from tunnelbed.mutation.mutating import Mutating
from tunnelbed.report import against, reports
from tunnelbed.report.drawing import formats
from tunnelbed.report.drawing.formats import Drawing
from tunnelbed.testbed import status_report, verification
from tunnelbed.testbed.capturing import Capturing
from tunnelbed.testbed.options import (
    Asked,
    Engine,
    Instance,
    NodeName,
    Option,
    Ports,
    Root,
    Scenario,
)
from tunnelbed.testbed.testbed import Testbed, find, kept_folder, open_testbed
from tunnelbed.topology import scaffold
from tunnelbed.topology.compose_file import load, named, names
from tunnelbed.topology.model import LAST_PORT

ROOT = Path(__file__).resolve().parent


@task
def up(_: Context, scenario: Scenario, asked: Asked, instance: Instance = "", path: Root = ROOT) -> None:
    """Bring a scenario up; return when its tunnels carry traffic. If it is up already, only check it.

    Exit code 1: the scenario is up and stays up, but a health check of its Compose file fails.
    """
    bed = open_testbed(load(scenario, path), path, asked.options.engine, instance)
    try:
        bed.up(asked.options, _progress())
    except ChecksFailed as failed:
        # Scapy takes half a second to import, which no other task should wait for.
        from tunnelbed.checks import failed_checks  # noqa: PLC0415

        print(status_report.table(bed.status()))
        print("\n".join(failed_checks.explained(bed, failed, which(bed, path))), file=sys.stderr)
        raise Exit(code=failed.code) from failed
    print(status_report.table(bed.status()))


@task
def down(_: Context, scenario: Scenario = "", instance: Instance = "", engine: Engine = "", path: Root = ROOT) -> None:
    """Take a scenario down and remove all of it; by default all testbeds of this checkout."""
    if scenario:
        # Whatever became of its files, what is kept of it is enough.
        read = named if kept_folder(path, scenario, instance).exists() else load
        beds: Sequence[Testbed] = [open_testbed(read(scenario, path), path, engine, instance)]
    else:
        beds = find(path, named)
    for bed in beds:
        print(f"{bed.name}: {status_report.removed(bed.down())}")
    if not beds:
        print("nothing is up")


@task
def status(
    _: Context,
    scenario: Scenario = "",
    instance: Instance = "",
    path: Root = ROOT,
    json: Annotated[bool, Option("print JSON instead of a table")] = False,
) -> None:
    """Show each node: role, addresses, state, tunnel; by default of all testbeds of this checkout that are up."""
    beds = [_testbed(scenario, instance, path)] if scenario else find(path)
    if json:
        print(status_report.as_json(beds))
    elif not beds:
        print("nothing is up")
    for bed in beds if not json else ():
        print(status_report.heading(bed))
        print(status_report.table(bed.status()))


@task
def exec(  # noqa: A001 # the verb people know
    context: Context, scenario: Scenario, node: NodeName, instance: Instance = "", path: Root = ROOT
) -> None:
    """Run a command on a node: `invoke exec --scenario ipv6 --node client-a1 -- ping -c 1 ::1`; by default a shell."""
    bed = _testbed(scenario, instance, path)
    # Invoke joins what follows `--` with spaces; the arguments are needed as they were typed.
    command = sys.argv[sys.argv.index("--") + 1 :] if context.remainder else ["sh"]
    if status := subprocess.call(bed.engine.terminal(bed.project, bed.scenario.node(node).name, command)):
        raise Exit(code=status)


@task
def logs(
    _: Context,
    scenario: Scenario,
    node: NodeName = "",
    follow: Annotated[bool, Option("continue to print new lines until Ctrl-C")] = False,
    instance: Instance = "",
    path: Root = ROOT,
) -> None:
    """Print the log of a node, by default the logs of all nodes; `--follow` continues with new lines of one node."""
    bed = _testbed(scenario, instance, path)
    if follow:
        subprocess.call(bed.engine.follow(bed.project, bed.scenario.node(node).name))
        return
    for name in [bed.scenario.node(node).name] if node else bed.scenario.nodes:
        for line in bed.engine.log(bed.project, name).splitlines():
            print(line if node else f"{name:12} {line}")


@task
def collect(
    _: Context,
    scenario: Scenario,
    node: NodeName = "",
    json: Annotated[str, Option("write all of it to this file as JSON (docs/collect.md), and print nothing")] = "",
    instance: Instance = "",
    path: Root = ROOT,
) -> None:
    """Print the state of each node: addresses, routes, firewall, SAs, log, no keys. `--node`: all of one node."""
    from tunnelbed.testbed import node_state  # noqa: PLC0415 # Scapy, as above

    bed = _testbed(scenario, instance, path)
    found = node_state.collect(bed, node)
    if json:
        node_state.write(Path(json), bed, found)
    else:
        print(node_state.text(found))


@task
def capture(_: Context, scenario: Scenario, asked: Capturing, instance: Instance = "", path: Root = ROOT) -> None:
    """Capture packets for Wireshark until Ctrl-C: of one node, of one network, or of all nodes (the default).

    `invoke capture --scenario ipv6 --network isp_link_a --output - | wireshark -k -i -` shows packets live.
    """
    from tunnelbed.testbed import capture as capturing  # noqa: PLC0415 # Scapy, as above

    bed, say = _testbed(scenario, instance, path), _progress()
    file = capturing.target(bed, asked, terminal=sys.stdout.isatty())
    done = capturing.capture(bed, asked, file or sys.stdout.fileno(), say)
    say(f"{done.frames} frames in {file or 'the pipe'}")
    if done.keys and file:
        folder = capturing.keys_beside(file)
        if unnamed := done.keys.write(folder):
            say(f"Wireshark does not support {', '.join(unnamed)}: not written")
        say(f"{done.keys} in {folder}; to decrypt the capture:")
        print(capturing.wireshark(folder, file))
    if done.lost:
        raise done.lost[0]


@task
def trace(_: Context, scenario: Scenario, asked: Tracing, instance: Instance = "", path: Root = ROOT) -> None:
    """Send one packet and print its path: where it was seen, in clear or encrypted, and what each firewall decided.

    `invoke trace --scenario site-to-site --from client-a1 --to server-s1 --tcp 8080`. Exit code 1: no answer.
    """
    # Scapy, as above.
    from tunnelbed.checks import packet_trace  # noqa: PLC0415
    from tunnelbed.observe import evidence_text  # noqa: PLC0415

    bed = _testbed(scenario, instance, path)
    found = packet_trace.trace(bed, packet_trace.asked(bed, asked.from_, asked.to, asked.kind, asked.size))
    print("\n".join(evidence_text.path(found)))
    if not found.answered:
        raise Exit(code=1)


@task
def describe(_: Context, scenario: Scenario, ports: Ports = (), instance: Instance = "", path: Root = ROOT) -> None:
    """Test every pair of nodes and print the result as a feature, to start from: `>features/NAME/described.feature`.

    Every sentence held once. Read them all: what you do not expect is either a mistake or worth a sentence.
    """
    from tunnelbed.checks import describe  # noqa: PLC0415 # Scapy, as above

    print(describe.describe(_testbed(scenario, instance, path), ports, _progress()), end="")


@task
def verify(
    _: Context,
    asked: Asked,
    chosen: verification.Chosen,
    reported: reports.Wanted,
    scenario: Scenario = "",
    instance: Instance = "",
    path: Root = ROOT,
) -> None:
    """Verify a scenario by its features, by default all. What is not up is brought up, and taken down after."""
    # What shows live lines takes a while to import, too.
    from scripts import side_by_side  # noqa: PLC0415

    chosen.refuse()
    scenes = [load(name, path) for name in ([scenario] if scenario else names(path))]
    settings = {**asked.settings, "instance": instance}
    wanted = verification.Asked(path, scenes, settings, chosen, reported=bool(reported))
    written = reports.Reports.prepared(reported, wanted)
    outcomes = side_by_side.run(wanted)
    changes = written.write(outcomes)
    print(f"\n{status_report.outcomes(outcomes)}")
    if changes:
        print(against.table(changes))
    if worst := reports.code(outcomes, changes):
        raise Exit(code=worst)


@task
def bench(_: Context, measured: Benchmark, path: Root = ROOT) -> None:
    """Measure scenarios, phase by phase, on each engine and against plain Compose; see `docs/benchmarks.md`.

    Writes FOLDER/bench.json, .md and .svg. `--drivers`: the throughput of network drivers. `--growth`: the cost of each
    further site. `--together`: all scenarios at the same time. Each of these writes files with its own name.
    """
    print(measured.run(path, INVOKE, _progress()))


@task
def lint(_: Context) -> None:
    """Check style and types, as CI does."""
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        if status := subprocess.call([sys.executable, "-m", *words], cwd=ROOT):
            raise Exit(code=status)


@task
def test(_: Context) -> None:
    """Run all that CI runs: set-up, style, types, unit tests, and all scenarios on an engine."""
    raise Exit(code=subprocess.call([str(ROOT / "scripts" / "test")]))


@task
def phrases(_: Context) -> None:
    """Print every phrase that a feature can use, and what it means."""
    raise Exit(code=subprocess.call([sys.executable, str(verification.LAUNCHER), "--phrases"]))


@task
def new(
    _: Context,
    name: Annotated[str, Option("the scenario's name: `mine`, `my-office2`")],
    auth: Annotated[
        str,
        Option("how the gateways authenticate: certificates (the default) or psk", choices=scaffold.AUTHENTICATIONS),
    ] = "certificates",
    sites: Annotated[
        int,
        Option(
            "the number of sites, 1 to 254, each with a tunnel to a central cloud; by default two sites with one tunnel"
        ),
    ] = 0,
    laptops: Annotated[
        int, Option("the number of laptops behind a NAT, 1 to 253, each with a virtual IP address from a gateway")
    ] = 0,
    path: Annotated[Path, Option("the folder to write it to; by default this checkout")] = ROOT,
) -> None:
    """Write a minimal scenario NAME to start from: `invoke new mine`, then `invoke verify --scenario mine`."""
    for written in scaffold.make(name, path.resolve(), auth, sites, laptops):
        print(f"wrote {written.relative_to(path.resolve())}")
    where = f" --path {path}" if path != ROOT else ""
    print(f"now: invoke up --scenario {name}{where}; invoke verify --scenario {name}{where}")


@task
def build(
    _: Context,
    platform: Annotated[
        str, Option("the platforms, separated by commas: `linux/arm64,linux/amd64`; by default this machine's")
    ] = "",
    push: Annotated[
        str,
        Option(
            "push the images to a registry: `--push registry.example/me` names them registry.example/me/node:VERSION"
        ),
    ] = "",
    output: Annotated[
        str,
        Option("write the images to OCI archives: `--output x.tar` writes x-node.tar and x-node-nested.tar"),
    ] = "",
    no_cache: Annotated[bool, Option("build without the cache, with the current versions of packages")] = False,
) -> None:
    """Build all images of the project, for one or several platforms; keep, push, or write them to files."""
    platforms = [name.strip() for name in platform.split(",") if name.strip()]
    for name in node_images.build(platforms, push, Path(output) if output else None, _progress(), fresh=no_cache):
        print(name)


@task
def scenarios(_: Context, path: Root = ROOT) -> None:
    """List all scenarios."""
    print("\n".join(names(path)))


@task
def draw(_: Context, scenario: Scenario, asked: Drawing, instance: Instance = "", path: Root = ROOT) -> None:
    """Draw a scenario's network and its tunnels: `invoke draw --scenario ipv6 >ipv6.svg`; up or down, if it is up."""
    print(formats.drawing(_testbed(scenario, instance, path), asked.format), end="")


@task
def show(
    _: Context,
    scenario: Scenario,
    instance: Instance = "",
    port: Annotated[int, Option("the port of 127.0.0.1; by default a free one", most=LAST_PORT)] = 0,
    path: Root = ROOT,
) -> None:
    """Show a testbed that is up on a page of this machine, until Ctrl-C: tunnels, packets, traces (docs/show.md)."""
    from tunnelbed.report.live import show as page  # noqa: PLC0415 # Scapy and a server, as above

    page.show(_testbed(scenario, instance, path), _testbed(scenario, instance, path), port, _progress())


@task
def mutate(_: Context, asked: Mutating, path: Root = ROOT) -> None:
    """Make small mistakes in a scenario, one at a time; do its features notice? Exit code 1: one was not noticed."""
    # behave and Scapy take a second to import, which no other task should wait for.
    from scripts import acceptance  # noqa: PLC0415
    from tunnelbed.mutation import campaign, summary  # noqa: PLC0415
    from tunnelbed.mutation.verdicts import KILLED, SURVIVED  # noqa: PLC0415

    outcomes = []
    for plan in asked.campaigns(path):
        if asked.list:
            print("\n".join(f"{mutant.name}\n    {mutant.sentence}" for mutant in campaign.chosen(plan)))
            continue
        outcomes.append(campaign.run(plan, acceptance.Features, acceptance.code(path), _progress()))
        if not outcomes[-1].of(KILLED, SURVIVED):
            raise TunnelbedError(f"{plan.scenario.name}: no mistake could be tried, so nothing is shown; see `--list`")
    for outcome in outcomes:
        print("\n".join(part(outcome) for part in (summary.table, summary.survivors, summary.score)))
    if asked.junit:
        summary.junit(outcomes, Path(asked.junit) / "mutation.xml")
    if any(outcome.of(SURVIVED) for outcome in outcomes):
        raise Exit(code=1)


def _testbed(name: str, instance: str, root: Path) -> Testbed:
    return open_testbed(load(name, root), root, instance=instance)


def _progress() -> Progress:
    """Prints each phase and when it began, on the error stream: standard output is for the answer."""
    began = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - began:5.1f} s] {text}", file=sys.stderr, flush=True)
