"""Networks that others write: for each, which sentences hold, which fail, and in which words.

Each folder here is a checkout of its own: compose/, configs/ and features/ of small scenarios after public bug reports
and Compose files. A test copies one, so that what is kept of it goes with the test, and proves it by `invoke verify`.
"""

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

import pytest

HERE = Path(__file__).parent
HOME = HERE.parents[1]
SECONDS = 300.0
HOLDS = "passed"


@dataclass(frozen=True)
class Field:
    """A scenario of a folder, and what its user would call right.

    `sentences` are those of its features: `HOLDS`, or the words that a failure has after `seen:`, with `*` for any
    text. Without sentences, the scenario cannot be brought up, and `says` is the one line that tells why.
    """

    folder: str
    scenario: str
    sentences: Mapping[str, str] = field(default_factory=dict)
    says: str = ""

    @property
    def code(self) -> int:
        """How `invoke verify` ends."""
        if not self.sentences:
            return 2
        return 0 if all(wanted == HOLDS for wanted in self.sentences.values()) else 1


FIELDS = (
    Field(
        "dual_stack",
        "branch",
        {
            "desk A can reach desk B through the tunnel by IPv4": HOLDS,
            "desk A can reach desk B outside the tunnel by IPv6": HOLDS,
            "desk A can reach desk B through the tunnel": "readable on uplink by IPv6: *ICMPv6*",
            "desk A can reach desk B through the tunnel by IPv6": "readable on uplink by IPv6: *ICMPv6*",
        },
    ),
    Field(
        "leased_line",
        "depots",
        {
            # The leased line and the second uplink are idle meanwhile.
            "meter A can reach till B through the tunnel": HOLDS,
            "till A can reach till B outside the tunnel": HOLDS,
            "till A can reach till B through the tunnel": "readable on leased: *172.22.1.5 > 172.22.2.5*",
            "till A pings till B": HOLDS,
            "no private address is seen beyond a gateway": "*west*out leased*172.22.1.5 > 172.22.2.5*",
            "meter A pings till B": HOLDS,
            "only IKE and ESP cross uplink": HOLDS,
            "nothing crosses backup": HOLDS,
        },
    ),
    Field(
        "null_cipher",
        "plainly",
        {
            "bench A can reach bench B": HOLDS,
            "west has a tunnel with east": HOLDS,
            "bench A can reach bench B through the tunnel": "readable on uplink, inside what claims to be sealed: *",
            "bench A can reach bench B on TCP port 8080 through the tunnel": (
                "readable on uplink, inside what claims to be sealed: *"
            ),
            "bench A pings bench B": HOLDS,
            "no private address is seen beyond a gateway": "*west*out uplink*198.51.100.1 > 198.51.100.2*",
        },
    ),
    Field(
        "no_labels",
        "bare",
        {
            "ann can reach bob through the tunnel": HOLDS,
            "west can reach bob through the tunnel": HOLDS,
            "bob can reach 172.24.1.1 through the tunnel": HOLDS,
            "west cannot reach bob": "it arrived: *bob*in*right*172.24.1.1 > 172.24.2.5*",
            "ann can reach amy outside the tunnel": HOLDS,
            "ann can reach amy through the tunnel": "readable on left: *",
            "west can reach 198.51.100.2 through the tunnel": "readable on wan: *",
        },
    ),
    Field(
        "two_interfaces",
        "desk",
        {
            "box can reach screen": HOLDS,
            "box reaches screen and is seen there as 172.25.6.13": HOLDS,
            "box can reach printer": HOLDS,
            "box cannot reach screen": "it arrived: *172.25.6.13 > 172.25.7.2*",
            "box cannot reach 172.25.7.99": HOLDS,
            "box can reach 172.25.7.99": "no answer; the probe was last seen entering core by floor",
        },
    ),
    Field(
        "roaming",
        "tour",
        {
            "every tablet can reach the store through the tunnel": HOLDS,
            "the store can reach tablet 2 through the tunnel": HOLDS,
            "tablet 1 can reach tablet 2 through the tunnel": HOLDS,
            "tablet 2 reaches tablet 1 and is seen there as tablet 2": HOLDS,
            "tablet 1 cannot reach tablet 2": "it arrived: *tablet-2*ICMP*",
            "every tablet has addresses only of the IP versions its stack gives": "IPv6, too",
            "tablet 1 pings the store": HOLDS,
            "only IKE and ESP cross uplink": HOLDS,
        },
    ),
    Field(
        "same_addresses",
        "twins",
        {
            "desk A can reach 172.31.2.2 through the tunnel": HOLDS,
            "desk B can reach 172.31.1.2 through the tunnel": HOLDS,
            "desk A reaches 172.31.2.2 and is seen there as 172.31.1.2": HOLDS,
            "desk A reaches 172.31.2.2 and is seen there as 172.26.0.2": "it came from 172.31.1.2",
            "desk A cannot reach 172.31.2.2": "it arrived: *desk-b*in*lan_b*172.31.1.2 > 172.26.0.2*",
        },
    ),
    Field(
        "any_compose",
        "bench",
        {
            "the PLC_7 can reach Core.Router": HOLDS,
            "every dns can reach PLC 7": HOLDS,
            "Core.Router has interfaces only in production_floor_south and default": HOLDS,
            "PLC_7 has interfaces only in production_floor_south and dev": HOLDS,
            "no two nodes have the same address": HOLDS,
        },
    ),
    Field(
        "two_children",
        "annex",
        {
            "host A can reach host B through the tunnel": HOLDS,
            "host A pings printer B": HOLDS,
            "gateway A receives the notify NO_PROPOSAL_CHOSEN": HOLDS,
            "gateway A initiates a tunnel with gateway B": HOLDS,
            'the log of gateway A has "NO_PROPOSAL_CHOSEN"': HOLDS,
            "host A can reach printer B": "no answer; the probe was last seen *gateway-a*",
        },
    ),
    Field(
        "host_network",
        "shared",
        says="*shared.yaml:6: services.guest.network_mode: found 'host', expected networks*",
    ),
)


@pytest.mark.parametrize("wanted", FIELDS, ids=lambda wanted: f"{wanted.folder}-{wanted.scenario}")
def test_each_sentence_ends_as_it_should(wanted: Field, tmp_path: Path) -> None:
    done, found = verified(wanted, tmp_path)
    told = done.stdout + done.stderr
    assert {sentence: _fit(found.get(sentence, ""), words) for sentence, words in wanted.sentences.items()} == dict(
        wanted.sentences
    ), told
    assert found.keys() == wanted.sentences.keys(), told
    assert done.returncode == wanted.code, told
    if wanted.says:
        assert any(_fits(line, wanted.says) for line in told.splitlines()), told
    assert "Traceback" not in told


def verified(wanted: Field, folder: Path) -> tuple[subprocess.CompletedProcess[str], Mapping[str, str]]:
    """Prove a copy of a folder's scenario; how that ended, and how each sentence did: `passed`, or what was seen."""
    root = folder / wanted.folder
    shutil.copytree(HERE / wanted.folder, root)
    command = [sys.executable, "-m", "invoke", "--search-root", str(HOME), "verify", "--scenario", wanted.scenario]
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    done = subprocess.run(
        [*command, "--path", str(root)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    report = folder / "reports" / "verify" / f"{wanted.scenario}.json"
    features = json.loads(report.read_text(encoding="utf-8")) if wanted.sentences and report.exists() else []
    steps = (step for feature in features for element in feature.get("elements", ()) for step in element["steps"])
    return done, {step["name"]: _ended(step) for step in steps}


def _ended(step: Mapping[str, object]) -> str:
    result = step.get("result")
    if not isinstance(result, dict):
        return "not run"
    said = result.get("error_message", "")
    text = "\n".join(said) if isinstance(said, list) else str(said)
    seen = re.search(r"^\s*seen: +(.*)$", text, re.MULTILINE)
    if result["status"] == "failed" and seen:
        return seen[1]
    return str(result["status"]) + (f": {text}" if text else "")


def _fit(found: str, wanted: str) -> str:
    """The words that were wanted, if they fit what was found; else those that were found."""
    return wanted if _fits(found, wanted) else found


def _fits(found: str, wanted: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("*")), found) is not None
