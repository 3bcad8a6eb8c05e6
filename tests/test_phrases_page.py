"""docs/phrases.md is made from the steps, and must be as new as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_phrases_is_as_new_as_the_steps() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/sentences.py", "--phrases"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs" / "phrases.md").read_text(encoding="utf-8") == made.stdout, (
        "run `invoke phrases > docs/phrases.md`"
    )
