"""The files that scaffolds are made of: text in which `$word` stands for what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Template

FOLDER = Path(__file__).resolve().parent


def filled(template: str, said: Mapping[str, object]) -> str:
    """A template with its words filled in, ending in one line's end."""
    text = Template((FOLDER / template).read_text(encoding="utf-8")).substitute(said)
    return text.rstrip("\n") + "\n"


def each(numbers: Iterable[int], text: Callable[[int], str]) -> str:
    """What stands once for each number, one after another."""
    return "".join(map(text, numbers))
