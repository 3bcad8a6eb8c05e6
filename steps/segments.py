"""Phrases: layer 2: broadcasts, multicast, MACs."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from nouns import links, node

from tunnelbed.checks import layer2


@step("a broadcast by {sender:Node} on {networks:Links} is seen by every node there and nobody else")
def broadcast(context: Context, sender: str, networks: str) -> None:
    """An Ethernet broadcast arrives at each other node of the network, and at no node elsewhere."""
    for network in links(context, networks):
        layer2.frame_reaches_exactly(context.bed, node(context, sender), network, layer2.BROADCAST, layer2.EXPERIMENT)


@step("an LLDP frame by {sender:Node} on {networks:Links} is seen by every node there and nobody else")
def lldp(context: Context, sender: str, networks: str) -> None:
    """A frame to LLDP's multicast MAC arrives at the other nodes of the network, which join it, and nowhere else."""
    for network in links(context, networks):
        layer2.frame_reaches_exactly(context.bed, node(context, sender), network, layer2.LLDP_GROUP, layer2.LLDP_TYPE)


@step("every interface has a MAC of its own")
def macs(context: Context) -> None:
    """No two interfaces of the testbed share a MAC."""
    layer2.macs_differ(context.bed)
