"""A YAML file that a person wrote: read with a complaint for every value of the wrong shape, at its file and key."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tunnelbed.errors import BadInput


@dataclass(frozen=True)
class Section:
    """A mapping, and the way to it: `compose/x.yaml` and `services.router.networks`.

    A word that is absent, or says nothing, is read as an empty value; one of the wrong shape raises `BadInput`.
    """

    file: str
    key: str
    said: Mapping[Any, Any]
    # The whole file as it was written, to find a key's line in.
    root: yaml.Node | None = field(default=None, compare=False, repr=False)

    def section(self, word: str) -> Section:
        """The mapping that stands at a word."""
        value = self.said.get(word)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.bad(word, shown(value), "a mapping", f"write `{word}: {{...}}`")
        return Section(self.file, self._at(word), value, self.root)

    def sections(self) -> Iterator[tuple[str, Section]]:
        """Each word here with the mapping that stands at it."""
        for word in self.said:
            yield str(word), self.section(word)

    def items(self, word: str) -> tuple[Any, ...]:
        """The list that stands at a word."""
        value = self.said.get(word)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.bad(word, shown(value), "a list", f"write `{word}: [...]`")
        return tuple(value)

    def words(self, word: str) -> tuple[str, ...]:
        """A list of texts, or one text to be split as a shell would."""
        value = self.said.get(word)
        if not isinstance(value, str):
            return tuple(str(item) for item in self.items(word))
        try:
            return tuple(shlex.split(value))
        except ValueError as wrong:
            raise self.bad(word, shown(value), "a command", f"correct its quotes ({wrong})") from wrong

    def pairs(self, word: str) -> Mapping[str, str]:
        """A mapping of texts, which Compose also allows to be a list of NAME=VALUE."""
        if isinstance(self.said.get(word), list):
            return {name: value for name, _, value in (str(item).partition("=") for item in self.items(word))}
        return {str(name): "" if value is None else str(value) for name, value in self.section(word).said.items()}

    def refuse_others(self, *known: str) -> None:
        """Raise `BadInput` for a word that means nothing here: it would be ignored without a word about it."""
        for word in self.said:
            if word not in known and not str(word).startswith("x-"):
                raise self.bad(str(word), "an unknown key", f"one of: {', '.join(known)}", "correct or remove it")

    def bad(self, word: str, found: object, expected: str, advice: str) -> BadInput:
        """The complaint about a word of this section, or with "" about the section itself."""
        key = self._at(word)
        return BadInput(self.file, key, found, expected, advice, line_of(self.root, key))

    def _at(self, word: str) -> str:
        return ".".join(part for part in (self.key, str(word)) if part)


def read(path: Path, expected: str) -> Section:
    """The mapping that a file holds; `expected` says what that should be.

    Raises `BadInput` where the file cannot be read, is no YAML, or says a key twice.
    """
    file = shorten(path)
    loader = None
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        said = loader.construct_document(root) if root else None
    except (yaml.YAMLError, UnicodeDecodeError) as wrong:
        raise BadInput(file, "", _reason(wrong), expected, "correct that line") from wrong
    except OSError as wrong:
        raise BadInput(file, "", wrong.strerror, "a file that can be read", "see its path and permissions") from wrong
    finally:
        if loader:
            loader.dispose()
    if not isinstance(said, Mapping):
        raise BadInput(file, "", shown(said), expected, "write it")
    return Section(file, "", said, root)


def line_of(root: yaml.Node | None, key: str) -> int:
    """The line at which a key such as `services.router.image` stands in a file; 0 for one that is not written there."""
    if not key or not isinstance(root, yaml.MappingNode):
        return 0
    for word, value in root.value:
        text = str(word.value)
        # A key may contain dots itself.
        if key == text:
            return int(word.start_mark.line) + 1
        if key.startswith(f"{text}.") and (found := line_of(value, key[len(text) + 1 :])):
            return found
    return 0


def shorten(path: Path) -> str:
    """The path as a person would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def shown(value: object) -> str:
    """A value of a file as it may stand in a complaint."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 60


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is there twice, where YAML would silently keep the last."""

    def construct_document(self, node: yaml.Node) -> Any:  # noqa: ANN401 # as the parent has it
        """As the parent, after a look at every key as it was written: building merges `<<` into the nodes."""
        _refuse_twice(node, set())
        return super().construct_document(node)


def _as_written(loader: _Loader, node: yaml.Node) -> Any:  # noqa: ANN401 # as YAML has it
    """A value with one of Compose's own tags, which say how files are merged."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None


for _tag in ("!reset", "!override"):
    _Loader.add_constructor(_tag, _as_written)


def _refuse_twice(node: yaml.Node, passed: set[int]) -> None:
    if id(node) in passed:
        return
    passed.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    mark = key.start_mark
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} is there twice", mark)
                seen.add((key.tag, key.value))
            _refuse_twice(value, passed)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(item, passed)


def _reason(wrong: Exception) -> str:
    """The parser's error, in one line with the line's number."""
    if isinstance(wrong, yaml.MarkedYAMLError) and wrong.problem_mark:
        context = f"{wrong.context}, " if wrong.context else ""
        return f"{context}{wrong.problem} (line {wrong.problem_mark.line + 1})"
    return str(wrong)
