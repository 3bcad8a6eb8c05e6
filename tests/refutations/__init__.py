"""For each phrase, a way to make it untrue, and the words in which it must then fail.

The table is in the modules beside this one, one for each file of `steps/`. Each entry is said twice on a testbed: as
it is, where all of it must hold, and refuted, where it must fail in its own words. A verdict that cannot fail is no
verdict, and a failure says little where the sentence does not hold otherwise.

    untrue       a sentence about the network is said of one that is broken: it fails
    telling      a change is left out: the sentence that sees it fails
    impossible   a change cannot be made: that is an error, in one clear line
    undecided    nobody could have seen what is said not to happen: an error, too
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from tunnelbed.testbed.testbed import Testbed

# A change to a testbed that makes something untrue, for as long as the context lasts.
Break = Callable[[Testbed], AbstractContextManager[object]]
Words = str | Sequence[str]
FAILED, ERROR = "failed", "error"


def nothing(bed: Testbed) -> AbstractContextManager[object]:
    """Nothing is broken."""
    del bed
    return nullcontext()


@dataclass(frozen=True)
class Story:
    """Sentences said one after another, and what is broken before the one of that number."""

    sentences: tuple[str, ...]
    broken: Break = nothing
    at: int = 0


@dataclass(frozen=True)
class Refutation:
    """One sentence of a phrase, the story in which it holds, and the one whose last sentence must fail.

    `status` is behave's: failed, or error where a change cannot be made. `expected` and `seen` are what the failure
    says of itself; an error has its whole line in `seen`. `*` stands for any text.
    """

    sentence: str
    holds: Story
    fails: Story
    status: str
    expected: str
    seen: str
    scenario: str = "site-to-site"

    def complaint(self, status: str, words: str) -> str:
        """What is wrong with the way in which the sentence failed, or nothing."""
        if status != self.status:
            return f"ended as {status}, not as {self.status}: {words}"
        if self.status == ERROR:
            return "" if _fits(self.seen, words) else f"says {words!r}, not {self.seen!r}"
        told = dict(re.findall(r"^(expected|seen): +(.*)$", words, re.MULTILINE))
        for what, wanted in (("expected", self.expected), ("seen", self.seen)):
            if not _fits(wanted, told.get(what, "")):
                return f"{what}: {told.get(what, 'nothing')!r}, not {wanted!r}"
        return ""


def untrue(  # noqa: PLR0913 # a table names what it gives
    sentence: str,
    *,
    broken: Break = nothing,
    expected: str,
    seen: str,
    given: Words = (),
    when: Words = (),
    otherwise: Words | None = None,
    unbroken: Break = nothing,
    scenario: str = "site-to-site",
) -> Refutation:
    """A sentence that fails once something is broken after `given` and before `when`.

    What is said `otherwise` stands in place of `when` where the sentence must fail. Where it does not hold by itself,
    `unbroken` makes it hold.
    """
    before, then = _all(given), _all(when)
    instead = then if otherwise is None else _all(otherwise)
    return Refutation(
        sentence,
        Story((*before, *then, sentence), unbroken, len(before)),
        Story((*before, *instead, sentence), broken, len(before)),
        FAILED,
        expected,
        seen,
        scenario,
    )


def telling(
    act: str, *, then: Words, expected: str, seen: str, given: Words = (), scenario: str = "site-to-site"
) -> Refutation:
    """A change that the last sentence of `then` sees: where the change is left out, that sentence fails."""
    before, after = _all(given), _all(then)
    return Refutation(act, Story((*before, act, *after)), Story((*before, *after)), FAILED, expected, seen, scenario)


def impossible(
    act: str,
    *,
    says: str,
    broken: Break = nothing,
    given: Words = (),
    possible: Words | None = None,
    scenario: str = "site-to-site",
) -> Refutation:
    """A change that cannot be made once something is broken, or at all; then `possible` is like it, and can."""
    before = _all(given)
    can = (act,) if possible is None else _all(possible)
    return Refutation(
        act, Story((*before, *can)), Story((*before, act), broken, len(before)), ERROR, "", says, scenario
    )


def undecided(
    sentence: str,
    *,
    broken: Break = nothing,
    says: str,
    given: Words = (),
    when: Words = (),
    otherwise: Words | None = None,
) -> Refutation:
    """A sentence about what does not happen, where nobody could have seen it: an error, neither true nor false.

    Sentences as in `untrue`.
    """
    refuted = untrue(sentence, broken=broken, expected="", seen=says, given=given, when=when, otherwise=otherwise)
    return replace(refuted, status=ERROR)


def _all(words: Words) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _fits(wanted: str, found: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return re.fullmatch(pattern, found) is not None
