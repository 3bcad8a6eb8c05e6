"""Parents of MACVLAN networks: their names, which every testbed on a machine shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.engines.docker.links import names
from tunnelbed.topology.model import LONGEST_NAME

NETWORKS = st.lists(st.text(max_size=30), max_size=50, unique=True)


@given(st.text(max_size=80), NETWORKS)
def test_each_network_has_a_parent_of_its_own_whose_two_ends_fit_an_interface(
    project: str, networks: list[str]
) -> None:
    found = names(project, networks)
    assert list(found) == networks
    assert len(set(found.values())) == len(networks)
    # The far end of each pair is named with one letter more (scripts/node/parents).
    assert all(len(name) + 1 <= LONGEST_NAME and name.isalnum() for name in found.values())


@given(st.text(), st.text(), NETWORKS)
def test_two_testbeds_never_share_a_parent(one: str, other: str, networks: list[str]) -> None:
    shared = set(names(one, networks).values()) & set(names(other, networks).values())
    assert not shared or one == other


def test_a_testbed_finds_its_parents_again() -> None:
    assert names("tiny-1a2b3c", ["a", "b"]) == names("tiny-1a2b3c", ["a", "b"])
