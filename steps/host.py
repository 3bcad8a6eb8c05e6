"""Phrases: isolation of the host from the testbed, and capabilities of nodes."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from nouns import nodes

from tunnelbed.checks import host_isolation


@step("the host has no route into the testbed")
def no_route(context: Context) -> None:
    """The host, which runs the nodes, has no address in their networks and no route to them."""
    host_isolation.no_route_into(context.bed)


@step("the host's devices are not visible inside any node")
def devices_hidden(context: Context) -> None:
    """Every node has its own network namespace, with no device of the host in it."""
    host_isolation.devices_hidden(context.bed)


@step("{insiders:Nodes} has exactly its own networks")
def own_networks(context: Context, insiders: str) -> None:
    """The node has an interface for each network that its Compose file gives it, and no other."""
    host_isolation.only_own_networks(context.bed, nodes(context, insiders))


@step("{insiders:Nodes} has exactly the capabilities its stack gives")
def capabilities(context: Context, insiders: str) -> None:
    """The node's first process has these, and no process of the node can get others."""
    host_isolation.capabilities_exact(context.bed, nodes(context, insiders))


@step("{insiders:Nodes} is unprivileged")
def unprivileged(context: Context, insiders: str) -> None:
    """The node is not privileged and has no SYS_ADMIN: it cannot administer the host."""
    host_isolation.unprivileged(context.bed, nodes(context, insiders))
