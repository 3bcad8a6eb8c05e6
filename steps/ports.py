"""Phrases: all TCP and UDP ports, each tested."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from nouns import node, pairs

from tunnelbed.checks import all_ports


@step("{sources:Nodes} reaches {targets:Nodes} on no TCP or UDP port")
def reaches_on_none(context: Context, sources: str, targets: str) -> None:
    """The first packet to each of the 131,070 ports is seen to be stopped, while a control packet arrives.

    A gateway counts as reached on a port if its firewall accepts or forwards the packet, with or without an answer.
    """
    for source, target in pairs(context, sources, targets):
        all_ports.reaches_only(context.bed, source, target)


@step("{sources:Nodes} reaches {targets:Nodes} on no TCP or UDP port but {ports:Kinds}")
def reaches_on_no_other(context: Context, sources: str, targets: str, ports: list[str]) -> None:
    """Likewise, except these, on each of which the packet arrives: `TCP port 8080 and UDP port 53`."""
    for source, target in pairs(context, sources, targets):
        all_ports.reaches_only(context.bed, source, target, ports)


@step("the firewall of {gateway:Node} drops every TCP and UDP port from {source:Node} to {target:Node}")
def drops_every(context: Context, gateway: str, source: str, target: str) -> None:
    """The first packet to each of the 131,070 ports arrives at the gateway, which neither forwards nor accepts it."""
    all_ports.passes_only(context.bed, node(context, gateway), node(context, source), node(context, target))


@step(
    "the firewall of {gateway:Node} drops every TCP and UDP port but {ports:Kinds} from {source:Node} to {target:Node}"
)
def drops_every_other(context: Context, gateway: str, ports: list[str], source: str, target: str) -> None:
    """Likewise, except these, each of which the gateway forwards: `TCP port 8080 and UDP port 53`."""
    all_ports.passes_only(context.bed, node(context, gateway), node(context, source), node(context, target), ports)
