"""What may stand after an option in a command line: `python scripts/completion.py OPTION WORDS...`, a line each.

`scripts/completion.bash` asks. All is as the tasks declare it; exit 1: it is nothing that can be listed.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

import tasks  # noqa: E402 # from beside this folder, whatever folder somebody types in
from scripts.declared_task import arguments  # noqa: E402
from tunnelbed.errors import TunnelbedError  # noqa: E402
from tunnelbed.testbed.options import Declared  # noqa: E402


def candidates(flag: str, words: Sequence[str]) -> Collection[str] | None:
    """The values of an option of the task among these words; None where they are not few, or it has none."""
    options = next((found for found in map(_options, words) if found), {})
    declared = options.get(flag)
    if declared is None:
        return None
    if declared.option.offered:
        root = Path(_after("--path", words) or HOME)
        return declared.option.offered(root, _after("--scenario", words))
    return declared.option.choices or None


def _options(task: str) -> Mapping[str, Declared]:
    """The options of a task, by how they are typed; none where there is no such task."""
    body = getattr(getattr(tasks, task.replace("-", "_"), None), "body", None)
    return {option.flag: option for option in arguments(body.__wrapped__).values()} if body else {}


def _after(flag: str, words: Sequence[str]) -> str:
    """What somebody typed after an option, `=` between them or not."""
    said = [word for word in words if word != "="]
    return said[said.index(flag) + 1] if flag in said[:-1] else ""


def main(words: Sequence[str]) -> int:
    """Print the candidates; the exit code."""
    try:
        found = candidates(words[0], words[1:])
    except TunnelbedError:
        # A scenario that there is not, or that cannot be read, has no nodes to offer.
        found = ()
    if found is None:
        return 1
    print("\n".join(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
