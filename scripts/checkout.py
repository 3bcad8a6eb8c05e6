"""This checkout as a command line names it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tunnelbed.testbed.testbed import Testbed

HOME = Path(__file__).resolve().parent.parent
INVOKE = (sys.executable, "-m", "invoke", "--search-root", str(HOME))


def which(bed: Testbed, root: Path) -> Sequence[str]:
    """The options that name a testbed of the folder `root` to any task."""
    words = {"--scenario": bed.scenario.name, "--instance": bed.instance, "--path": str(root) if root != HOME else ""}
    return [word for pair in words.items() if pair[1] for word in pair]
