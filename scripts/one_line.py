"""A sentence that could not be judged is reported in one line, where behave would print a traceback."""

from __future__ import annotations

from behave.formatter.base import Formatter
from behave.matchers import StepParseError
from behave.model import Step
from behave.runner import Context

from tunnelbed.errors import TunnelbedError


class OneLine(Formatter):  # type: ignore[misc] # behave ships no types
    """Prints nothing: whichever formatters and reporters come after it show the line that it puts into a step."""

    name = "one-line"
    description = "Expected errors as one line"

    def result(self, step: Step) -> None:
        """Put the error's own line in the place of its traceback."""
        wrong = step.exception
        # A word in a sentence is no such value, as found where behave reads the sentence.
        if isinstance(wrong, StepParseError):
            wrong = wrong.__cause__
        if isinstance(wrong, TunnelbedError):
            step.error_message = f"tunnelbed: {wrong}"


def put_first(context: Context) -> None:
    """Let it come before the formatters of a run, if it has any."""
    runner = context._runner  # noqa: SLF001 # a hook has no other way to it
    if runner.formatters:
        runner.formatters.insert(0, OneLine(runner.formatters[0].stream_opener, context.config))
