"""What users read has plain words: error messages, help, and the list of phrases (house style: the table of words).

A program does not tell, say, believe or hear: it logs, prints, accepts, receives.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.loader import FilesystemLoader

ROOT = Path(__file__).parent.parent
CODE = sorted(
    [*ROOT.glob("tunnelbed/**/*.py"), *ROOT.glob("steps/*.py"), *ROOT.glob("*.py"), *ROOT.glob("scripts/*.py")]
)
NOT_PLAIN = re.compile(
    r"\b(told|believes?|hears?|heard|(says?|said) so|leave \w+ away|left away|foot|feet|doors?|doorman"
    r"|strangers?|keeper|crew|somebody|nobody|whoever|mend|said nothing|no word|not a word)\b"
)
# What a failure of the library is made with, by the name of the function or class.
MADE = re.compile(
    r"\A(BadInput|bad|_bad|unmet|Unmet|_unmet|DeadlinePassed|MachineBusy|\w+(Failed|Error|Unavailable))\Z"
)


def texts(made: ast.AST) -> Iterator[str]:
    """The texts in an expression, those in the braces of an f-string aside: `{told}` is a name."""
    if isinstance(made, ast.FormattedValue):
        return
    if isinstance(made, ast.Constant) and isinstance(made.value, str):
        yield made.value
    for part in ast.iter_child_nodes(made):
        yield from texts(part)


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """The texts of the failures that a file makes, with their lines."""
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if MADE.match(name):
                yield from ((call.lineno, text) for argument in call.args for text in texts(argument))


def helps() -> Sequence[tuple[str, str]]:
    """The help of each task and of each of its options."""
    module, _ = FilesystemLoader(start=str(ROOT)).load("tasks")
    tasks = Collection.from_module(module).tasks
    every = [(name, str(task.__doc__)) for name, task in tasks.items()]
    return [
        *every,
        *((f"{name} --{option}", text) for name, task in tasks.items() for option, text in task.help.items()),
    ]


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(ROOT)))
def test_error_messages_have_plain_words(file: Path) -> None:
    assert [(line, text) for line, text in messages(file) if NOT_PLAIN.search(text)] == []


def test_there_are_messages_to_look_at() -> None:
    assert sum(1 for file in CODE for _ in messages(file)) > 500


def test_the_help_has_plain_words() -> None:
    found = helps()
    assert len(found) > 100
    assert [(where, text) for where, text in found if NOT_PLAIN.search(text)] == []


def test_the_list_of_phrases_has_plain_words() -> None:
    # The phrases themselves are in backquotes; a phrase that changes keeps its old form for one version.
    meanings = re.sub(r"`[^`]*`", "", (ROOT / "docs" / "phrases.md").read_text(encoding="utf-8"))
    assert NOT_PLAIN.findall(meanings) == []


@pytest.mark.parametrize("text", ["unless told otherwise", "no foot in it", "its log says so", "mend its quotes"])
def test_other_words_are_found(text: str) -> None:
    assert NOT_PLAIN.search(text)
