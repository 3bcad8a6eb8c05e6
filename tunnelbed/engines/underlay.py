"""Addresses for Docker to hand out, so that nodes can have theirs.

Docker refuses two networks with overlapping subnets and keeps `.1` for itself, on one machine for all testbeds
together. So Docker gets a small subnet of its own choosing per network, out of 198.18.0.0/15 (RFC 2544, for labs), and
the node replaces that address by the ones the stack asks for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

from tunnelbed.errors import EngineUnavailable
from tunnelbed.topology.model import Scenario

POOL = IPv4Network("198.18.0.0/15")
# Docker takes the network, the broadcast and a gateway's address of each subnet.
TAKEN = 3


def allocate(scenario: Scenario, project: str, used: Iterable[IPv4Network]) -> Mapping[str, IPv4Network]:
    """A subnet for each network, clear of `used`.

    The search starts at a place that the project's name decides, so that testbeds brought up at the same moment
    seldom want the same place; Docker refuses the second one if they do, and the caller asks again.
    """
    taken = [net for net in used if net.overlaps(POOL)]
    first = int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big") % POOL.num_addresses
    found: dict[str, IPv4Network] = {}
    for name in scenario.networks:
        size = 1 << (len(scenario.on(name)) + TAKEN - 1).bit_length()
        size = max(size, 8)
        net = _next_free(first, size, taken)
        found[name] = net
        taken.append(net)
        first = int(net.broadcast_address) + 1 - int(POOL.network_address)
    return found


def addresses(scenario: Scenario, subnets: Mapping[str, IPv4Network]) -> Mapping[tuple[str, str], IPv4Address]:
    """Each (node, network)'s address in the underlay."""
    return {
        (node.name, name): subnets[name][index + 2]
        for name in scenario.networks
        for index, node in enumerate(scenario.on(name))
    }


def _next_free(first: int, size: int, taken: list[IPv4Network]) -> IPv4Network:
    """The first block of `size` addresses from `first` on, the end of the pool followed by its start."""
    blocks = POOL.num_addresses // size
    start = -(-first // size)
    for block in range(start, start + blocks):
        base = POOL.network_address + (block % blocks) * size
        net = IPv4Network((base, POOL.max_prefixlen - size.bit_length() + 1))
        if not any(net.overlaps(other) for other in taken):
            return net
    raise EngineUnavailable(f"no {size} addresses are free in {POOL}; take a testbed down first (`invoke status`)")
