"""The underlay: subnets for Docker's own addresses, clear of each other and of everybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface, ip_network
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.engines.docker.engine import DockerEngine
from tunnelbed.engines.docker.underlay import POOL, TAKEN, addresses, allocate
from tunnelbed.errors import EngineUnavailable
from tunnelbed.topology.model import Attachment, Network, Node, Scenario

HERE = Path()


def scene(*sizes: int) -> Scenario:
    """A scenario with a network of each size, in nodes."""
    networks = {f"net{index}": Network(f"net{index}", (ip_network("10.1.0.0/16"),)) for index in range(len(sizes))}
    nodes = {
        f"node{number}": Node(
            f"node{number}",
            tuple(
                Attachment(f"net{index}", (ip_interface("10.1.0.2/16"),))
                for index, size in enumerate(sizes)
                if number < size
            ),
        )
        for number in range(max(sizes, default=0))
    }
    return Scenario("made", HERE, HERE, HERE, networks, nodes)


SIZES = st.lists(st.integers(0, 70), min_size=1, max_size=12)
USED = st.lists(
    st.builds(
        lambda start, bits: IPv4Network((int(POOL.network_address) + (start >> bits << bits), 32 - bits)),
        st.integers(0, POOL.num_addresses - 1),
        st.integers(0, 13),
    ),
    max_size=20,
)


@given(SIZES, st.text(max_size=20), USED)
def test_no_subnet_overlaps_another_or_one_in_use_and_each_has_room(
    sizes: list[int], project: str, used: list[IPv4Network]
) -> None:
    made = scene(*sizes)
    found = allocate(made, project, dict.fromkeys(used, "somebody"))
    assert list(found) == list(made.networks)
    assert not any(a.overlaps(b) for a, b in combinations(found.values(), 2))
    assert not any(net.overlaps(other) for net in found.values() for other in used)
    assert all(net.subnet_of(POOL) for net in found.values())
    assert all(net.num_addresses >= size + TAKEN for net, size in zip(found.values(), sizes, strict=True))


@given(SIZES, st.text(max_size=20))
def test_every_node_has_an_address_of_its_own_that_docker_does_not_take(sizes: list[int], project: str) -> None:
    made = scene(*sizes)
    subnets = allocate(made, project, {})
    found = addresses(made, subnets)
    assert len(set(found.values())) == len(found) == sum(sizes)
    for (_, network), address in found.items():
        hosts = list(subnets[network].hosts())
        # Docker keeps the first host's address for its gateway.
        assert address in hosts[1:]


def test_the_same_project_gets_the_same_subnets_and_another_project_others() -> None:
    made = scene(3, 3)
    assert allocate(made, "one", {}) == allocate(made, "one", {})
    assert allocate(made, "one", {}) != allocate(made, "two", {})


def test_the_search_goes_on_at_the_start_of_the_pool() -> None:
    free = IPv4Network((POOL.network_address, 29))
    used = dict.fromkeys(POOL.address_exclude(free), "somebody")
    assert allocate(scene(3), "any project", used) == {"net0": free}


def test_subnets_elsewhere_do_not_matter() -> None:
    made = scene(3)
    assert allocate(made, "one", {IPv4Network("10.0.0.0/8"): "somebody"}) == allocate(made, "one", {})


def test_where_addresses_run_out_the_line_names_who_has_most_of_them() -> None:
    halves = list(POOL.subnets(prefixlen_diff=1))
    used = {net: f"lab {number}" for number, net in enumerate([*halves[1].subnets(new_prefix=18), halves[0]])}
    told = (
        r"no 8 addresses in a row are free in 198\.18\.0\.0/15, from which Docker's networks are addressed; the "
        r"largest ranges are those of lab 4 \(198\.18\.0\.0/16\), lab 0 \(198\.19\.0\.0/18\), .* and 1 more; take a "
        r"testbed down"
    )
    with pytest.raises(EngineUnavailable, match=told):
        allocate(scene(3), "one", used)


@dataclass(frozen=True)
class Listed:
    """A network as Docker lists it."""

    name: str
    attrs: Mapping[str, Any]

    def list(self) -> Sequence[Listed]:
        """All there are."""
        return [self]


@pytest.mark.parametrize(
    ("ipam", "counts"),
    [
        ({"Driver": "null", "Config": [{"Subnet": "0.0.0.0/0"}]}, False),
        ({"Driver": "default", "Config": [{"Subnet": "fd00::/64"}]}, False),
        ({"Driver": "default", "Config": [{"Gateway": "10.1.0.1"}]}, False),
        ({"Driver": "default", "Config": None}, False),
        (None, False),
        ({"Driver": "default", "Config": [{"Subnet": "198.18.0.0/24"}]}, True),
    ],
)
def test_a_network_of_another_lab_counts_where_docker_hands_out_its_addresses(
    ipam: Mapping[str, Any] | None,
    counts: bool,  # noqa: FBT001 # a case's own
) -> None:
    client = SimpleNamespace(networks=Listed("kathara_lab", {"IPAM": ipam}))
    used = DockerEngine(cast("docker.DockerClient", client)).subnets()
    assert used == ({IPv4Network("198.18.0.0/24"): "Docker's network kathara_lab"} if counts else {})
    assert allocate(scene(3), "one", used)


def test_one_network_too_many_is_refused_and_not_squeezed_in() -> None:
    pair = IPv4Network((POOL.network_address, 28))
    first, second = pair.subnets()
    used = dict.fromkeys(POOL.address_exclude(pair), "somebody")
    assert set(allocate(scene(3, 3), "one", used).values()) == {first, second}
    with pytest.raises(EngineUnavailable):
        allocate(scene(3, 3, 3), "one", used)
