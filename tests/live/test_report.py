"""`invoke verify --report`, `--json` and `--against` of a real run: the files, the lines and the exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.live.conftest import HOME, command

SCHEMA: dict[str, Any] = json.loads((HOME / "docs" / "json.schema.json").read_text(encoding="utf-8"))
FEATURE = """\
@scenario.mine @compared
Feature: what changes
  Scenario: across
    Then host A can reach host B through the tunnel
"""
RULE = ["insert", "rule", "inet", "filter", "forward", "ip", "daddr", "10.2.0.2", "drop"]


def verified(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of this feature alone."""
    line = command(root, "verify", "--scenario", "mine", "--tags", "@compared", *words)
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=root)


def on(root: Path, *words: str) -> str:
    """What gateway B prints."""
    line = command(root, "exec", "--scenario", "mine", "--node", "gateway-b", "--", *words)
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def test_a_sentence_that_got_worse_is_in_the_terminal_the_page_and_the_exit_code(mine: Path) -> None:
    feature = mine / "features" / "mine" / "compared.feature"
    feature.write_text(FEATURE, encoding="utf-8")
    assert verified(mine, "--json", "old.json", "--report", "old.html").returncode == 0
    assert "Everything holds" in (mine / "old.html").read_text(encoding="utf-8")

    (handle,) = [
        line.split()[-1] for line in on(mine, "nft", "--echo", "--handle", *RULE).splitlines() if "handle" in line
    ]
    try:
        worse = verified(mine, "--json", "new.json", "--report", "new.html", "--against", "old.json")
    finally:
        on(mine, "nft", *f"delete rule inet filter forward handle {handle}".split())
    assert worse.returncode == 1
    assert "  worse           holds -> fails: mine/compared.feature: across: host A can reach" in worse.stdout
    page = (mine / "new.html").read_text(encoding="utf-8")
    assert "Not everything holds" in page
    assert "rule, ends it here" in page
    # The capture is in the page, and node states are, of all nodes.
    assert "data:application/x-pcapng;base64," in page
    assert "State of all nodes at that moment" in page

    better = verified(mine, "--against", "new.json")
    assert better.returncode == 0
    assert "0 worse, 1 better, 0 new, 0 gone" in better.stdout
    for name in ("old.json", "new.json"):
        Draft202012Validator(SCHEMA).validate(json.loads((mine / name).read_text(encoding="utf-8")))
    feature.unlink()


def test_a_report_that_cannot_be_written_or_compared_is_one_line_and_nothing_is_run(mine: Path) -> None:
    (mine / "other.json").write_text('{"version": 1, "testbeds": []}', encoding="utf-8")
    for words, expected in (
        (("--report", "nowhere/report.html"), "--report: found "),
        (("--against", "nowhere.json"), "--against: found "),
        (("--against", "other.json"), "other.json: testbeds: found no scenario, expected a run of mine"),
    ):
        done = verified(mine, *words)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert expected in line
