"""Count what JUnit files tell: `tally.py FOLDER` prints `N passed, N failed` of all below it, and what was skipped.

What behave could not even begin (`untested`: its testbed did not come up) it writes down as skipped; it has failed.
Exit code 0: tests ran and none failed. 1: one failed. 2: none ran, which proves nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


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
    if skipped:
        print(f"{skipped} skipped")
    print(f"{ran - skipped - broken} passed, {broken} failed")
    return 2 if ran == skipped else 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
