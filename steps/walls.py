"""Phrases: decisions of firewalls, and isolation of nodes."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from changing import change
from nouns import node, nodes, pairs
from retired import formerly

from tunnelbed.checks import firewall, reachability
from tunnelbed.faults import open_firewall
from tunnelbed.observe.probes import registry
from tunnelbed.topology.model import Address

# The application's port: where a server listens, a wall that lets something through would show.
PORT = 8080


@step("the firewall of {gateway:Node} drops {kinds:Kinds} from {sources:Nodes} to {target:Node}")
def drops(context: Context, gateway: str, kinds: list[str], sources: str, target: str) -> None:
    """The nftables trace of such a packet ends with drop."""
    decides = node(context, gateway)
    for source in nodes(context, sources):
        packets = firewall.flows(context.bed, source, node(context, target))
        firewall.decides(context.bed, decides, packets, kinds, "drop")


@step("the firewall of {gateway:Node} drops {kinds:Kinds} from a neighbour of {source:Node} to {target:Node}")
def drops_neighbours(context: Context, gateway: str, kinds: list[str], source: str, target: str) -> None:
    """Likewise, where that node sends it with another address of its network."""
    decides = node(context, gateway)
    packets = firewall.flows(context.bed, node(context, source), node(context, target), forged=True)
    firewall.decides(context.bed, decides, packets, kinds, "drop")


@step("the firewall of {gateway:Node} drops {kinds:Kinds} from {source:Node} to a neighbour of {target:Node}")
def drops_to_neighbours(context: Context, gateway: str, kinds: list[str], source: str, target: str) -> None:
    """Likewise, where it is sent to another address of the target's network."""
    decides = node(context, gateway)
    packets = firewall.flows(context.bed, node(context, source), node(context, target), beside=True)
    firewall.decides(context.bed, decides, packets, kinds, "drop")


@step("the firewall of {gateway:Node} accepts {kinds:Kinds} from {sources:Nodes} to {target:Node}")
def accepts(context: Context, gateway: str, kinds: list[str], sources: str, target: str) -> None:
    """The nftables trace of such a packet goes through every chain and ends with accept."""
    decides = node(context, gateway)
    for source in nodes(context, sources):
        packets = firewall.flows(context.bed, source, node(context, target))
        firewall.decides(context.bed, decides, packets, kinds, "accept")


@step("the firewall of {gateway:Node} accepts an error from {source:Node} about its IKE with {peer:Node}")
def accepts_error(context: Context, gateway: str, source: str, peer: str) -> None:
    """An ICMP error about a packet of a connection that the gateway itself has (conntrack: related)."""
    firewall.decides_error(context.bed, node(context, gateway), node(context, source), node(context, peer), "accept")


@step("the firewall of {gateway:Node} drops an error from {source:Node} about nothing that was sent")
def drops_error(context: Context, gateway: str, source: str) -> None:
    """Likewise, about a packet that the gateway never sent."""
    firewall.decides_error(context.bed, node(context, gateway), node(context, source), None, "drop")


@step("{gateway:Node} does not redirect {kinds:Kinds} from {source:Node} to {address:Address}")
@formerly("{gateway:Node} does not hand {kinds:Kinds} from {source:Node} to {address:Address} on")
def hands_nothing_on(context: Context, gateway: str, kinds: list[str], source: str, address: Address) -> None:
    """Such a packet keeps its target and is dropped, as if there were no DNAT rule."""
    firewall.hands_nothing_on(context.bed, node(context, gateway), node(context, source), address, kinds)


@step("{sources:Nodes} is isolated from {targets:Nodes}")
def isolated(context: Context, sources: str, targets: str) -> None:
    """Neither reaches the other, by ping, TCP, UDP or any other kind that can be traced; each is seen to be stopped."""
    for source, target in pairs(context, sources, targets):
        for one, other in ((source, target), (target, source)):
            for kind in registry.questions():
                reachability.cannot_reach(context.bed, one, other, kind.of(PORT))


@step("the firewall of {gateway:Node} accepts everything")
@formerly("the firewall of {gateway:Node} lets everything pass")
def lets_everything_pass(context: Context, gateway: str) -> None:
    """Its filter chains accept everything until the scenario ends; NAT stays. No filter drops a packet now."""
    change(context, open_firewall.opened(context.bed, node(context, gateway)))
