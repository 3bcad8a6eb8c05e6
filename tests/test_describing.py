"""A description says what was found, all of it and no more, in sentences that mean what they say."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.checks import describe
from tunnelbed.checks.describe import CAN, CANNOT, SEEN_AS, THROUGH, UNANSWERED, Fact
from tunnelbed.topology import compose_file, naming
from tunnelbed.topology.model import Scenario

ROOT = Path(__file__).parent.parent
SCENES = {name: compose_file.load(name, ROOT) for name in compose_file.names(ROOT)}
SCENE = SCENES["site-to-site"]
PAIRS = list(itertools.permutations(SCENE.nodes, 2))


def meant(scene: Scenario, sentences: object) -> list[tuple[str, str]]:
    """The pairs that sentences are about, as steps take them: each with each, nobody with itself."""
    assert isinstance(sentences, list)
    found = []
    for sentence in sentences:
        match = re.fullmatch(r"(.+) can(?:not)? reach (.+?)(?: through the tunnel)?", sentence)
        assert match
        for one in naming.nodes(scene, match[1]):
            found += [(one.name, other.name) for other in naming.nodes(scene, match[2]) if one != other]
    return found


@given(st.sets(st.sampled_from(PAIRS)))
def test_sentences_are_about_the_pairs_that_were_found_each_once(pairs: set[tuple[str, str]]) -> None:
    said = describe.sentences(SCENE, [Fact(*pair, f"{CAN}{THROUGH}") for pair in sorted(pairs)])
    assert sorted(meant(SCENE, said)) == sorted(pairs)


def test_what_all_do_is_one_sentence() -> None:
    clients = [node.name for node in SCENE.having("client")]
    every = [Fact(source, target, CANNOT) for source in clients for target in ("internet", "router")]
    assert describe.sentences(SCENE, every) == [
        "every client cannot reach the Internet",
        "every client cannot reach the router",
    ]
    among = [Fact(source, target, CAN) for source, target in itertools.permutations(clients, 2)]
    assert describe.sentences(SCENE, among) == ["every client can reach every client"]
    some = [Fact(source, "server-s1", CAN) for source in clients if source != "client-b2"]
    assert describe.sentences(SCENE, some) == [
        "every client of site A can reach the server",
        "client B1 can reach the server",
    ]


def test_who_is_seen_as_somebody_else_has_a_sentence_alone() -> None:
    facts = [Fact(source, "internet", f"{SEEN_AS}gateway S") for source in ("server-s1", "router")]
    assert describe.sentences(SCENE, facts) == [
        "the server reaches the Internet and is seen there as gateway S",
        "the router reaches the Internet and is seen there as gateway S",
    ]


@pytest.mark.parametrize("name", SCENES)
def test_how_a_node_is_spoken_of_means_that_node(name: str) -> None:
    for node in SCENES[name].nodes.values():
        said = naming.spoken(SCENES[name], node)
        assert naming.node(SCENES[name], said) == node
        assert re.fullmatch(naming.NODE, said)
    assert naming.spoken(SCENES[name], SCENES[name].nodes["client-a1"]) == "client A1"


def test_a_description_is_a_feature_with_its_doubts_as_comments() -> None:
    facts = [Fact("client-a1", "server-s1", CAN), Fact("internet", "server-s1", CANNOT)]
    facts.append(Fact("client-a1", "client-a2", f"{UNANSWERED} on TCP port 22"))
    others = {"What the tunnels are": ["gateway A has a tunnel with gateway S"], "What the nodes are": []}
    told = describe.feature(SCENE, facts, others, ["x"])
    assert told.splitlines()[3:] == [
        "",
        "  Scenario: Who reaches whom, and how",
        "    Then client A1 can reach the server",
        "",
        "  Scenario: Who does not reach whom",
        "    Then the Internet cannot reach the server",
        "",
        "  Scenario: What the tunnels are",
        "    Then gateway A has a tunnel with gateway S",
        "",
        "  # No sentence says:",
        "  #   client A1 is let through to client A2 and not served on TCP port 22",
        "",
        "  # Could not be judged:",
        "  #   x",
    ]


def test_names_are_listed_as_a_sentence_takes_them() -> None:
    assert [describe._listed(names) for names in (["A"], ["A", "B"], ["A", "B", "C"])] == [
        "A",
        "A and B",
        "A, B and C",
    ]
