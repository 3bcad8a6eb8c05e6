"""How long sentences take to be judged: the first one, seen as it turns green, and all of them, by kind."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed import verification
from tunnelbed.topology.model import Scenario

POSITIVE = re.compile(r"(can reach|gets a pong from|and is seen there as)")
NEGATIVE = re.compile(r"(cannot reach|gets no pong|does not reach)")
# What behave's plain format says of a step that holds, as soon as it does.
GREEN = re.compile(r"\.\.\. passed in [\d.]+s")


def first_green(scene: Scenario, root: Path) -> float:
    """Seconds from typing the command until the first sentence holds, on a testbed that is up."""
    words = ["--no-color", "--format", "plain", "--show-timings", "-D", f"path={root}", first(scene)]
    began = time.monotonic()
    seconds = 0.0
    # To its end, although only the first sentence is timed: what is ended halfway undoes nothing.
    for line in shell.follow([sys.executable, str(verification.LAUNCHER), *words], env={"PYTHONUNBUFFERED": "1"}):
        if not seconds and GREEN.search(line):
            seconds = time.monotonic() - began
    return seconds


def first(scene: Scenario) -> str:
    """Where a scenario's first sentences about traffic stand, for behave: `features/ipv6/connectivity.feature:6`.

    They are those of the first scenario that begins with such a sentence and changes nothing before it.
    """
    for path in sorted(scene.features.rglob("*.feature")):
        lines = path.read_text(encoding="utf-8").splitlines()
        if f"@scenario.{scene.name}" not in " ".join(lines).split():
            continue
        for number, (line, step) in enumerate(pairwise(lines), start=1):
            if re.match(r"\s*(Scenario|Example):", line) and re.match(rf"\s*Then .*{POSITIVE.pattern}", step):
                return f"{path}:{number}"
    raise BadInput(
        str(scene.features), "", "no such scenario", "one that begins with `Then ... can reach`", "write one"
    )


def by_kind(report: Path) -> Sequence[tuple[str, float]]:
    """The time of each positive and negative expectation in behave's JSON report, in seconds."""
    found = []
    for feature in json.loads(report.read_text(encoding="utf-8")):
        for element in feature.get("elements", ()):
            for step in element["steps"]:
                if step.get("result", {}).get("status") != "passed":
                    continue
                seconds = step["result"]["duration"]
                if NEGATIVE.search(step["name"]):
                    found.append(("a negative expectation", seconds))
                elif POSITIVE.search(step["name"]):
                    found.append(("a positive expectation", seconds))
    return found
