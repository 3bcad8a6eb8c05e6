"""Count what JUnit files tell: `tally.py FOLDER` prints `N passed, N failed` of all below it, and what was skipped.

Before that, a line for each that failed, since a CI system may show no more than the end. What behave could not even
begin (`untested`: its testbed did not come up) it writes down as skipped; it has failed.
Exit code 0: tests ran and none failed. 1: one failed. 2: none ran, which proves nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

# Characters of a failure's message.
LONGEST = 300


def main() -> int:
    """Count the files in the folder that the one argument names."""
    folder = Path(sys.argv[1])
    reports = [ET.parse(path) for path in folder.rglob("*.xml")]  # noqa: S314 # written by our own tools just now
    suites = [suite for report in reports for suite in report.iter("testsuite")]
    ran, skipped, broken = (
        sum(int(suite.get(name, "0")) for suite in suites for name in names)
        for names in (["tests"], ["skipped"], ["failures", "errors"])
    )
    untested = sum(case.get("status") == "untested" for report in reports for case in report.iter("testcase"))
    skipped, broken = skipped - untested, broken + untested
    for report in reports:
        for case in report.iter("testcase"):
            if wrong := _wrong(case):
                print(f"failed: {case.get('classname', '')}: {case.get('name', '')}: {wrong}")
    if skipped:
        print(f"{skipped} skipped")
    print(f"{ran - skipped - broken} passed, {broken} failed")
    return 2 if ran == skipped else 1 if broken else 0


def _wrong(case: ET.Element) -> str:
    """Why a test failed, in a line; empty if it did not."""
    if case.get("status") == "untested":
        return "it was not run"
    found = next((part for part in case if part.tag in ("failure", "error")), None)
    if found is None:
        return ""
    said = found.get("message") or found.text or "no message"
    return " ".join(said.split())[:LONGEST]


if __name__ == "__main__":
    sys.exit(main())
