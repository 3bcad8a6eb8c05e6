"""What a When changes, and what is logged since; when the scenario ends, all changes are undone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from behave.runner import Context

from tunnelbed.checks.node_logs import Journal
from tunnelbed.errors import BadInput
from tunnelbed.faults.changes import Changes

T = TypeVar("T")


def change(context: Context, what: AbstractContextManager[object] = nullcontext()) -> None:  # noqa: B008 # holds nothing
    """Make a change that the scenario's end undoes, and note the moment."""
    changed(context, what)


def changed(context: Context, what: AbstractContextManager[T]) -> T:
    """Likewise; the result is the change's."""
    context.journal = Journal(context.bed)
    changes: Changes = context.changes
    return changes.make(what)


def note(context: Context) -> None:
    """Read logs from this moment on, where nothing was changed before it."""
    if not isinstance(context.journal, Journal):
        context.journal = Journal(context.bed)


def journal(context: Context) -> Journal:
    """What is logged since the last change or attack, or else since the first ping."""
    if not isinstance(context.journal, Journal):
        expected = "a change, an attack or a ping before this sentence"
        raise BadInput("Then", "", "nothing happened", expected, "add a When")
    return context.journal


def since(context: Context) -> float:
    """The moment of the last change or attack (of `Testbed.time`); now, where there was none."""
    return context.journal.at if isinstance(context.journal, Journal) else context.bed.time.now()
