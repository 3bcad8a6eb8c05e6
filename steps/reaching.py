"""Phrases: who reaches whom, by which path, and with which source address."""

from __future__ import annotations

import ipaddress

from behave import step
from behave.runner import Context
from nouns import node, node_or_address, nodes, pinged, questions
from retired import formerly

from tunnelbed.checks import application, icmp_errors, node_hardening, packet_trace, reachability, traceroute
from tunnelbed.checks.tunnel_path import Via
from tunnelbed.observe.probes import Ping, TcpSyn, registry

# How the application's client begins.
ASKS = TcpSyn(application.PORT).name


@step("{sources:Nodes} can reach {targets:Targets}{version:ByVersion}")
def can_reach(context: Context, sources: str, targets: str, version: int) -> None:
    """A ping is answered, by each IP version that both have, or by the one that is named: `by IPv6`.

    The node's kernel chooses the source address.
    """
    _reach(context, sources, targets, version)


@step("{sources:Nodes} can reach {targets:Targets} through the tunnel{version:ByVersion}")
def can_reach_through_tunnel(context: Context, sources: str, targets: str, version: int) -> None:
    """Likewise; ESP with SPIs that both ends list carried ping and answer, and nothing of it was readable outside.

    Outside is every network but the intranets of the two sites, labelled or not.
    """
    _reach(context, sources, targets, version, via=Via.TUNNEL)


@step("{sources:Nodes} can reach {targets:Targets} outside the tunnel{version:ByVersion}")
def can_reach_outside_tunnel(context: Context, sources: str, targets: str, version: int) -> None:
    """Likewise; the ping and its answer were seen in clear from node to node, all the way."""
    _reach(context, sources, targets, version, via=Via.CLEAR)


@step("{sources:Nodes} can reach {targets:Targets} on {kind:Kind}{version:ByVersion}")
def can_reach_on(context: Context, sources: str, targets: str, kind: str, version: int) -> None:
    """The target accepts a connection to that port: `TCP port 80`. Not for UDP, where no answer is certain."""
    _reach(context, sources, targets, version, kind)


@step("{sources:Nodes} can reach {targets:Targets} on {kind:Kind} through the tunnel{version:ByVersion}")
def can_reach_on_through_tunnel(context: Context, sources: str, targets: str, kind: str, version: int) -> None:
    """The target accepts a connection to that port, through the tunnel and not readable outside it."""
    _reach(context, sources, targets, version, kind, via=Via.TUNNEL)


@step("{sources:Nodes} cannot reach {targets:Targets}{version:ByVersion}")
def cannot_reach(context: Context, sources: str, targets: str, version: int) -> None:
    """A ping is seen to be stopped, by each IP version that both have, while a control packet arrives.

    A gateway with tunnels counts as reached only if it replies or forwards. For what its firewall accepts, use
    `the firewall of ... drops ...`.
    """
    for source, target in questions(context, sources, targets):
        with packet_trace.explained(context.bed, source, target, version=version):
            reachability.cannot_reach(context.bed, source, target, Ping(), version=version)


@step("{sources:Nodes} cannot reach {targets:Targets} on {kind:Kind}{version:ByVersion}")
def cannot_reach_on(context: Context, sources: str, targets: str, kind: str, version: int) -> None:
    """The first packet to that port (`TCP port 80`, `UDP port 53`) is seen to be stopped, as a ping above."""
    for source, target in questions(context, sources, targets):
        with packet_trace.explained(context.bed, source, target, kind, version=version):
            reachability.cannot_reach(context.bed, source, target, registry.probe(kind), version=version)


@step("{sources:Nodes} gets a pong from {server:Node}")
def gets_pong(context: Context, sources: str, server: str) -> None:
    """The application's client sends a request to its configured address, and that server answers."""
    for source in nodes(context, sources):
        with packet_trace.explained(context.bed, source, application.asked(source), ASKS):
            application.gets_pong(context.bed, source, node(context, server))


@step("{sources:Nodes} gets a pong from {server:Node} through the tunnel")
def gets_pong_through_tunnel(context: Context, sources: str, server: str) -> None:
    """Likewise; ESP of the tunnel carried request and answer, and nothing of them was readable outside the sites."""
    for source in nodes(context, sources):
        with packet_trace.explained(context.bed, source, application.asked(source), ASKS):
            application.gets_pong(context.bed, source, node(context, server), via=Via.TUNNEL)


@step("{sources:Nodes} gets a pong from {server:Node} to a question longer than a packet")
def gets_long_pong(context: Context, sources: str, server: str) -> None:
    """Request and answer take several packets each, which all fit the tunnel, and go through it."""
    for source in nodes(context, sources):
        with packet_trace.explained(context.bed, source, application.asked(source), ASKS):
            application.gets_pong(context.bed, source, node(context, server), via=Via.TUNNEL, long=True)


@step("{sources:Nodes} gets no pong from {server:Node}")
def gets_no_pong(context: Context, sources: str, server: str) -> None:
    """The client sends a TCP SYN, and no packet of it arrives, while a control packet does."""
    for source in nodes(context, sources):
        with packet_trace.explained(context.bed, source, application.asked(source), ASKS):
            application.gets_no_pong(context.bed, source, node(context, server))


@step("{source:Node} reaches {target:Face} and is seen there as {face:Face}")
def seen_as(context: Context, source: str, target: str, face: str) -> None:
    """The target answers a ping, which arrived there with an address of that other node (NAT)."""
    who, whom, seen = node(context, source), node_or_address(context, target), node_or_address(context, face)
    reachability.seen_as(context.bed, who, whom, seen, Ping())


@step("{source:Node} gets a pong from {server:Node} and is seen there as {face:Face}")
def asker_seen_as(context: Context, source: str, server: str, face: str) -> None:
    """The application's server answers; the request arrived with an address of that other node (NAT)."""
    who, whom = node(context, source), node(context, server)
    application.asker_seen_as(context.bed, who, whom, node_or_address(context, face))


@step("no node has an IPv4 address on any network")
def no_ipv4(context: Context) -> None:
    """No interface of any node but lo has an IPv4 address, though each has one of IPv6."""
    node_hardening.speaks_only(context.bed, 6)


@step("{sources:Nodes} receives an ICMP error that {address} is unreachable")
@formerly("{sources:Nodes} is told that {address} is unreachable")
def told_unreachable(context: Context, sources: str, address: str) -> None:
    """A ping to that address is answered by an ICMP error (destination unreachable), which arrives at the sender."""
    for source in nodes(context, sources):
        icmp_errors.told_unreachable(context.bed, source, ipaddress.ip_address(address))


@step("{sources:Nodes} receives the MTU for packets to {target:Node}")
@formerly("{sources:Nodes} is told which packets fit the tunnel to {target:Node}")
def told_too_large(context: Context, sources: str, target: str) -> None:
    """A packet that fills the link is answered by an ICMP error with the MTU (RFC 1191, RFC 8201)."""
    for source in nodes(context, sources):
        icmp_errors.told_too_large(context.bed, source, node(context, target))


@step("{source:Node} receives the MTU for answers to {target:Node}")
@formerly("{source:Node} is told which answers fit the tunnel to {target:Node}")
def told_answer_too_large(context: Context, source: str, target: str) -> None:
    """Likewise, for an answer to the last ping, as large as the link allows: for nodes that may only send answers."""
    icmp_errors.told_too_large(context.bed, node(context, source), node(context, target), pinged(context))


@step("{sources:Nodes} receives no ICMP error about unsolicited answers to {target:Node}")
@formerly("{sources:Nodes} is told nothing about answers to {target:Node} that nobody asked for")
def stray_not_told(context: Context, sources: str, target: str) -> None:
    """An answer that does not fit the tunnel leaves the node, and no ICMP error arrives."""
    for source in nodes(context, sources):
        icmp_errors.stray_not_told(context.bed, source, node(context, target))


@step("{source:Node} sees {gateway:Node} on its path to {target:Node}")
@formerly("{source:Node} sees {gateway:Node} on its way to {target:Node}")
def sees(context: Context, source: str, gateway: str, target: str) -> None:
    """The gateway answers a ping whose TTL expires there (time exceeded): traceroute shows the gateway."""
    traceroute.sees(context.bed, node(context, source), node(context, gateway), node(context, target))


@step("{source:Node} sees {gateway:Node} on the path of its answer to {target:Node}")
@formerly("{source:Node} sees {gateway:Node} on the way of its answer to {target:Node}")
def sees_answering(context: Context, source: str, gateway: str, target: str) -> None:
    """Likewise, for the answer to the last ping, sent once more."""
    traceroute.sees(context.bed, node(context, source), node(context, gateway), node(context, target), pinged(context))


@step("{source:Node} does not see {gateway:Node} on the path of unsolicited answers to {target:Node}")
@formerly("{source:Node} does not see {gateway:Node} on the way of answers that {target:Node} never asked for")
def does_not_see(context: Context, source: str, gateway: str, target: str) -> None:
    """The gateway drops an unsolicited ping answer whose TTL expires there, without an ICMP error."""
    traceroute.does_not_see(context.bed, node(context, source), node(context, gateway), node(context, target))


def _reach(  # what a sentence says
    context: Context, sources: str, targets: str, version: int, kind: str = "ICMP", *, via: Via = Via.ANY
) -> None:
    for source, target in questions(context, sources, targets):
        with packet_trace.explained(context.bed, source, target, kind, version=version):
            probe = registry.answerable(kind)
            reachability.reaches(context.bed, source, target, probe, via=via, version=version)
