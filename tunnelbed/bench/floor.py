"""The floor: `docker compose up` of the same stack on the same networks, with nodes that only sleep.

It is what any tool on Docker pays, and what ours is measured against.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence

import yaml

from tunnelbed.engines import compose
from tunnelbed.engines.docker import DockerEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed import Options, Testbed

WORDS = ("up", "--detach", "--no-build", "--pull", "never")


@contextlib.contextmanager
def ready(bed: Testbed) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Plain Compose's commands to bring a scenario up that is not up, and down; at the end nothing of it is left.

    All that ours does before Compose is called has been done, so that Compose alone is timed.
    """
    engine = bed.engine
    if not isinstance(engine, DockerEngine):
        raise BadInput("--engine", "", engine.name, "docker", "plain Compose is the floor that is measured against")
    bed.state.mkdir(parents=True, exist_ok=True)
    try:
        plan = bed.plan(Options(), lambda _: None)
        files = list(engine.render(plan, engine.make_parents(plan, lambda _: None)))
        sleep = {"entrypoint": ["sleep", "infinity"], "command": []}
        asleep = bed.state / "asleep.yaml"
        asleep.write_text(yaml.safe_dump({"services": dict.fromkeys(bed.scenario.nodes, sleep)}), encoding="utf-8")
        if plan.keys:
            for node in bed.scenario.nodes:
                (plan.keys / node).mkdir(parents=True, exist_ok=True)
        rising = compose.command(bed.project, *WORDS, files=[*files, asleep])
        yield rising, compose.command(bed.project, "down", "-t", "0")
    finally:
        engine.stop(bed.project, bed.state)
        shutil.rmtree(bed.state, ignore_errors=True)
        with contextlib.suppress(OSError):
            bed.state.parent.rmdir()
