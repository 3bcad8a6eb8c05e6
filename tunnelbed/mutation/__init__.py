"""Small realistic mistakes in a scenario's own files, one at a time: would its features notice?

A `Mutant` is a scenario with one mistake in it: the files it changes, whole, and a sentence that names the mistake. An
operator makes mutants of one sort out of any scenario's native files; adding one is one function in `operators/`:

    @operator("rule-removed")
    def rule_removed(files: Sources) -> Iterator[Mutant]: ...
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tunnelbed.topology.model import Scenario

Operator = Callable[["Sources"], Iterator["Mutant"]]


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    `place` is where it is made, in words that stay the same while the file around it changes: `gateway-a forward: ct
    state established accept`. `changes` holds the whole new text of each file, by its path below the scenario's root.
    """

    operator: str
    place: str
    sentence: str
    changes: Mapping[Path, str]

    @property
    def name(self) -> str:
        """What it is called in reports, in `equivalent.yaml` and at a resumed run."""
        return f"{self.operator}: {self.place}"


class Sources:
    """A scenario's files as they are, for operators to read."""

    def __init__(self, scene: Scenario) -> None:
        self.scenario = scene
        self.root = scene.stack.parent.parent
        self.stack = scene.stack.relative_to(self.root)
        self._read: dict[Path, str] = {}

    def file(self, node: str, name: str) -> Path:
        """Where a node's native file is or would be, below the root."""
        return (self.scenario.configs / node / name).relative_to(self.root)

    def text(self, path: Path) -> str:
        """A file's text; empty if it is absent."""
        if path not in self._read:
            there = self.root / path
            self._read[path] = there.read_text(encoding="utf-8") if there.is_file() else ""
        return self._read[path]

    def having(self, pattern: str) -> Iterator[tuple[str, Path, str]]:
        """Each native file of that name, or fitting that pattern: its node, its path and its text."""
        for node in self.scenario.nodes:
            for found in sorted((self.scenario.configs / node).glob(pattern)):
                path = found.relative_to(self.root)
                if text := self.text(path):
                    yield node, path, text

    def diff(self, mutant: Mutant) -> str:
        """What a mutant changes, as a unified diff."""
        lines: list[str] = []
        for path, text in mutant.changes.items():
            was, now = self._plainly(path, self.text(path)), self._plainly(path, text)
            lines += difflib.unified_diff(was, now, str(path), str(path), n=1, lineterm="")
        return "\n".join(lines)

    def _plainly(self, path: Path, text: str) -> Sequence[str]:
        """A file's lines; a stack's with its anchors spelt out, as a mutant's are."""
        return (spelt_out(yaml.safe_load(text)) if path == self.stack else text).splitlines()


class _NoAnchors(yaml.SafeDumper):
    """Writes every value out: a diff is to show what one service has."""

    def ignore_aliases(self, data: object) -> bool:
        """As PyYAML asks: never an alias."""
        del data
        return True


def spelt_out(document: object) -> str:
    """A YAML document as text, without anchors."""
    return yaml.dump(document, Dumper=_NoAnchors, sort_keys=False, width=120)
