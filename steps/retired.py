"""Phrases that have a new form: the old one works for one version, with a note that has the new form."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

from behave import step
from behave.runner import Context

Phrase = Callable[..., None]
# Each old form is reported once a run.
_reported: set[str] = set()


def formerly(old: str) -> Callable[[Phrase], Phrase]:
    """Let an old form of a phrase, with the same slots, mean what the phrase means.

    Stands under `@step`: the new form is registered first.
    """

    def decorate(phrase: Phrase) -> Phrase:
        @functools.wraps(phrase)
        def retired(context: Context, **said: Any) -> None:  # noqa: ANN401 # whatever the slots give
            if old not in _reported:
                _reported.add(old)
                print(f"an old phrase: `{plain(old)}` is now `{plain(new(phrase))}`", file=sys.__stderr__, flush=True)
            phrase(context, **said)

        retired.__dict__["retired"] = True
        step(old)(retired)
        return phrase

    return decorate


def new(phrase: Phrase) -> str:
    """The pattern of a phrase as it is now."""
    # The one that runners use: behave's command leaves another one, which is empty, in `behave.step_registry`.
    from behave.runner import the_step_registry as registry  # noqa: PLC0415 # only an old phrase needs it

    return next(str(matcher.pattern) for matcher in registry.steps["step"] if matcher.func is phrase)


def plain(pattern: str) -> str:
    """A pattern without the types of its slots: `{node} receives the notify {notify}`."""
    return re.sub(r":\w+\}", "}", pattern)
