"""Reports of runs for tests: one that a real run wrote, and small ones of as many sentences as a test needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
STATUSES = ("holds", "fails", "could not be judged", "not run")


def recorded() -> dict[str, Any]:
    """What a run of site-to-site wrote whose gateway S drops client A1: two sentences do not hold."""
    found: dict[str, Any] = json.loads((DATA / "report.json").read_text(encoding="utf-8"))
    return found


def run(**sentences: str) -> dict[str, Any]:
    """A run of the scenario `tiny` with one feature: each sentence by its text, and how it ended.

    In a text, `_` stands for a space, and what follows `__` only tells equal sentences apart.
    """
    found = [sentence(text.split("__")[0].replace("_", " "), status) for text, status in sentences.items()]
    return whole(bed("tiny", found))


def whole(*testbeds: Mapping[str, Any]) -> dict[str, Any]:
    """A run of these testbeds."""
    return {
        "version": 1,
        "tunnelbed": "0.1.0",
        "command": ["/home/someone/tunnelbed/.venv/bin/invoke", "verify", "--json", "report.json"],
        "commit": "0123456789012345678901234567890123456789",
        "began": "2026-11-29T05:00:00+00:00",
        "seconds": 4.5,
        "status": worst(testbed["status"] for testbed in testbeds),
        "testbeds": list(testbeds),
    }


def bed(name: str, sentences: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    """A testbed with one feature and one scenario."""
    status = worst(one["status"] for one in sentences)
    counts = Counter(one["status"] for one in sentences)
    scenario = {"scenario": "all", "line": 2, "tags": [], "status": status, "error": "", "sentences": sentences}
    return {
        "scenario": name,
        "instance": "",
        "status": status,
        "seconds": 4.0,
        "sentences": {one: counts[one] for one in STATUSES},
        "testbed": None,
        "error": "",
        "features": [
            {"feature": "Reach", "file": "features/reach.feature", "tags": [], "error": "", "scenarios": [scenario]}
        ],
        **more,
    }


def sentence(text: str, status: str = "holds", **more: object) -> dict[str, Any]:
    """A sentence that ended so."""
    empty = dict.fromkeys(("expected", "seen", "cause", "error"), "")
    return {
        "keyword": "Then",
        "text": text,
        "line": 3,
        "status": status,
        "seconds": 0.25,
        **empty,
        "evidence": [],
        **more,
    }


def worst(found: Any) -> str:  # noqa: ANN401 # any iterable of statuses, one that can be read once as well
    """The worst of them; what was not run is none."""
    return max((one for one in found if one != "not run"), key=STATUSES.index, default="could not be judged")
