"""A sentence that names what is not there fails at once, in one line that lists what there is, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from behave.matchers import Match
from behave.runner_util import load_step_modules
from behave.step_registry import registry

from tests.refutations.table import REFUTATIONS
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.faults.changes import Changes
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

ROOT = Path(__file__).parent.parent
# Types of steps/nouns.py, and a word that fits none of what a scenario has.
NOUNS = {"Node": "dragon", "Nodes": "dragon", "Links": "dragon_link"}


def said() -> Iterator[tuple[Match, str, str]]:
    """Each phrase as the table says it first, and each of its nouns with what stands for it."""
    load_step_modules([str(ROOT / "steps")])
    for phrase in (matcher for matchers in registry.steps.values() for matcher in matchers):
        # Where there is none, tests/test_phrases_can_fail.py says so.
        match = next((found for refuted in REFUTATIONS if (found := phrase.match(refuted.sentence))), None)
        for name, kind in re.findall(r"\{(\w+):(\w+)\}", phrase.pattern):
            if match and kind in NOUNS:
                yield match, name, NOUNS[kind]


def _called(part: Match | str) -> str:
    return part if isinstance(part, str) else str(part.func.__name__)


SENTENCES: Sequence[tuple[Match, str, str]] = tuple(said())


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return Bed(compose_file.load("site-to-site", ROOT), tmp_path_factory.mktemp("names"), FakeEngine())


@pytest.mark.parametrize(
    ("match", "slot", "word"), SENTENCES, ids=[f"{match.func.__name__}-{slot}" for match, slot, _ in SENTENCES]
)
def test_a_name_that_nobody_has_is_told(match: Match, slot: str, word: str, bed: Bed) -> None:
    context = SimpleNamespace(bed=bed, changes=Changes(bed), requests=[], ping=None)
    context.recording = context.conversation = context.journal = context.attack = None
    context.rekeying = context.answered = None
    arguments = {argument.name: argument.value for argument in match.arguments} | {slot: word}
    with pytest.raises(BadInput, match=f"^site-to-site: found '{word}', expected .*; name "):
        match.func(context, **arguments)
