"""The floor: `docker compose up` of the same stack on the same networks, with nodes that only sleep.

It is what any tool on Docker pays, and what ours is measured against.
"""

from __future__ import annotations

import contextlib
import shutil

import yaml

from tunnelbed.bench.stopwatch import timed
from tunnelbed.engines import compose
from tunnelbed.engines.docker import DockerEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed import Options, Testbed


def up(bed: Testbed) -> float:
    """Seconds plain Compose takes for a scenario that is not up; all of it is removed again."""
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
        words = ("up", "--detach", "--no-build", "--pull", "never")
        return timed(compose.command(bed.project, *words, files=[*files, asleep]))
    finally:
        engine.stop(bed.project, bed.state)
        shutil.rmtree(bed.state, ignore_errors=True)
        with contextlib.suppress(OSError):
            bed.state.parent.rmdir()
