"""swanctl.conf as strongSwan reads it: sections, settings and what it includes, each with its place in the text.

    read(folder / "swanctl.conf").settings("remote_addrs")

The syntax is strongswan.conf(5)'s, token by token as strongSwan's lexer has it (libstrongswan, settings_lexer.l).
`include` stands for the statements of the files it names. Whatever charon can be asked is not read here.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tunnelbed.errors import BadInput
from tunnelbed.topology import yaml_sections

# Where a node finds the folder of its swanctl.conf: its own, or one that the stack mounts there (scripts/node/vpn).
IN_A_NODE = (PurePosixPath("/etc/swanctl"), PurePosixPath("/etc/tunnelbed/node"))
DEEPEST = 10  # MAX_INCLUDE_LEVEL in strongSwan's parser_helper.c

_SPACE = re.compile(r"(?:[ \t\r]|#[^\n]*)*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INCLUDE = re.compile(r"include[\t ]+(?=[^=\s])")
# In a name, two colons are one that belongs to it; one alone begins what the section refers to.
_NAME = re.compile(r"(?:[^#{}:=\"\s]|::)+")
_REFERENCE = re.compile(r"(?:[^#{}:=,\"\s]|::)+")
_WORD = re.compile(r"[^#}\"\s]+")
_INLINE = re.compile(r"[ \t\r]*")
_PATTERN = re.compile(r'(?:\\["#} ]|[^"#}\s])+')
_ESCAPED = re.compile(r"\\(\r?\n|.)", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": "", "\r\n": ""}


@dataclass(frozen=True)
class Place:
    """Characters of a file, from `start` up to `end`."""

    file: Path
    start: int
    end: int


@dataclass(frozen=True)
class Setting:
    """One `key = value`, and the sections around it, outermost first.

    `place` is where the value stands, quotes included (empty where there is none), `whole` the key and the value.
    """

    sections: tuple[str, ...]
    key: str
    value: str
    place: Place
    whole: Place


@dataclass(frozen=True)
class Section:
    """One `name { ... }`: its name and those around it, and to which sections it refers (`name : other { ... }`).

    `place` is all of it, `body` what stands between its brackets.
    """

    path: tuple[str, ...]
    references: tuple[str, ...]
    place: Place
    body: Place

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path[-1]


@dataclass(frozen=True)
class Conf:
    """A swanctl.conf with all it includes, in the order in which strongSwan reads the statements.

    `unread` names what is included from where only the node itself can look.
    """

    statements: tuple[Setting | Section, ...]
    files: tuple[Path, ...]
    unread: tuple[str, ...] = ()

    def settings(self, *keys: str) -> Iterator[Setting]:
        """Every setting as it stands, or those with one of these keys; the same may stand several times."""
        return (found for found in self.statements if isinstance(found, Setting) and (not keys or found.key in keys))

    def sections(self, *path: str) -> Iterator[Section]:
        """Every section directly within `path`, as it stands: `sections("connections")`."""
        return (found for found in self.statements if isinstance(found, Section) and found.path[:-1] == path)

    def tree(self, name: str = "connections") -> Tree:
        """What holds in a section at the end: of what stands twice the later one, and what it refers to behind it."""
        root = _Merged()
        for found in self.statements:
            if isinstance(found, Section):
                root.at(found.path).references.extend(found.references)
            else:
                root.at(found.sections).values[found.key] = found.value
        return _resolved(root, [root.sections.get(name, _Merged())], frozenset())


@dataclass(frozen=True)
class Tree:
    """A section as it holds: its values by key, its sections by name."""

    values: Mapping[str, str]
    sections: Mapping[str, Tree]

    def everywhere(self, key: str) -> Iterator[str]:
        """The values of a key in this section and in all within it."""
        if key in self.values:
            yield self.values[key]
        for section in self.sections.values():
            yield from section.everywhere(key)


def read(path: Path) -> Conf:
    """Read a node's swanctl.conf; its folder is what the node has as /etc/swanctl.

    Raises `BadInput` with the file and line where strongSwan would refuse it.
    """
    reader = _Files(path.parent)
    reader.read(path, (), 0)
    return Conf(tuple(reader.statements), tuple(dict.fromkeys(reader.files)), tuple(reader.unread))


@dataclass
class _Merged:
    """A section while it is put together."""

    values: dict[str, str] = field(default_factory=dict)
    sections: dict[str, _Merged] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)

    def at(self, path: Sequence[str]) -> _Merged:
        here = self
        for name in path:
            here = here.sections.setdefault(name, _Merged())
        return here


def _resolved(root: _Merged, layers: Sequence[_Merged], followed: frozenset[str]) -> Tree:
    """One section of several: the first holds where they differ, and each brings what it refers to behind it."""
    found: list[_Merged] = []
    for layer in layers:
        followed = _follow(root, layer, followed, found)
    values = {key: value for layer in reversed(found) for key, value in layer.values.items()}
    names = dict.fromkeys(name for layer in found for name in layer.sections)
    sections = {
        name: _resolved(root, [layer.sections[name] for layer in found if name in layer.sections], followed)
        for name in names
    }
    return Tree(values, sections)


def _follow(root: _Merged, layer: _Merged, followed: frozenset[str], found: list[_Merged]) -> frozenset[str]:
    """Add a layer and what it refers to, each reference once on the way down: one may lead back to itself."""
    found.append(layer)
    for reference in layer.references:
        if reference not in followed:
            followed = _follow(root, root.at(reference.split(".")), followed | {reference}, found)
    return followed


class _Files:
    """Reads a file and what it includes, from the first statement to the last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.statements: list[Setting | Section] = []
        self.files: list[Path] = []
        self.unread: list[str] = []

    def read(self, path: Path, sections: tuple[str, ...], depth: int) -> None:
        """Read a file's statements, those of `sections` around its `include`."""
        self.files.append(path)
        _Text(self, path, depth).statements(sections, 0)

    def include(self, pattern: str, near: Path, sections: tuple[str, ...], depth: int) -> None:
        """Read the files that a pattern names; none is no mistake (glob(7))."""
        if pattern.startswith("/"):
            own = next((root for root in IN_A_NODE if PurePosixPath(pattern).is_relative_to(root)), None)
            if own is None:
                self.unread.append(pattern)
                return
            base, pattern = self.folder, str(PurePosixPath(pattern).relative_to(own))
        else:
            base = near.parent
        if depth < DEEPEST:
            for path in sorted(glob.glob(pattern, root_dir=base)):  # noqa: PTH207 # as glob(7), `*` hides dotfiles
                if (base / path).is_file():
                    self.read(base / path, sections, depth + 1)


class _Text:
    """Reads one file's text from left to right."""

    def __init__(self, files: _Files, path: Path, depth: int) -> None:
        self.files, self.path, self.depth = files, path, depth
        self.text = path.read_text(encoding="utf-8", errors="replace")

    def statements(self, sections: tuple[str, ...], at: int, opened: int | None = None) -> int:
        """Read until the section that was `opened` there is closed, or else the text ends; where that is."""
        while True:
            at = self._past(_BLANK, at)
            if at == len(self.text):
                if opened is not None:
                    raise self._bad(opened, f"no }} for {sections[-1]} {{", "one", "close the section")
                return at
            if self.text[at] == "}":
                if opened is None:
                    raise self._bad(at, "}", "an open section", "remove it, or open one")
                return at
            if found := _INCLUDE.match(self.text, at):
                at = self._include(found.end(), sections)
            elif found := _NAME.match(self.text, at):
                at = self._named(found, sections)
            else:
                raise self._bad(at, self.text[at : at + 20], "a name", "correct it, or write a value in quotes")

    def _named(self, name: re.Match[str], sections: tuple[str, ...]) -> int:
        """A setting or a section, after its name."""
        at = self._past(_SPACE, name.end())
        if self.text[at : at + 1] == "=":
            return self._setting(name, sections, at + 1)
        references = []
        if self.text[at : at + 1] == ":":
            at = self._past(_BLANK, at + 1)
            while found := _REFERENCE.match(self.text, at):
                references.append(found[0].replace("::", ":"))
                at = self._past(_BLANK, found.end())
                if self.text[at : at + 1] != ",":
                    break
                at = self._past(_BLANK, at + 1)
        at = self._past(_BLANK, at)
        if self.text[at : at + 1] != "{":
            raise self._bad(name.start(), name[0], f"`{name[0]} = value` or `{name[0]} {{`", "complete it")
        path = (*sections, name[0].replace("::", ":"))
        # Before what is in it, as it stands in the text.
        index = len(self.files.statements)
        end = self.statements(path, at + 1, name.start())
        whole, body = Place(self.path, name.start(), end + 1), Place(self.path, at + 1, end)
        self.files.statements.insert(index, Section(path, tuple(references), whole, body))
        return end + 1

    def _setting(self, name: re.Match[str], sections: tuple[str, ...], at: int) -> int:
        """A value: words and quoted texts up to the end of the line, the section, or a comment."""
        words: list[str] = []
        start, end = at, at
        while True:
            at = self._past(_INLINE, at)
            if self.text[at : at + 1] == '"':
                found = _QUOTED.match(self.text, at)
                if not found:
                    raise self._bad(at, "a quote that is not closed", 'a second "', "add it")
                words.append(_ESCAPED.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), found[0][1:-1]))
            else:
                found = _WORD.match(self.text, at)
                if not found:
                    break
                words.append(found[0])
            start, end = start if len(words) > 1 else found.start(), found.end()
            at = end
        key, value = name[0].replace("::", ":"), " ".join(words)
        whole = Place(self.path, name.start(), end)
        self.files.statements.append(Setting(sections, key, value, Place(self.path, start, end), whole))
        return end

    def _include(self, at: int, sections: tuple[str, ...]) -> int:
        """The files that an `include` names, after that word."""
        if found := _QUOTED.match(self.text, at):
            pattern = _ESCAPED.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), found[0][1:-1])
        else:
            found = _PATTERN.match(self.text, at)
            if not found:
                raise self._bad(at, "include", "`include FILE`", "name a file")
            pattern = re.sub(r'\\(["#} ])', r"\1", found[0])
        self.files.include(pattern, self.path, sections, self.depth)
        return found.end()

    def _past(self, skipped: re.Pattern[str], at: int) -> int:
        found = skipped.match(self.text, at)
        return found.end() if found else at

    def _bad(self, at: int, found: str, expected: str, advice: str) -> BadInput:
        line = self.text.count("\n", 0, at) + 1
        return BadInput(yaml_sections.shorten(self.path), f"line {line}", found, expected, advice)
