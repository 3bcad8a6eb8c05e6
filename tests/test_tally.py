"""What the test command ends with: how many tests ran, and how many failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TALLY = Path(__file__).resolve().parent.parent / "scripts" / "tally.py"
SKIPPED = '<testsuite tests="1" skipped="1"><testcase status="skipped"><skipped/></testcase></testsuite>'
PASSED = '<testsuite tests="2" failures="0"><testcase/><testcase/></testsuite>'
FAILED = (
    '<testsuite tests="1" failures="1"><testcase classname="a.feature" name="A pong">'
    '<failure message="expected: a pong&#10;seen: none"/></testcase></testsuite>'
)
UNTESTED = (
    '<testsuite tests="1" skipped="1"><testcase classname="b.feature" name="B" status="untested"><skipped/></testcase>'
    "</testsuite>"
)


@pytest.mark.parametrize(
    ("suites", "code", "said"),
    [
        ((PASSED, SKIPPED), 0, "1 skipped\n2 passed, 0 failed\n"),
        ((PASSED, FAILED), 1, "failed: a.feature: A pong: expected: a pong seen: none\n2 passed, 1 failed\n"),
        ((PASSED, UNTESTED), 1, "failed: b.feature: B: it was not run\n2 passed, 1 failed\n"),
        ((SKIPPED,), 2, "1 skipped\n0 passed, 0 failed\n"),
        ((), 2, "0 passed, 0 failed\n"),
    ],
)
def test_what_could_not_begin_has_failed(tmp_path: Path, suites: tuple[str, ...], code: int, said: str) -> None:
    for number, suite in enumerate(suites):
        (tmp_path / f"{number}.xml").write_text(f"<testsuites>{suite}</testsuites>", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(TALLY), str(tmp_path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (code, said)
