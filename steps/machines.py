"""Phrases: capabilities, interfaces, and source address checks of nodes."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from nouns import links, node, nodes
from retired import formerly

from tunnelbed.checks import node_hardening, source_checks

NAME = "[A-Z][A-Z_]+"


@parse.with_pattern(rf"{NAME}(?:(?:, | and ){NAME})*")
def parse_capabilities(text: str) -> list[str]:
    """Capabilities of a node: `NET_ADMIN and NET_RAW`."""
    return text.replace(", ", " and ").split(" and ")


register_type(Capabilities=parse_capabilities)


@step("{holders:Nodes} has exactly the capabilities {names:Capabilities}")
def has_capabilities(context: Context, holders: str, names: list[str]) -> None:
    """The node has these capabilities and no others: `NET_ADMIN and NET_RAW` (capabilities(7))."""
    for holder in nodes(context, holders):
        node_hardening.may_exactly(context.bed, holder, names)


@step("{places:Nodes} has interfaces only in {networks:Links}")
@formerly("{places:Nodes} stands only in {networks:Links}")
def stands_only(context: Context, places: str, networks: str) -> None:
    """The node has an interface in each of these networks, and in no other."""
    for place in nodes(context, places):
        node_hardening.stands_only_in(context.bed, place, links(context, networks))


@step("{place:Node} has interfaces only in {first:Links} and {second:Links}")
@formerly("{place:Node} stands only in {first:Links} and {second:Links}")
def stands_only_in_two(context: Context, place: str, first: str, second: str) -> None:
    """Likewise, for a node between two networks."""
    both = [*links(context, first), *links(context, second)]
    node_hardening.stands_only_in(context.bed, node(context, place), both)


@step("{speakers:Nodes} has addresses only of the IP versions its stack gives")
def speaks_as_given(context: Context, speakers: str) -> None:
    """No node has an address, not even a link-local one, of an IP version that its stack does not give it there."""
    node_hardening.speaks_as_given(context.bed, nodes(context, speakers))


@step("no two nodes have the same address")
def no_address_twice(context: Context) -> None:
    """No two nodes on a network have the same address, whatever the Compose file has."""
    node_hardening.no_address_twice(context.bed)


@step("{believer:Node} accepts no packet from {face:Node} on {networks:Links}")
@formerly("{believer:Node} believes no packet from {face:Node} on {networks:Links}")
def believes_none(context: Context, believer: str, face: str, networks: str) -> None:
    """A packet with that node's source address on the wrong network is dropped (reverse path filter).

    Each IP version that both have is tried.
    """
    who, whose = node(context, believer), node(context, face)
    for network in links(context, networks):
        source_checks.refuses_source(context.bed, who, whose, network)
