"""Every phrase judged on the fake network, true and false, by the refutations that hold of a testbed with an engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_network.beds import Fresh, brought_up
from tests.phrases.speaker import Ending, Speaker
from tests.refutations import Refutation, Story
from tests.refutations.table import REFUTATIONS
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.compose_file import load
from tunnelbed.topology.model import Scenario

HOME = Path(__file__).parents[1]
Tell = Callable[[str, Story], Ending]
# While keys change, a hundred pings or requests go on, each a second of computing: one of each layer is enough here.
# While time passes, some hundreds; test_passing_time.py has fewer.
COSTLY = (
    *("gateway A changes its IKE keys", "no request is lost", "ESP with new SPIs", "the new ESP keys"),
    "70 minutes pass while",
    # Fake gateways do not ask again where a request was lost.
    "gateway A and gateway S change",
)


def judged(refuted: Refutation) -> bool:
    """Whether a phrase is judged here."""
    return not refuted.sentence.startswith(COSTLY)


HERE = [refuted for refuted in REFUTATIONS if judged(refuted)]


@functools.cache
def scene(name: str) -> Scenario:
    """A scenario, read once."""
    return load(name, HOME)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates for each scenario, made once."""
    found = {}
    for name in {refuted.scenario for refuted in HERE}:
        bed = Bed(scene(name), tmp_path_factory.mktemp(name), FakeEngine())
        bed.state.mkdir(parents=True)
        bed.make_keys()
        found[name] = bed.state / "pki"
        bed.close()
    return found


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    """behave, once for all."""
    return Speaker()


@pytest.fixture
def tell(speaker: Speaker, keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Tells a story of a testbed of its own."""
    monkeypatch.chdir(tmp_path)

    def told(scenario: str, story: Story) -> Ending:
        with brought_up(scene(scenario), tmp_path, keys=keys[scenario]) as (bed, _):
            speaker.changes[bed.name] = Fresh(bed)
            try:
                return speaker.says(bed, story)
            finally:
                speaker.changes.clear()

    return told


@pytest.mark.parametrize(
    ("scenario", "story"),
    dict.fromkeys((refuted.scenario, refuted.holds) for refuted in HERE),
    ids=lambda said: said.sentences[-1] if isinstance(said, Story) else "",
)
def test_a_sentence_holds_of_what_it_is_about(scenario: str, story: Story, tell: Tell) -> None:
    assert tell(scenario, story) == Ending(story.sentences[-1], "passed")


@pytest.mark.parametrize("refuted", HERE, ids=lambda refuted: refuted.sentence)
def test_it_fails_in_its_own_words_of_what_is_broken(refuted: Refutation, tell: Tell) -> None:
    ended = tell(refuted.scenario, refuted.fails)
    assert ended.sentence == refuted.fails.sentences[-1], ended
    assert refuted.complaint(ended.status, ended.words) == ""


def test_what_is_judged_on_an_engine_alone_is_a_phrase() -> None:
    left = [words for words in COSTLY if not any(words in one.sentence for one in REFUTATIONS)]
    assert left == []
