"""A network that others write: what its user would call right, how it is proven, and what this machine's kernel can."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parents[1]
SECONDS = 300.0
HOLDS = "passed"


@dataclass(frozen=True)
class Field:
    """A scenario of a folder, and what its user would call right.

    `sentences` are those of its features: `HOLDS`, or the words that a failure has after `seen:`, with `*` for any
    text; `causes` are words after `cause:`. A sentence that stands there twice is `...` and `... (again)`.
    `says` is a line of what is printed; without sentences, the scenario cannot be brought up, and it tells why.
    """

    folder: str
    scenario: str
    sentences: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, str] = field(default_factory=dict)
    says: str = ""

    @property
    def code(self) -> int:
        """How `invoke verify` ends."""
        if not self.sentences:
            return 2
        if any(wanted.startswith("error") for wanted in self.sentences.values()):
            return 2
        return 0 if all(wanted == HOLDS for wanted in self.sentences.values()) else 1


def verified(
    wanted: Field, folder: Path
) -> tuple[subprocess.CompletedProcess[str], Mapping[str, str], Mapping[str, str]]:
    """Prove a copy of a folder's scenario: how that ended, how each sentence did, and causes that were named.

    A sentence `passed`, or else has what was seen.
    """
    root = copied(wanted.folder, folder)
    done = does("verify", "--scenario", wanted.scenario, "--path", str(root), folder=folder)
    report = folder / "reports" / "verify" / f"{wanted.scenario}.json"
    features = json.loads(report.read_text(encoding="utf-8")) if wanted.sentences and report.exists() else []
    found: dict[str, str] = {}
    causes: dict[str, str] = {}
    for step in (step for feature in features for element in feature.get("elements", ()) for step in element["steps"]):
        name = step["name"] if found.get(step["name"], HOLDS) == HOLDS else f"{step['name']} (again)"
        found[name], causes[name] = _ended(step), _told(step, "cause")
    return done, found, causes


def copied(folder: str, place: Path) -> Path:
    """A copy of a folder here, below which state may be kept."""
    return shutil.copytree(HERE / folder, place / folder)


def does(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an Invoke task to its end; reports are left in that folder."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(HOME), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOME), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def kernel_does_esp() -> bool:
    """Whether this machine's kernel does ESP in transport mode: a gateway's own question, scripts/node/vpn."""
    ends = ("src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x100")
    algorithm = ("aead", "rfc4106(gcm(aes))", f"0x{'00' * 36}", "128")
    return kernel_does("xfrm", "state", "add", *ends, "mode", "transport", *algorithm)


def kernel_does(*words: str) -> bool:
    """Whether this machine's kernel does what `ip` asks for, tried in a network namespace of its own."""
    return subprocess.run(["unshare", "--net", "ip", *words], capture_output=True, check=False).returncode == 0


def _ended(step: Mapping[str, object]) -> str:
    result = step.get("result")
    if not isinstance(result, dict):
        return "not run"
    if result["status"] == "failed" and (seen := _told(step, "seen")):
        return seen
    text = _message(step)
    return str(result["status"]) + (f": {text}" if text else "")


def _told(step: Mapping[str, object], word: str) -> str:
    """The line of a failure that begins so."""
    found = re.search(rf"^\s*{word}: +(.*)$", _message(step), re.MULTILINE)
    return found[1] if found else ""


def _message(step: Mapping[str, object]) -> str:
    result = step.get("result")
    said = result.get("error_message", "") if isinstance(result, dict) else ""
    return "\n".join(said) if isinstance(said, list) else str(said)


def fit(found: str, wanted: str) -> str:
    """The words that were wanted, if they fit what was found; else those that were found."""
    return wanted if fits(found, wanted) else found


def fits(found: str, wanted: str) -> bool:
    """Whether a text is that one, where `*` is any text."""
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("*")), found, re.DOTALL) is not None
