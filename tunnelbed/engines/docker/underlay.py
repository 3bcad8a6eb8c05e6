"""Addresses for Docker to hand out, so that nodes can have theirs.

Docker refuses two networks with overlapping subnets and keeps `.1` for itself, on one machine for all testbeds
together. So Docker gets a small subnet of its own choosing per network, out of 198.18.0.0/15 (RFC 2544, for labs), and
the node replaces that address by the ones the stack asks for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from tunnelbed.errors import EngineUnavailable
from tunnelbed.topology.model import Scenario

POOL = IPv4Network("198.18.0.0/15")
# Docker takes the network, the broadcast and a gateway's address of each subnet.
TAKEN = 3
# Of those who have all addresses, so many are named.
NAMED = 4


def allocate(scenario: Scenario, project: str, used: Mapping[IPv4Network, str]) -> Mapping[str, IPv4Network]:
    """A subnet for each network, clear of those in use, each of which has a name.

    Raises `EngineUnavailable` where there is no room, and names who has it.

    The search starts at a place that the project's name decides, so that testbeds brought up at the same moment
    seldom want the same place; Docker refuses the second one if they do, and the caller asks again.
    """
    taken = {net: whose for net, whose in used.items() if net.overlaps(POOL)}
    first = int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big") % POOL.num_addresses
    found: dict[str, IPv4Network] = {}
    for name in scenario.networks:
        size = 1 << (len(scenario.on(name)) + TAKEN - 1).bit_length()
        size = max(size, 8)
        net = _next_free(first, size, taken)
        found[name] = net
        taken[net] = f"{scenario.name}'s own {name}"
        first = int(net.broadcast_address) + 1 - int(POOL.network_address)
    return found


def addresses(scenario: Scenario, subnets: Mapping[str, IPv4Network]) -> Mapping[tuple[str, str], IPv4Address]:
    """Each (node, network)'s address in the underlay."""
    return {
        (node.name, name): subnets[name][index + 2]
        for name in scenario.networks
        for index, node in enumerate(scenario.on(name))
    }


def _next_free(first: int, size: int, taken: Mapping[IPv4Network, str]) -> IPv4Network:
    """The first block of `size` addresses from `first` on, the end of the pool followed by its start."""
    blocks = POOL.num_addresses // size
    start = -(-first // size)
    for block in range(start, start + blocks):
        base = POOL.network_address + (block % blocks) * size
        net = IPv4Network((base, POOL.max_prefixlen - size.bit_length() + 1))
        if not any(net.overlaps(other) for other in taken):
            return net
    largest = sorted(taken.items(), key=lambda found: found[0].prefixlen)
    named = [f"{whose} ({net})" for net, whose in largest[:NAMED]]
    more = f" and {len(taken) - NAMED} more" if len(taken) > NAMED else ""
    raise EngineUnavailable(
        f"no {size} addresses in a row are free in {POOL}, from which Docker's networks are addressed; the largest "
        f"ranges are those of {', '.join(named)}{more}; take a testbed down, or remove a network (`docker network rm`)"
    )
