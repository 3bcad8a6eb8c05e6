"""Every phrase, said of a testbed where it holds, and of one where it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.phrases.speaker import UNDONE, Ending, Speaker
from tests.refutations import Refutation, Story
from tests.refutations.table import REFUTATIONS
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology.compose_file import load

HOME = Path(__file__).parents[2]
Tell = Callable[[str, Story], Ending]


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tell]:
    """Tells a story of a scenario's testbed; each scenario comes up once, and anew where a story left its mark."""
    speaker = Speaker()
    root = tmp_path_factory.mktemp("phrases")
    beds: dict[str, tuple[Bed, contextlib.ExitStack]] = {}

    def told(scenario: str, story: Story) -> Ending:
        if scenario not in beds:
            bed, ending = open_testbed(load(scenario, HOME), root), contextlib.ExitStack()
            ending.callback(bed.close)
            ending.callback(bed.down)
            beds[scenario] = bed, ending
            bed.up(Options(), lambda _: None)
        ended = speaker.says(beds[scenario][0], story)
        if ended.sentence == UNDONE:
            beds.pop(scenario)[1].close()
        return ended

    with contextlib.ExitStack() as all_ends:
        yield told
        for _, ending in beds.values():
            all_ends.push(ending)


@pytest.fixture(autouse=True)
def captures_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failure keeps as evidence goes with the test."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("scenario", "story"),
    dict.fromkeys((refuted.scenario, refuted.holds) for refuted in REFUTATIONS),
    ids=lambda said: said.sentences[-1] if isinstance(said, Story) else "",
)
def test_a_sentence_holds_of_what_it_is_about(scenario: str, story: Story, tell: Tell) -> None:
    assert tell(scenario, story) == Ending(story.sentences[-1], "passed")


@pytest.mark.parametrize("refuted", REFUTATIONS, ids=lambda refuted: refuted.sentence)
def test_it_fails_in_its_own_words_of_what_is_broken(refuted: Refutation, tell: Tell) -> None:
    ended = tell(refuted.scenario, refuted.fails)
    assert ended.sentence == refuted.fails.sentences[-1], ended
    assert refuted.complaint(ended.status, ended.words) == ""
