"""Mistakes in the Compose stack: forwarding, source checks, capabilities, attachments.

A mutant's stack is the whole document written anew, one service changed: YAML anchors are spelt out in it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from tunnelbed.mutation import Mutant, Sources, spelt_out
from tunnelbed.mutation.operators import operator
from tunnelbed.topology.model import Network, Node

# ip-sysctl.rst: what makes a router of a host, and what makes it believe only likely sources.
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding")
SOURCE_CHECKS = ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter")
# With which a node has no address of that IP version (ip-sysctl.rst).
NO_IPV6 = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")


@operator("forwarding-off")
def forwarding_off(files: Sources) -> Iterator[Mutant]:
    """A router or gateway forwards nothing."""
    yield from _sysctls_off(files, "forwarding-off", FORWARDING, "does not forward")


@operator("source-check-off")
def source_check_off(files: Sources) -> Iterator[Mutant]:
    """A node accepts any source address (no rp_filter)."""
    yield from _sysctls_off(files, "source-check-off", SOURCE_CHECKS, "accepts any source address")


@operator("ipv6-left-on")
def ipv6_left_on(files: Sources) -> Iterator[Mutant]:
    """A node that is to have no IPv6 has it all the same."""
    for node in files.scenario.nodes.values():
        if found := [key for key in NO_IPV6 if node.sysctls.get(key) == "1"]:
            change = _with_sysctls(dict.fromkeys(found))
            yield from _stack(files, "ipv6-left-on", node.name, f"{node.name}: IPv6 is left on", change)


@operator("sysctl-missing")
def sysctl_missing(files: Sources) -> Iterator[Mutant]:
    """A setting of a node's kernel is missing."""
    for node in files.scenario.nodes.values():
        for key in _plain_sysctls(node):
            yield from _sysctl(files, "sysctl-missing", node, key, None, f"{node.name}: {key} is missing")


@operator("sysctl-turned")
def sysctl_turned(files: Sources) -> Iterator[Mutant]:
    """A setting of a node's kernel that is on is off, or the other way round."""
    for node in files.scenario.nodes.values():
        for key, value in _plain_sysctls(node).items():
            if value.lstrip("-").isdecimal():
                now = 0 if int(value) > 0 else 1
                yield from _sysctl(files, "sysctl-turned", node, key, now, f"{node.name}: {key} is {now}, not {value}")


@operator("capability-added")
def capability_added(files: Sources) -> Iterator[Mutant]:
    """A node may do more than it needs."""
    for node in files.scenario.nodes.values():
        if node.privileged or "SYS_ADMIN" in node.capabilities:
            continue

        def add(service: dict[str, Any]) -> None:
            service["cap_add"] = [*service.get("cap_add", ()), "SYS_ADMIN"]

        yield from _stack(files, "capability-added", node.name, f"{node.name}: has the capability SYS_ADMIN", add)


@operator("network-joined")
def network_joined(files: Sources) -> Iterator[Mutant]:
    """A host behind a gateway, or a gateway, also has an interface on a network that is not its own."""
    scene = files.scenario
    for node in scene.nodes.values():
        if not node.site:
            continue
        for network in scene.networks.values():
            if node.address_on(network.name) or not _tempting(node, network):
                continue

            def join(service: dict[str, Any], network: Network = network) -> None:
                joined = service["networks"]
                joined = dict.fromkeys(joined) if isinstance(joined, list) else joined
                service["networks"] = {**joined, network.name: _free(files, network)}

            place = f"{node.name} to {network.name}"
            yield from _stack(
                files, "network-joined", place, f"{node.name}: also joined to {network.name}", join, node.name
            )
            break


def _tempting(node: Node, network: Network) -> bool:
    """Where an interface does harm: for a host the link before its gateway, for a gateway another site's inside."""
    if node.role == "gateway":
        return network.role == "intranet" and network.site != node.site
    return network.role == "isp_link" and network.site == node.site


def _free(files: Sources, network: Network) -> dict[str, str]:
    """A free address of a network, some way up its subnet."""
    taken = {address for other in files.scenario.nodes.values() for address in other.addresses}
    said = {}
    for subnet in network.subnets:
        address = next(subnet[200 + i] for i in range(40) if subnet[200 + i] not in taken)
        said[f"ipv{subnet.version}_address"] = str(address)
    return said


def _sysctls_off(files: Sources, name: str, keys: tuple[str, ...], sentence: str) -> Iterator[Mutant]:
    for node in files.scenario.nodes.values():
        found = [key for key in keys if node.sysctls.get(key, "0") not in ("0", "")]
        if not found:
            continue

        change = _with_sysctls(dict.fromkeys(found, 0))
        yield from _stack(files, name, node.name, f"{node.name}: {sentence}", change)


def _plain_sysctls(node: Node) -> Mapping[str, str]:
    """A node's sysctls, those aside that `ipv6-left-on` is about."""
    return {key: value for key, value in node.sysctls.items() if key not in NO_IPV6 or value != "1"}


def _sysctl(files: Sources, name: str, node: Node, key: str, value: int | None, sentence: str) -> Iterator[Mutant]:
    """The stack with another value for one sysctl of a node, or without it."""
    change = _with_sysctls({key: value})
    return _stack(files, name, f"{node.name} {key}", sentence, change, node.name)


def _with_sysctls(values: Mapping[str, int | None]) -> Callable[[dict[str, Any]], None]:
    """Give a service these sysctls, and take away those whose value is None."""

    def change(service: dict[str, Any]) -> None:
        sysctls = service["sysctls"]
        if isinstance(sysctls, list):
            sysctls = dict(item.split("=", 1) for item in sysctls)
        service["sysctls"] = {key: value for key, value in {**sysctls, **values}.items() if value is not None}

    return change


def _stack(
    files: Sources, name: str, place: str, sentence: str, change: Callable[[dict[str, Any]], None], node: str = ""
) -> Iterator[Mutant]:
    """The stack with one service changed; none where another file has the service, or what would be changed of it."""
    document = copy.deepcopy(yaml.safe_load(files.text(files.stack)))
    service = dict((document.get("services") or {}).get(node or place) or {})
    try:
        change(service)
    except KeyError:
        return
    if "image" in service or "networks" in service:
        document["services"][node or place] = service
        yield Mutant(name, place, sentence, {files.stack: spelt_out(document)})
