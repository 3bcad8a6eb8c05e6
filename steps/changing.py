"""What a When changes, and what is said since; the testbed is as it was found when the scenario ends."""

from __future__ import annotations

from contextlib import AbstractContextManager

from behave.runner import Context

from tunnelbed.errors import BadInput
from tunnelbed.journal import Journal


def change(context: Context, what: AbstractContextManager[object]) -> None:
    """Make a change that the scenario's end undoes, and note the moment."""
    context.journal = Journal(context.bed)
    context.changes.make(what)


def journal(context: Context) -> Journal:
    """What is said since the last change or attack."""
    if not isinstance(context.journal, Journal):
        expected = "a change or an attack before this sentence"
        raise BadInput("Then", "", "nothing happened", expected, "add a When")
    return context.journal
