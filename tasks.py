"""What a person can do. `invoke --list` names the tasks, `invoke --help TASK` explains one.

Parses, calls, prints; every decision is the library's. An expected failure is one line and exit code 2.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from tunnelbed import shell
from tunnelbed.bench import VMS
from tunnelbed.engines import Progress
from tunnelbed.engines.images import node_images
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.testbed import status_report, verification
from tunnelbed.testbed.testbed import Options, Testbed, find, image_words, open_testbed
from tunnelbed.topology import graphviz, scaffold
from tunnelbed.topology.compose_file import load, named, names
from tunnelbed.vpn.strongswan import config

ROOT = Path(__file__).resolve().parent
INVOKE = (sys.executable, "-m", "invoke", "--search-root", str(ROOT))
HELP = {
    "scenario": "which scenario: a name of `compose/NAME.yaml` (`invoke scenarios` lists them)",
    "instance": "which copy of it, where several are up side by side: letters and digits, e.g. `2`",
    "path": "the folder that holds compose/, configs/ and features/; this checkout unless told",
    "engine": "what runs the nodes: docker (the default), or qemu: a virtual machine each (`bench`: some, with commas)",
    "driver": "how Docker makes the networks: macvlan (the default), bridge, or ipvlan where no node passes packets on",
    "data-plane": "who does ESP: kernel, user (strongSwan in user space), or auto (the default): try the kernel first",
    "platform": "for this platform, e.g. linux/arm64 (`build`: several, with commas); this machine's own unless told",
    "push": "send the images to a registry: `--push registry.example/me` names them registry.example/me/node:VERSION",
    "output": (
        "a file, or `-` for a pipe (`build`: write the images to OCI archives: `--output x.tar` writes x-node.tar and "
        "x-node-nested.tar)"
    ),
    "from": "the node that asks: `client-a1`, or as in a sentence: `client A1`",
    "to": "the node that is asked, likewise, or any IP address",
    "on": "the kind of packet, as a sentence calls it: `TCP port 80`, `UDP port 53`; a ping by default",
    "tcp": "ask for a connection on this TCP port: short for `--on 'TCP port N'`",
    "udp": "send a UDP datagram to this port: short for `--on 'UDP port N'`",
    "ports": "TCP ports to try besides a ping, with commas: `22,8080`",
    "size": "make the packet so many bytes large, IP header included, and let nobody part it",
    "network": "only what crosses this network, each packet once",
    "seconds": "end by itself after so many seconds",
    "keys": "make the tunnels anew and keep their keys, so that Wireshark shows IKE and ESP in clear",
    "no-cache": "build anew, with the packages as they are today",
    "nested": "run the servers as containers inside their node, which is then privileged: it can harm this machine",
    "memory": "with qemu: megabytes of each node's machine, 192 unless told",
    "cpus": "with qemu: processors of each node's machine, 1 unless told",
    "image": "another image for a node or a role: `gateway=me/charon:dev`; repeat it for more (docs/your-daemon.md)",
    "json": "print JSON for a script instead of a table",
    "node": "the node's name, as in the stack",
    "follow": "go on printing until interrupted",
    "tags": "only features and scenarios with these tags, in behave's words: `@slow`, `not @slow`",
    "jobs": "how many testbeds are worked in at the same time (unless told: `verify` 1, `mutate` 3 a processor)",
    "junit": "write JUnit XML for a CI system below this folder",
    "stop": "stop at the first sentence that does not hold",
    "operator": "make only this sort of mistake; `invoke mutate --list` names them",
    "sample": "try so many of the mistakes, of every sort; all unless told",
    "list": "only list what would be tried",
    "equivalent": "try what equivalent.yaml says cannot be noticed, to prove it wrong",
    "fresh": "begin anew, where an interrupted run would be taken up again",
    "note": "keep what noticed which mistake in features/NAME/noticed.json, where later runs look first",
    "drivers": "measure the drivers of Docker's networks: throughput, latency, processor time, in clear and by tunnel",
    "together": "measure all scenarios, up at once and proven at once, against one after another",
    "runs": "how many times everything is measured, 3 unless told",
    "growth": "measure generated scenarios with so many sites instead: `2,8,32`",
    "builds": "how many of the runs make the engine's environment anew, from an empty cache, 1 unless told",
    "again": "measure nothing: make table and plot anew from FOLDER's JSON",
    "proofs": "how many of the runs go on to prove every sentence, 1 unless told",
    "prove": "the engines on which they do, docker or qemu, both unless told; emulated VMs take twenty minutes each",
    "vm": f"the VMs of engine qemu, each as MEGABYTESxPROCESSORS, with commas; {VMS} unless told",
    "folder": "where to write: reports/bench unless told",
    "name": "what the scenario is called: `mine`, `my-office2`",
    "auth": "how the gateways authenticate: certificates (the default) or psk",
    "sites": "so many sites, 1 to 254, around a cloud that all reach through tunnels; two joined directly unless told",
    "laptops": "so many laptops, 1 to 253, behind a NAT, to each of which a gateway lends an address (road warriors)",
    "verbose": "print each command as it is run, ready to be pasted",
}
LAST_PORT = 65535
# Options that may be given several times.
REPEATED = {"image"}


def task(*explained: str) -> Callable[[Callable[..., None]], Any]:
    """An Invoke task with `--verbose`, its options explained by `HELP`, its expected failures one line and a code."""

    def decorate(body: Callable[..., None]) -> Any:  # noqa: ANN401 # Invoke's Task is generic without need
        shape = inspect.signature(body)
        # Invoke itself would meet a word in a number's place with a traceback.
        numbers = [name for name, option in shape.parameters.items() if type(option.default) is int]

        @functools.wraps(body)
        def run(*arguments: Any, verbose: bool = False, **options: Any) -> None:  # noqa: ANN401 # what the task takes
            if verbose:
                logging.basicConfig(level=logging.INFO, format="+ %(message)s")
            # Who ends us otherwise than by Ctrl-C, such as a CI machine, leaves as little behind.
            shell.heed_sigterm()
            # Invoke takes what follows a task for its first argument, where that has no default.
            if "--help" in options.values():
                raise Exit(code=subprocess.call([*INVOKE, "--help", body.__name__]))
            try:
                body(*arguments, **options | {name: _number(name, options[name]) for name in numbers})
            except TunnelbedError as wrong:
                raise Exit(f"tunnelbed: {wrong}", code=2) from wrong
            except BrokenPipeError as closed:
                # Whoever read our output (`| head`) has enough of it; nor may Python try to write the rest at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise Exit(code=0) from closed
            except OSError as wrong:
                raise Exit(f"tunnelbed: {' '.join(str(wrong).split())}; mend that, then try again", 2) from wrong
            except KeyboardInterrupt as stopped:
                raise Exit("tunnelbed: interrupted; `invoke down` removes what is left, if anything", 130) from stopped

        shown = [
            option.replace(default=str(option.default)) if name in numbers else option
            for name, option in shape.parameters.items()
        ]
        extra = inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False)
        run.__signature__ = shape.replace(parameters=[*shown, extra])  # type: ignore[attr-defined]
        described = {name: HELP[name] for name in (*explained, "verbose")}
        return invoke_task(run, help=described, iterable=REPEATED & {*explained}, auto_shortflags=False)

    return decorate


@task(
    *("scenario", "instance", "path", "engine", "driver", "data-plane", "platform", "nested", "memory", "cpus"),
    "image",
)
def up(
    _: Context,
    scenario: str,
    instance: str = "",
    path: str = "",
    engine: str = "docker",
    driver: str = "",
    data_plane: str = "auto",
    platform: str = "",
    nested: bool = False,
    memory: int = 0,
    cpus: int = 0,
    image: Sequence[str] | None = None,
) -> None:
    """Bring a scenario up; returns when its tunnels carry traffic. Up already: only checks."""
    bed = _testbed(scenario, instance, path, engine)
    bed.up(Options(engine, driver, data_plane, platform, nested, memory, cpus, _images(image)), _progress())
    print(status_report.table(bed.status()))


@task("scenario", "instance", "path")
def down(_: Context, scenario: str = "", instance: str = "", path: str = "") -> None:
    """Take a scenario down and leave nothing behind; without one, all that this checkout has up."""
    kept = [
        bed
        for bed in find(_root(path), named)
        if not scenario or (scenario, instance) == (bed.scenario.name, bed.instance)
    ]
    beds = kept or _chosen(scenario, instance, path)
    for bed in beds:
        print(f"{bed.name}: {status_report.removed(bed.down())}")
    if not beds:
        print("nothing is up")


@task("scenario", "instance", "path", "json")
def status(_: Context, scenario: str = "", instance: str = "", path: str = "", json: bool = False) -> None:
    """Show each node: role, addresses, state, tunnel. Without a scenario: all that this checkout has up."""
    beds = _chosen(scenario, instance, path)
    if json:
        print(status_report.as_json(beds))
    elif not beds:
        print("nothing is up")
    for bed in beds if not json else ():
        print(status_report.heading(bed))
        print(status_report.table(bed.status()))


@task("scenario", "node", "instance", "path")
def exec(context: Context, scenario: str, node: str, instance: str = "", path: str = "") -> None:  # noqa: A001 # the verb people know
    """Run a command on a node: `invoke exec --scenario ipv6 --node client-a1 -- ping -c 1 ::1`; a shell unless told."""
    bed = _testbed(scenario, instance, path)
    # Invoke joins what follows `--` with spaces; the arguments are needed as they were typed.
    command = sys.argv[sys.argv.index("--") + 1 :] if context.remainder else ["sh"]
    status = subprocess.call(bed.engine.terminal(bed.project, bed.scenario.node(node).name, command))
    if status:
        raise Exit(code=status)


@task("scenario", "node", "follow", "instance", "path")
def logs(_: Context, scenario: str, node: str = "", follow: bool = False, instance: str = "", path: str = "") -> None:
    """Print what a node has said, or every node; `--follow` goes on printing one node's."""
    bed = _testbed(scenario, instance, path)
    if follow:
        subprocess.call(bed.engine.follow(bed.project, bed.scenario.node(node).name))
        return
    for name in [bed.scenario.node(node).name] if node else bed.scenario.nodes:
        for line in bed.engine.log(bed.project, name).splitlines():
            print(line if node else f"{name:12} {line}")


@task("scenario", "node", "network", "seconds", "keys", "output", "instance", "path")
def capture(
    _: Context,
    scenario: str,
    node: str = "",
    network: str = "",
    seconds: str = "",
    keys: bool = False,
    output: str = "",
    instance: str = "",
    path: str = "",
) -> None:
    """Write what nodes see to a file for Wireshark, until Ctrl-C; of one node or network, or all.

    `invoke capture --scenario ipv6 --network isp_link_a --output - | wireshark -k -i -` shows it as it happens.
    """
    # Scapy takes half a second to import, which no other task should wait for.
    from tunnelbed.testbed import capture as capturing  # noqa: PLC0415
    from tunnelbed.vpn.strongswan import keylog  # noqa: PLC0415

    bed = _testbed(scenario, instance, path)
    wanted = capturing.Wanted(node, network, _seconds(seconds), keys)
    file = bed.captures / f"{bed.name}-{time.strftime('%Y%m%d-%H%M%S')}.pcapng" if not output else Path(output)
    piped = output == "-"
    if piped and (keys or sys.stdout.isatty()):
        found = "--keys with it" if keys else "a terminal"
        raise BadInput("--output -", "", found, "a program that reads pcapng, and no --keys", "name a file instead")
    folder = file.with_suffix(".keys")
    if keys and folder.exists() and not folder.is_dir():
        raise BadInput(str(folder), "", "a file", "none, or a folder for the keys", "move it away")
    if not piped:
        file.parent.mkdir(parents=True, exist_ok=True)
    say = _progress()
    done = capturing.capture(bed, wanted, sys.stdout.fileno() if piped else file, say)
    say(f"{done.frames} frames in {'the pipe' if piped else file}")
    if keys:
        if unnamed := keylog.write(done.keys, folder):
            say(f"Wireshark has no name for {', '.join(unnamed)}: left out")
        say(f"{len(done.keys.ike)} keys of IKE and {len(done.keys.esp)} of ESP in {folder}; to read it in clear:")
        print(shell.quoted(["env", f"WIRESHARK_CONFIG_DIR={folder}", "wireshark", str(file)]))
    if done.lost:
        raise done.lost[0]


@task("scenario", "from", "to", "on", "tcp", "udp", "size", "instance", "path")
def trace(
    _: Context,
    scenario: str,
    from_: str,
    to: str,
    on: str = "",
    tcp: int = 0,
    udp: int = 0,
    size: int = 0,
    instance: str = "",
    path: str = "",
) -> None:
    """Send one packet and print its way: where it was seen, in clear or sealed, and what each firewall decided.

    `invoke trace --scenario site-to-site --from client-a1 --to server-s1 --tcp 8080`. Exit 1: it was not answered.
    """
    # Scapy, as above.
    from tunnelbed.checks import packet_trace as tracing  # noqa: PLC0415

    bed = _testbed(scenario, instance, path)
    short = [f"{name} port {port}" for name, port in (("TCP", tcp), ("UDP", udp)) if port]
    if len(asked := [*([on] if on else []), *short]) > 1:
        raise BadInput("trace", "", " and ".join(asked), "one of --on, --tcp and --udp", "trace one, then the other")
    found = tracing.trace(bed, tracing.asked(bed, from_, to, "".join(asked), size))
    print("\n".join(found.told))
    if not found.answered:
        raise Exit(code=1)


@task("scenario", "ports", "instance", "path")
def describe(_: Context, scenario: str, ports: str = "", instance: str = "", path: str = "") -> None:
    """Try every pair of nodes and print a feature of what holds, to begin from: `>features/NAME/described.feature`.

    Every sentence has been proven once. Read it aloud: what surprises you is a mistake, or worth a sentence.
    """
    # Scapy, as above.
    from tunnelbed.checks import describe  # noqa: PLC0415

    print(describe.describe(_testbed(scenario, instance, path), _ports(ports), _progress()), end="")


@task(
    *("scenario", "instance", "path", "engine", "driver", "data-plane", "nested", "memory", "cpus", "image"),
    *("tags", "jobs", "junit", "stop"),
)
def verify(
    _: Context,
    scenario: str = "",
    instance: str = "",
    path: str = "",
    engine: str = "",
    driver: str = "",
    data_plane: str = "",
    nested: bool = False,
    memory: int = 0,
    cpus: int = 0,
    image: Sequence[str] | None = None,
    tags: str = "",
    jobs: int = 1,
    junit: str = "",
    stop: bool = False,
) -> None:
    """Prove a scenario by its features, or all of them; what is not up is brought up, and taken down after."""
    root = _root(path)
    asked = verification.Asked(
        root,
        [load(name, root) for name in ([scenario] if scenario else names(root))],
        {
            "engine": engine,
            "driver": driver,
            "data_plane": data_plane,
            "nested": "yes" if nested else "",
            "memory": str(memory or ""),
            "cpus": str(cpus or ""),
            "image": _images(image),
            "instance": instance,
        },
        [tags] if tags else [],
        Path(junit) if junit else None,
        stop,
    )
    outcomes = verification.run(asked, jobs, _progress())
    print(status_report.outcomes(outcomes))
    if worst := max((outcome.code for outcome in outcomes), default=verification.COULD_NOT_RUN):
        raise Exit(code=worst)


@task(
    *("scenario", "path", "engine", "vm", "runs", "builds", "proofs", "prove"),
    *("drivers", "data-plane", "growth", "together", "folder", "again"),
)
def bench(
    _: Context,
    scenario: str = "",
    path: str = "",
    engine: str = "",
    vm: str = VMS,
    runs: int = 3,
    builds: int = 1,
    proofs: int = 1,
    prove: str = "",
    drivers: bool = False,
    data_plane: str = "auto",
    growth: str = "",
    together: bool = False,
    folder: str = "reports/bench",
    again: bool = False,
) -> None:
    """Measure scenarios, phase by phase, on each engine and against plain Compose; `docs/benchmarks.md` says how.

    Writes FOLDER/bench.json, .md and .svg. `--drivers`: what networks' drivers carry. `--growth`: what each further
    site costs. `--together`: what all scenarios at once take. Each of them writes files of its own name.
    """
    # What only one task needs, no other task waits for.
    from tunnelbed.bench import curves, phases, plot, subjects, table  # noqa: PLC0415
    from tunnelbed.bench import drivers as drivers_compared  # noqa: PLC0415
    from tunnelbed.bench import growth as sizes  # noqa: PLC0415
    from tunnelbed.bench import together as side_by_side  # noqa: PLC0415
    from tunnelbed.bench.measured import Results  # noqa: PLC0415

    root, say = _root(path), _progress()
    name = "drivers" if drivers else "growth" if growth else "together" if together else "bench"
    kept = Path(folder) / f"{name}.json"
    measuring: dict[str, Callable[[], Iterable[Results]]] = {
        "bench": lambda: phases.measure(
            phases.Asked(
                root,
                [scenario] if scenario else names(root),
                subjects.subjects(engine, vm),
                INVOKE,
                runs,
                builds,
                proofs,
                subjects.engines("--prove", prove),
            ),
            say,
        ),
        "drivers": lambda: drivers_compared.measure(runs, data_plane, say),
        "growth": lambda: sizes.measure(sizes.Asked(sizes.sites(growth), INVOKE, runs, proofs), say),
        "together": lambda: [side_by_side.measure(root, INVOKE, runs, say)],
    }
    # Kept after each step, so that an hour's work does not depend on the next one.
    for results in measuring[name]() if not again else ():
        results.save(kept)
    found = Results.load(kept)
    told = {"bench": table.markdown, "growth": curves.markdown}.get(name, table.compared)(found)
    kept.with_suffix(".md").write_text(told + "\n", encoding="utf-8")
    print(told)
    drawings = {"bench": plot.bench, "drivers": plot.drivers, "growth": curves.draw}
    if name in drawings:
        drawings[name](found, kept.with_suffix(".svg"))


@task()
def lint(_: Context) -> None:
    """Check style and types, as CI does."""
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        if status := subprocess.call([sys.executable, "-m", *words], cwd=ROOT):
            raise Exit(code=status)


@task()
def test(_: Context) -> None:
    """Run everything CI runs: set-up, style, types, unit tests, and every scenario live."""
    raise Exit(code=subprocess.call([str(ROOT / "scripts" / "test")]))


@task()
def phrases(_: Context) -> None:
    """Print every sentence a feature can say, and what it means."""
    raise Exit(code=subprocess.call([sys.executable, str(verification.LAUNCHER), "--phrases"]))


@task("name", "auth", "sites", "laptops", "path")
def new(_: Context, name: str, auth: str = "certificates", sites: int = 0, laptops: int = 0, path: str = "") -> None:
    """Write a smallest working scenario NAME to begin from: `invoke new mine`, then `invoke verify --scenario mine`."""
    root = Path(path).resolve() if path else ROOT
    for written in scaffold.make(name, root, auth, sites, laptops):
        print(f"wrote {written.relative_to(root)}")
    where = f" --path {path}" if path else ""
    print(f"now: invoke up --scenario {name}{where}; invoke verify --scenario {name}{where}")


@task("platform", "push", "output", "no-cache")
def build(_: Context, platform: str = "", push: str = "", output: str = "", no_cache: bool = False) -> None:
    """Build every image of the project, for one platform or many; leave them here, push them, or write them."""
    platforms = [name.strip() for name in platform.split(",") if name.strip()]
    archive = Path(output) if output else None
    for name in node_images.build(platforms, push, archive, _progress(), fresh=no_cache):
        print(name)


@task("path")
def scenarios(_: Context, path: str = "") -> None:
    """List the scenarios there are."""
    print("\n".join(names(_root(path))))


@task("scenario", "path")
def draw(_: Context, scenario: str, path: str = "") -> None:
    """Print a scenario's network for Graphviz: `invoke draw --scenario ipv6 | dot -Tsvg >ipv6.svg`."""
    print(graphviz.dot(load(scenario, _root(path)), config.peers), end="")


@task(
    *("scenario", "operator", "jobs", "sample", "junit", "list", "equivalent", "fresh", "note", "path", "engine"),
    "data-plane",
)
def mutate(
    _: Context,
    scenario: str = "",
    operator: str = "",
    jobs: int = 0,
    sample: int = 0,
    junit: str = "",
    list: bool = False,  # noqa: A002 # the word people type
    equivalent: bool = False,
    fresh: bool = False,
    note: bool = False,
    path: str = "",
    engine: str = "docker",
    data_plane: str = "auto",
) -> None:
    """Make small mistakes in a scenario, one at a time, and see whether its features notice. Exit 1: one survived."""
    # behave and Scapy take a second to import, which no other task should wait for.
    from scripts import acceptance  # noqa: PLC0415
    from tunnelbed.mutation import campaign, summary  # noqa: PLC0415
    from tunnelbed.mutation.verdicts import KILLED, SURVIVED  # noqa: PLC0415

    root = _root(path)
    outcomes = []
    for name in [scenario] if scenario else names(root):
        options = Options(engine=engine, data_plane=data_plane)
        plan = campaign.Campaign(load(name, root), root, options, operator, sample, jobs, equivalent, fresh, note)
        if list:
            print("\n".join(f"{mutant.name}\n    {mutant.sentence}" for mutant in campaign.chosen(plan)))
            continue
        outcomes.append(campaign.run(plan, acceptance.Features, acceptance.code(root), _progress()))
        if not outcomes[-1].of(KILLED, SURVIVED):
            raise TunnelbedError(f"{name}: no mistake could be tried, so that nothing is shown; see `--list`")
    for outcome in outcomes:
        print("\n".join(part(outcome) for part in (summary.table, summary.survivors, summary.score)))
    if junit:
        summary.junit(outcomes, Path(junit) / "mutation.xml")
    if any(outcome.of(SURVIVED) for outcome in outcomes):
        raise Exit(code=1)


def _testbed(name: str, instance: str, path: str, engine: str = "") -> Testbed:
    return open_testbed(load(name, _root(path)), _root(path), engine, instance)


def _chosen(name: str, instance: str, path: str) -> Sequence[Testbed]:
    """The testbed named, or all that something is kept of."""
    return [_testbed(name, instance, path)] if name else find(_root(path))


def _images(asked: Sequence[str] | None) -> str:
    return image_words(",".join(asked or ()))


def _root(path: str) -> Path:
    root = Path(path).resolve() if path else ROOT
    if not (root / "compose").is_dir():
        raise BadInput("--path", "", path, "a folder with compose/ in it", "see `invoke new`")
    return root


def _number(name: str, said: str) -> int:
    try:
        return int(said)
    except ValueError:
        raise BadInput(f"--{name}", "", repr(said), "a whole number", "correct it") from None


def _seconds(said: str) -> float:
    try:
        return float(said or 0)
    except ValueError:
        raise BadInput("--seconds", "", repr(said), "a number", "correct it") from None


def _ports(said: str) -> Sequence[int]:
    found = [word.strip() for word in said.split(",") if word.strip()]
    if wrong := next((word for word in found if not word.isdecimal() or not 0 < int(word) <= LAST_PORT), None):
        raise BadInput("--ports", "", repr(wrong), f"ports, 1 to {LAST_PORT}, with commas", "correct it")
    return [int(word) for word in found]


def _progress() -> Progress:
    """Says each phase and when it began, on the error stream: standard output is for the answer."""
    began = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - began:5.1f} s] {text}", file=sys.stderr, flush=True)
