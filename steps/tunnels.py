"""Phrases: tunnels, and what their gateways negotiated."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from changing import change
from nouns import node, nodes
from retired import formerly

from tunnelbed.checks import security_associations
from tunnelbed.testbed import tunnels


@step("{gateways:Nodes} has a tunnel")
def has_tunnel(context: Context, gateways: str) -> None:
    """The gateway has an IKE_SA with an installed child."""
    for gateway in nodes(context, gateways):
        security_associations.established(context.bed, gateway)


@step("{gateways:Nodes} has a tunnel with {peer:Node}")
def has_tunnel_with(context: Context, gateways: str, peer: str) -> None:
    """Likewise, with that peer, identified by its address, or behind a NAT by its authenticated identity."""
    for gateway in nodes(context, gateways):
        security_associations.established(context.bed, gateway, node(context, peer))


@step("{gateways:Nodes} has a tunnel with {peer:Node} within {seconds:Seconds} s")
def has_tunnel_within(context: Context, gateways: str, peer: str, seconds: float) -> None:
    """Likewise, within that time."""
    whom = node(context, peer)
    security_associations.each(
        context.bed,
        nodes(context, gateways),
        lambda one: security_associations.established(context.bed, one, whom, seconds=seconds),
    )


@step("{gateways:Nodes} has exactly one tunnel with {peer:Node}")
def has_one_tunnel(context: Context, gateways: str, peer: str) -> None:
    """One IKE_SA with that peer carries traffic, each of its children is there once, and no other is left."""
    for gateway in nodes(context, gateways):
        security_associations.the_only(context.bed, gateway, node(context, peer))


@step("{gateways:Nodes} has no tunnel")
def has_no_tunnel(context: Context, gateways: str) -> None:
    """The gateway's daemon runs, and it has no tunnel that carries traffic."""
    for gateway in nodes(context, gateways):
        security_associations.no_tunnel(context.bed, gateway)


@step("{gateways:Nodes} has no tunnel with {peer:Node}")
def has_no_tunnel_with(context: Context, gateways: str, peer: str) -> None:
    """Likewise, with that peer."""
    for gateway in nodes(context, gateways):
        security_associations.no_tunnel(context.bed, gateway, node(context, peer))


@step("{gateways:Nodes} has no tunnel with {peer:Node} within {seconds:Seconds} s")
def has_no_tunnel_within(context: Context, gateways: str, peer: str, seconds: float) -> None:
    """Likewise, within that time: dead peer detection has deleted it."""
    bed, whom = context.bed, node(context, peer)
    security_associations.each(
        bed, nodes(context, gateways), lambda one: security_associations.no_tunnel(bed, one, whom, seconds=seconds)
    )


@step("the tunnels of {gateways:Nodes} use exactly IKE {ike} and ESP {esp}")
def uses(context: Context, gateways: str, ike: str, esp: str) -> None:
    """IKEv2 and these proposals, in the keywords of strongSwan's files: `aes256gcm16-prfsha384-ecp384`."""
    for gateway in nodes(context, gateways):
        security_associations.uses(context.bed, gateway, ike, esp)


@step("{gateway:Node} protects exactly {local} towards {remote}")
def selects(context: Context, gateway: str, local: str, remote: str) -> None:
    """A child of the gateway has exactly these traffic selectors: `10.1.0.0/16`."""
    security_associations.selects(context.bed, node(context, gateway), local.split(" and "), remote.split(" and "))


@step('{gateway:Node} has a peer authenticated as "{identity}"')
@formerly('{gateway:Node} knows its peer as "{identity}"')
def knows_peer(context: Context, gateway: str, identity: str) -> None:
    """The peer of one of the gateway's tunnels has authenticated with that identity."""
    security_associations.knows_peer_as(context.bed, node(context, gateway), identity)


@step("{gateways:Nodes} ends its tunnels")
def ends_tunnels(context: Context, gateways: str) -> None:
    """At once, without waiting for the peer; trap policies stay."""
    for gateway in nodes(context, gateways):
        tunnels.end(context.bed, gateway)


@step("{gateways:Nodes} unloads its connections")
@formerly("{gateways:Nodes} forgets its connections")
def forgets(context: Context, gateways: str) -> None:
    """A gateway's tunnels end at once and its connections are unloaded: nothing starts another tunnel."""
    for gateway in nodes(context, gateways):
        change(context, security_associations.forgotten(context.bed, gateway))
