"""The registry of probes: every file of this folder."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tunnelbed.errors import BadInput
from tunnelbed.observe import probes
from tunnelbed.observe.probes.probe import Question, SpokenProbe

PORT = "{port}"
# What may stand for a kind in a sentence. One that no probe declares is answered with the list of those that do.
WORDS = r"[A-Z][A-Za-z0-9]+(?: port \d+)?"
AnyProbe = TypeVar("AnyProbe", bound=SpokenProbe)


def kinds() -> Sequence[type[SpokenProbe]]:
    """The kinds of probes that sentences can name, in the order of their files' names."""
    return _found(tuple(probes.__path__))


def questions() -> Sequence[type[Question]]:
    """Those of them that can be followed through firewalls."""
    return [kind for kind in kinds() if issubclass(kind, Question)]


def meant(words: str, among: Sequence[type[AnyProbe]]) -> tuple[type[AnyProbe], int]:
    """The kind that a sentence means, and the port, 0 for none: `TCP port 80`. Raises `BadInput`."""
    for kind in among:
        if match := re.fullmatch(pattern(kind.said), words):
            port = int(match["port"]) if PORT in kind.said else 0
            kind.of(port)  # refuses a port that cannot be
            return kind, port
    raise BadInput("kind of packet", "", words, listed(kind.said for kind in among), "correct the words")


def probe(words: str) -> SpokenProbe:
    """A new probe of the kind that a sentence means. Raises `BadInput`."""
    kind, port = meant(words, kinds())
    return kind.of(port)


def answerable(words: str) -> SpokenProbe:
    """Likewise, of a kind that a reachable node answers. Raises `BadInput`."""
    kind, port = meant(words, kinds())
    if not kind.answered:
        wanted = listed(one.said for one in kinds() if one.answered)
        raise BadInput("kind of packet", "", words, f"one that is answered: {wanted}", "correct the sentence")
    return kind.of(port)


def listed(patterns: Iterable[str]) -> str:
    """As an error names them: `ESP, ICMP, TCP port N or UDP port N`."""
    *first, last = sorted({said.replace(PORT, "N") for said in patterns})
    return f"{', '.join(first)} or {last}" if first else last


def pattern(said: str) -> str:
    """The regular expression of a kind's name, with the group `port` if it has one."""
    return re.escape(said).replace(re.escape(PORT), r"(?P<port>\d+)")


@functools.cache
def _found(folders: tuple[str, ...]) -> tuple[type[SpokenProbe], ...]:
    modules = [importlib.import_module(f"{probes.__name__}.{info.name}") for info in pkgutil.iter_modules(folders)]
    return tuple(
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, SpokenProbe) and "said" in vars(kind)
        if kind.__module__ == module.__name__
    )
