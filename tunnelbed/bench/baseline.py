"""The baselines that `invoke up` is compared with: plain Compose with the same files, on the same networks.

Nodes that only sleep are what any tool on Docker pays for containers and networks. Nodes that are awake, with the
smallest loop that waits for the same checks, are what a person pays who does by hand all that `invoke up` promises.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tunnelbed.engines.docker import compose
from tunnelbed.engines.docker.engine import DockerEngine
from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed

WORDS = ("up", "--detach", "--no-build", "--pull", "never")


@contextlib.contextmanager
def ready(bed: Testbed, *, awake: bool = False) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Plain Compose's commands to bring a scenario up that is not up, and down; at the end nothing of it is left.

    Nodes sleep by default, or are `awake`. All that `invoke up` does before it calls Compose is done before: only
    Compose is timed.
    """
    engine = bed.engine
    if not isinstance(engine, DockerEngine):
        raise BadInput("--engine", "", engine.name, "docker", "plain Compose is the baseline")
    bed.state.mkdir(parents=True, exist_ok=True)
    try:
        plan = bed.plan(Options(), lambda _: None)
        files = list(engine.render(plan, engine.make_parents(plan, lambda _: None)))
        bed.make_keys()
        if not awake:
            files.append(_asleep(bed))
        rising = compose.command(bed.project, *WORDS, files=files)
        yield until_checks_pass(bed, rising) if awake else rising, compose.command(bed.project, "down", "-t", "0")
    finally:
        engine.stop(bed.project, bed.state)
        shutil.rmtree(bed.state, ignore_errors=True)
        with contextlib.suppress(OSError):
            bed.state.parent.rmdir()


def _asleep(bed: Testbed) -> Path:
    """A Compose file in which nodes do nothing."""
    sleep = {"entrypoint": ["sleep", "infinity"], "command": []}
    file = bed.state / "asleep.yaml"
    file.write_text(yaml.safe_dump({"services": dict.fromkeys(bed.scenario.nodes, sleep)}), encoding="utf-8")
    return file


def until_checks_pass(bed: Testbed, rising: Sequence[str]) -> Sequence[str]:
    """A shell's command line: Compose, then every node's own check at the same time, each again until it passes."""
    checks = [
        f"until docker exec {bed.project}-{node.name}-1 {shell.quoted(node.check)}; do :; done &"
        for node in bed.scenario.nodes.values()
        if node.check
    ]
    return ["sh", "-ec", "\n".join([shell.quoted(rising), *checks, "wait"])]
