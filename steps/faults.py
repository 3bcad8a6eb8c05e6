"""Phrases: faults, and how long recovery takes."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from changing import change, since
from nouns import links, node, nodes
from retired import formerly

from tunnelbed.checks.tunnel_path import Via
from tunnelbed.faults import links_and_nodes


@parse.with_pattern(r"[a-z][\w.-]*")
def parse_process(text: str) -> str:
    """A program that runs on a node, by the name of its process."""
    return text


register_type(Process=parse_process)


@step("{restarting:Node} restarts")
def restarts(context: Context, restarting: str) -> None:
    """The engine stops the node at once and starts it again."""
    change(context, links_and_nodes.restarted(context.bed, node(context, restarting)))


@step("{process:Process} is killed on {place:Node}")
def killed(context: Context, process: str, place: str) -> None:
    """Every process of that name on the node is killed (SIGKILL)."""
    change(context, links_and_nodes.killed(context.bed, node(context, place), process))


@step("{networks:Links} goes down at {place:Node}")
def goes_down(context: Context, networks: str, place: str) -> None:
    """The node's interface on that network is down, until it comes back or the scenario ends."""
    for network in links(context, networks):
        change(context, links_and_nodes.link_down(context.bed, node(context, place), network))


@step("{networks:Links} comes back at {place:Node}")
def comes_back(context: Context, networks: str, place: str) -> None:
    """The interface is up again, with its addresses and the node's routes."""
    where, back = node(context, place), links(context, networks)
    change(context)
    for network in back:
        links_and_nodes.link_up(context.bed, where, network)


@step("{networks:Links} loses one packet in {count:d}")
def loses_packets(context: Context, networks: str, count: int) -> None:
    """Of the packets that each node sends there, one in that many is dropped, until the scenario ends."""
    for network in links(context, networks):
        change(context, links_and_nodes.lossy(context.bed, network, count))


@step("{networks:Links} silently drops packets larger than {size:d} bytes")
def drops_large(context: Context, networks: str, size: int) -> None:
    """A larger IP packet is dropped without an ICMP error, until the scenario ends."""
    for network in links(context, networks):
        change(context, links_and_nodes.narrow(context.bed, network, size))


@step("{gateway:Node} ends its tunnel with {peer:Node}")
@formerly("{gateway:Node} takes its tunnel with {peer:Node} down")
def takes_down(context: Context, gateway: str, peer: str) -> None:
    """The gateway deletes the tunnel and notifies its peer; trap policies stay."""
    change(context, links_and_nodes.tunnel_down(context.bed, node(context, gateway), node(context, peer)))


@step("{sources:Nodes} gets a pong from {server:Node} within {seconds:Seconds} s")
def gets_pong_within(context: Context, sources: str, server: str, seconds: float) -> None:
    """Each gets an answer within that time from the last change; a failure has the time that it took."""
    links_and_nodes.answered_within(
        context.bed, nodes(context, sources), node(context, server), seconds, since(context)
    )


@step("{sources:Nodes} gets a pong from {server:Node} through the tunnel within {seconds:Seconds} s")
def gets_pong_through_tunnel_within(context: Context, sources: str, server: str, seconds: float) -> None:
    """Likewise, through the tunnel and not readable outside it."""
    asking, asked = nodes(context, sources), node(context, server)
    links_and_nodes.answered_within(context.bed, asking, asked, seconds, since(context), via=Via.TUNNEL)
