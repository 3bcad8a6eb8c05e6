"""Nodes with clocks of their own: what they saw, in the order in which it happened."""

from __future__ import annotations

import pytest

from tunnelbed.engines.agents import Frame
from tunnelbed.observe.clocks import in_order, shifts
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import Sighting

# Who sees what in truth, a millisecond each: a packet goes from a to d, and its answer comes back.
WAY = ["a out ab", "b in ab", "b out bc", "c in bc", "c in tun", "c out cd", "d in cd"]
BACK = ["d out cd", "c in cd", "c out bc", "b in bc", "b out ab", "a in ab"]


def one(node: str, network: str, *, outgoing: bool, at: float, data: bytes = b"hello") -> Sighting:
    return Sighting(Frame(node, network, outgoing, ETHERNET, at, data))


def seen(behind: dict[str, float]) -> list[Sighting]:
    """What is recorded where nodes' clocks are so many seconds behind; what comes out of a tunnel nobody sent."""
    found = []
    for number, (leg, line) in enumerate([*(("way", line) for line in WAY), *(("back", line) for line in BACK)]):
        node, direction, network = line.split()
        data = f"{leg} {network}".encode()
        at = 1000 + number / 1000 - behind.get(node, 0.0)
        found.append(one(node, network, outgoing=direction == "out", at=at, data=data))
    return sorted(found, key=lambda each: each.frame.at)


def said(sightings: object) -> list[str]:
    return [
        f"{each.node} {'out' if each.outgoing else 'in'} {each.network}"
        for each in sightings  # type: ignore[attr-defined] # a list of sightings
    ]


@pytest.mark.parametrize(
    "behind",
    [{}, {"c": 0.05}, {"a": 0.2, "c": -0.03}, {"b": 60.0, "d": -60.0}, {"a": -0.004, "b": 0.004, "c": -0.004}],
    ids=str,
)
def test_whatever_clocks_say_the_order_is_that_of_what_happened(behind: dict[str, float]) -> None:
    assert said(in_order(seen(behind))) == [*WAY, *BACK]


def test_right_clocks_are_left_alone() -> None:
    assert shifts(seen({})) == {}
    assert [each.frame.at for each in in_order(seen({}))] == [each.frame.at for each in seen({})]


def test_a_clock_is_moved_by_no_more_than_frames_ask_for() -> None:
    found = shifts(seen({"c": 0.05}))
    assert found["c"] == pytest.approx(0.049)
    assert found.keys() <= {"c", "d"}


def test_frames_that_are_like_others_say_nothing_of_clocks() -> None:
    twice = [one("a", "lan", outgoing=True, at=at) for at in (5.0, 7.0)]
    early = one("b", "lan", outgoing=False, at=4.0)
    assert shifts([*twice, early]) == {}
    assert said(in_order([*twice, early])) == ["a out lan", "b in lan", "a out lan"]
