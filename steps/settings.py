"""Phrases: settings of nodes, of which some take effect only after a long time."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from nouns import node, nodes

from tunnelbed.checks import node_hardening, node_settings, tunnel_timing


@parse.with_pattern(r"net\.[\w./-]+")
def parse_sysctl(text: str) -> str:
    """A setting of a kernel's network: `net.ipv4.ip_forward`."""
    return text


@parse.with_pattern(r"-?\d+")
def parse_number(text: str) -> int:
    """A whole number."""
    return int(text)


register_type(Sysctl=parse_sysctl, Number=parse_number)


@step("{holders:Nodes} has {key:Sysctl} = {value:Number}")
def has_sysctl(context: Context, holders: str, key: str, value: int) -> None:
    """The node's kernel has this value, whatever the Compose file has (sysctl(8))."""
    for holder in nodes(context, holders):
        node_settings.has_sysctl(context.bed, holder, key, value)


@step("{senders:Nodes} has no route beyond its own networks")
def routes_nowhere(context: Context, senders: str) -> None:
    """The node's main routing table leads to its own networks and nowhere else."""
    for sender in nodes(context, senders):
        node_settings.sends_beyond(context.bed, sender, None)


@step("{senders:Nodes} has no route beyond its own networks but a default route by {hop:Node}")
def routes_by(context: Context, senders: str, hop: str) -> None:
    """Likewise, except a default route by that neighbour, in each IP version that it has there."""
    for sender in nodes(context, senders):
        node_settings.sends_beyond(context.bed, sender, node(context, hop))


@step("no node has an IPv6 address on any network")
def no_ipv6(context: Context) -> None:
    """No interface of any node but lo has an IPv6 address, though each has one of IPv4."""
    node_hardening.speaks_only(context.bed, 4)


@step("{gateways:Nodes} changes its {layer:Layer} keys after {seconds:Seconds} s")
def renews_keys(context: Context, gateways: str, layer: str, seconds: float) -> None:
    """The daemon has loaded this time for every connection, or for every child (`rekey_time`)."""
    for gateway in nodes(context, gateways):
        tunnel_timing.renews_keys(context.bed, gateway, layer, seconds)


@step("{gateways:Nodes} asks a silent peer for a sign of life after {seconds:Seconds} s")
def asks_for_life(context: Context, gateways: str, seconds: float) -> None:
    """Likewise (`dpd_delay`)."""
    for gateway in nodes(context, gateways):
        tunnel_timing.asks_for_life(context.bed, gateway, seconds)


@step("{gateways:Nodes} sets a tunnel up again {when} where its peer {end}")
def sets_up_again(context: Context, gateways: str, when: str, end: str) -> None:
    """Likewise: `on demand`, `at once`, `never`; the peer `is dead` or `closes it` (`dpd_action`, `close_action`)."""
    for gateway in nodes(context, gateways):
        tunnel_timing.sets_up_again(context.bed, gateway, when, end)
