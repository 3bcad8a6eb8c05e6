"""Phrases: isolation of the host from the testbed, and capabilities of nodes."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from nouns import nodes

from tunnelbed.checks import host_isolation


@step("the host has no route into the testbed")
def no_route(context: Context) -> None:
    """The machine that runs the nodes has no address in a network of theirs, and no route to one."""
    host_isolation.no_route_into(context.bed)


@step("the host's devices are not visible inside any node")
def devices_hidden(context: Context) -> None:
    """Every node has a network stack of its own, and no device of the host in it but a lo of its own."""
    host_isolation.devices_hidden(context.bed)


@step("{insiders:Nodes} has exactly its own networks")
def own_networks(context: Context, insiders: str) -> None:
    """A device for each network that the stack gives the node, and none besides."""
    host_isolation.only_own_networks(context.bed, nodes(context, insiders))


@step("{insiders:Nodes} has exactly the capabilities its stack gives")
def capabilities(context: Context, insiders: str) -> None:
    """The node's first process has these, and nothing in the node can get others."""
    host_isolation.capabilities_exact(context.bed, nodes(context, insiders))


@step("{insiders:Nodes} is unprivileged")
def unprivileged(context: Context, insiders: str) -> None:
    """The node may not administer the machine."""
    host_isolation.unprivileged(context.bed, nodes(context, insiders))
