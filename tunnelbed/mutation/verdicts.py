"""What became of each mutant, kept while a run goes on so that it can be taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

KILLED, SURVIVED, INVALID, EQUIVALENT = "killed", "survived", "invalid", "equivalent"


@dataclass(frozen=True)
class Failure:
    """A sentence that did not hold: which, where it is, and what it reported.

    Not `said`: every sentence held, but what the unit had changed could not be undone, or it could not begin.
    """

    place: str
    sentence: str
    seen: str
    said: bool = True


@dataclass(frozen=True)
class Verdict:
    """A mutant's fate: killed by a failure, survived, invalid (the testbed does not take it) or equivalent.

    `why` is the sentence that failed, what the testbed complained of, or the reason given for its being equivalent;
    `place` the feature that noticed, `unit` the part of it that was run. `seconds` is what it cost.
    """

    mutant: str
    outcome: str
    why: str = ""
    place: str = ""
    seen: str = ""
    seconds: float = 0.0
    unit: str = ""

    @classmethod
    def killed(cls, mutant: str, failure: Failure, unit: str) -> Verdict:
        """What a failure makes of a mutant."""
        return cls(mutant, KILLED, failure.sentence, failure.place, failure.seen, unit=unit)


class Ledger:
    """A run's verdicts on disk, a line of JSON each, below a line with the hash of the files that they are about."""

    def __init__(self, path: Path, about: str) -> None:
        self.path, self.about = path, about
        self.verdicts: dict[str, Verdict] = {}
        # What noticed which mutant, also where that was another version of the files: where to look first.
        self.noticed: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            first, *lines = path.read_text(encoding="utf-8").splitlines()
            read = [Verdict(**json.loads(line)) for line in lines]
            self.noticed = {verdict.mutant: verdict.unit for verdict in read if verdict.unit}
            if json.loads(first)["about"] == about:
                self.verdicts = {verdict.mutant: verdict for verdict in read}

    def forget(self, mutants: Iterable[str]) -> None:
        """Drop what is known of these."""
        for name in mutants:
            self.verdicts.pop(name, None)

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Keep these too, on disk at once."""
        self.verdicts.update({verdict.mutant: verdict for verdict in verdicts})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [{"about": self.about}, *map(asdict, self.verdicts.values())]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(self.path)


def digest(files: Iterable[Path], more: Mapping[str, str]) -> str:
    """A hash over files and words: verdicts hold only for what they were reached with."""
    made = hashlib.sha256(json.dumps(more, sort_keys=True).encode())
    for path in sorted(files):
        made.update(f"\0{path}\0".encode() + path.read_bytes())
    return made.hexdigest()[:16]
