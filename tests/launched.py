"""Python that runs features with a test's own hooks, in place of `environment.py`."""

from __future__ import annotations

from pathlib import Path

HOME = Path(__file__).parent.parent
LAUNCH = """
import sys
sys.path[:0] = [{home!r}]
from scripts import sentences

class Runner(sentences.SentenceRunner):
    def setup_paths(self):
        super().setup_paths()
        self.config.environment_file = {hooks!r}

sentences.SentenceRunner = Runner
sys.exit(sentences.main(sys.argv[1:]))
"""


def launch(hooks: Path) -> str:
    """The program, for `python -c`; its arguments are behave's."""
    return LAUNCH.format(home=str(HOME), hooks=str(hooks))
