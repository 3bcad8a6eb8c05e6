"""The file that `invoke verify --json FILE` writes: the testbed, the result of each sentence, and the evidence.

The format is `docs/json.md`. Each behave writes a report of its own (`scripts/run_report.py`), which is put in here.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tunnelbed
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.host import shell
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.testbed.verification import COULD_NOT_RUN, FAILED, HOLDS, Outcome

# Of the format. Whoever reads it may rely on what docs/json.md says; what would break that counts one up.
VERSION = 1
# How a sentence, a scenario of a feature, or a whole run ended.
JUDGED = {HOLDS: "holds", FAILED: "fails", COULD_NOT_RUN: "could not be judged"}
NOT_RUN = "not run"


def whole(root: Path, began: datetime, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """All that docs/json.md says of a run that began then."""
    code = max((outcome.code for outcome in outcomes), default=COULD_NOT_RUN)
    return {
        "version": VERSION,
        "tunnelbed": tunnelbed.__version__,
        "command": sys.argv,
        "commit": commit(root),
        "began": began.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 3),
        "status": JUDGED[code],
        "testbeds": [_testbed(outcome) for outcome in outcomes],
    }


def text(report: Mapping[str, Any]) -> str:
    """A report as the file has it."""
    return json.dumps(report, indent=2) + "\n"


def write(path: Path, content: str, option: str) -> None:
    """Write the first content of a file that an option names; raises `BadInput` where it cannot be written."""
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as wrong:
        raise unwritable(path, wrong, option) from wrong


def unwritable(file: Path, wrong: OSError, option: str = "--json") -> BadInput:
    """The error for an option whose file cannot be written."""
    return BadInput(option, "", file, f"a file that can be written ({wrong.strerror})", "name another")


def _testbed(outcome: Outcome) -> Mapping[str, Any]:
    report = outcome.report or {"testbed": None, "features": [], "error": "behave wrote no report"}
    counts = Counter(sentence["status"] for sentence in sentences(report))
    return {
        "scenario": outcome.scenario,
        "instance": outcome.instance,
        "status": JUDGED[outcome.code],
        "seconds": round(outcome.seconds, 3),
        "sentences": {status: counts[status] for status in (*JUDGED.values(), NOT_RUN)},
        **report,
    }


def sentences(report: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every sentence in the report of one testbed."""
    for feature in report["features"]:
        for scenario in feature["scenarios"]:
            yield from scenario["sentences"]


def facts(bed: Testbed) -> Mapping[str, Any]:
    """What runs a testbed that is up: engine, kernel, options, drivers of networks, and what is on each node."""
    nodes: list[Mapping[str, str]] = []
    with contextlib.suppress(TunnelbedError):
        nodes = [
            {"node": one.node, "image": one.image, "data_plane": one.data_plane, "daemon": one.daemon}
            for one in bed.status()
        ]
    return {
        **bed.engine.describe(),
        "networks": dict(bed.engine.networks(bed.project)),
        "options": asdict(bed.options) if bed.options else {},
        "nodes": nodes,
    }


def commit(root: Path) -> str:
    """The commit of the folder of scenarios, with `-dirty` where files differ from it; empty outside git."""
    with contextlib.suppress(TunnelbedError, OSError):
        words = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return shell.run(["git", "-C", str(root), *words]).stdout.strip()
    return ""
