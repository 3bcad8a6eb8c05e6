"""No phrase without a refutation: each has one written down; `pytest tests/phrases` shows that it fails like that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from behave.matchers import Matcher
from behave.runner_util import load_step_modules
from behave.step_registry import registry

from tests.refutations.table import REFUTATIONS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def phrases() -> Sequence[Matcher]:
    """Every phrase there is."""
    load_step_modules([str(ROOT / "steps")])
    every = [matcher for matchers in registry.steps.values() for matcher in matchers]
    return [matcher for matcher in every if not hasattr(matcher.func, "retired")]


def test_no_phrase_is_without_a_refutation(phrases: Sequence[Matcher]) -> None:
    refuted = [refutation.sentence for refutation in REFUTATIONS]
    missing = [phrase.pattern for phrase in phrases if not any(phrase.match(sentence) for sentence in refuted)]
    assert missing == [], "add how each of these fails to tests/refutations/"


def test_each_sentence_of_the_table_is_of_one_phrase(phrases: Sequence[Matcher]) -> None:
    said = {
        sentence for refuted in REFUTATIONS for story in (refuted.holds, refuted.fails) for sentence in story.sentences
    }
    meant = {sentence: [phrase.pattern for phrase in phrases if phrase.match(sentence)] for sentence in sorted(said)}
    assert {sentence: patterns for sentence, patterns in meant.items() if len(patterns) != 1} == {}
