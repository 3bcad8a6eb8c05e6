"""The nouns of sentences, registered once as types for every phrase.

A type only marks off the words; which node or network they mean depends on the scenario (`node`, `nodes`, `links`),
and which ping on what was said before (`pinged`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import parse
from behave import register_type
from behave.runner import Context

from tunnelbed.errors import BadInput
from tunnelbed.observe.probes import Ping, registry
from tunnelbed.topology import naming
from tunnelbed.topology.model import LAST_PORT, Address, Network, Node

KIND = registry.WORDS

ADDRESS = r"(?:\d+(?:\.\d+){3}|[\da-f]*:[\da-f.:]*)"


@parse.with_pattern(naming.NODE)
def parse_node(text: str) -> str:
    """A node: `client A1`, `gateway-a`, `the server`, `the Internet`."""
    return text


@parse.with_pattern(naming.NODES)
def parse_nodes(text: str) -> str:
    """A node or several: `client A1`, `every client`, `every client of site B`."""
    return text


@parse.with_pattern(naming.LINK)
def parse_links(text: str) -> str:
    """A network or several: `the ISP link of site A`, `any ISP link`, `isp_link_a`."""
    return text


@parse.with_pattern(ADDRESS)
def parse_address(text: str) -> Address:
    """An IP address: `10.1.0.99`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise BadInput("Then", "", repr(text), "an IP address", "correct the sentence") from None


@parse.with_pattern(rf"{naming.NODES}|{ADDRESS}")
def parse_targets(text: str) -> str:
    """A node or several, or an IP address, which need not be in the stack: `the server`, `10.82.1.2`."""
    return text


@parse.with_pattern(rf"{naming.NODE}|{ADDRESS}")
def parse_face(text: str) -> str:
    """A node, or an IP address: `gateway A`, `10.101.0.1`."""
    return text


@parse.with_pattern(r"(?: by IPv[46])?")
def parse_by_version(text: str) -> int:
    """An IP version, or none and so each: ` by IPv6`."""
    return int(text[-1]) if text else 0


@parse.with_pattern(r"\d+")
def parse_port(text: str) -> int:
    """A port, 1 to 65535."""
    return _port(text)


@parse.with_pattern(r"\d+(?:\.\d+)?")
def parse_seconds(text: str) -> float:
    """A time in seconds."""
    return float(text)


@parse.with_pattern(rf"{KIND}(?:(?:, | and ){KIND})*")
def parse_kinds(text: str) -> list[str]:
    """Kinds of packets: `IKE and ESP`, `TCP port 80`, `ICMP`."""
    return [parse_kind(kind) for part in text.split(", ") for kind in part.split(" and ")]


@parse.with_pattern(KIND)
def parse_kind(text: str) -> str:
    """A kind of packet: `TCP port 80`, `UDP port 53`, `ICMP`."""
    if number := re.search(r"\d+$", text.partition(" port ")[2]):
        _port(number[0])
    return text


def _port(text: str) -> int:
    """A port's number. Raises `BadInput`, since no packet has another."""
    if not 1 <= int(text) <= LAST_PORT:
        raise BadInput("Then", "", f"port {text}", f"a port, 1 to {LAST_PORT}", "correct the sentence")
    return int(text)


@parse.with_pattern("IKE|ESP")
def parse_layer(text: str) -> str:
    """One of the two layers of a tunnel: `IKE` or `ESP`."""
    return text


register_type(
    Node=parse_node,
    Nodes=parse_nodes,
    Links=parse_links,
    Targets=parse_targets,
    Face=parse_face,
    ByVersion=parse_by_version,
    Address=parse_address,
    Port=parse_port,
    Seconds=parse_seconds,
    Kind=parse_kind,
    Kinds=parse_kinds,
    Layer=parse_layer,
)


def node(context: Context, said: str) -> Node:
    """The node a sentence means."""
    return naming.node(context.bed.scenario, said)


def nodes(context: Context, said: str) -> Sequence[Node]:
    """The nodes a sentence means."""
    return naming.nodes(context.bed.scenario, said)


def pairs(context: Context, sources: str, targets: str) -> Sequence[tuple[Node, Node]]:
    """Each source with each target, except itself. A sentence about no pair shows nothing: `BadInput`."""
    found = [
        (source, target) for source in nodes(context, sources) for target in nodes(context, targets) if source != target
    ]
    if not found:
        raise BadInput("Then", sources, f"only {targets}", "another node, too", "name another node")
    return found


def questions(context: Context, sources: str, targets: str) -> Sequence[tuple[Node, Node | Address]]:
    """Likewise, where an address may be meant, of any node or of none."""
    if address := addressed(targets):
        return [(source, address) for source in nodes(context, sources)]
    return pairs(context, sources, targets)


def node_or_address(context: Context, said: str) -> Node | Address:
    """The node or the address that a sentence means."""
    return addressed(said) or node(context, said)


def addressed(said: str) -> Address | None:
    """The address that stands there, if it is one."""
    try:
        return ipaddress.ip_address(said)
    except ValueError:
        return None


def links(context: Context, said: str) -> Sequence[Network]:
    """The networks a sentence means."""
    return naming.networks(context.bed.scenario, said)


def pinged(context: Context) -> Ping:
    """The last ping that a When sent."""
    if not isinstance(context.ping, Ping):
        expected = "a ping before this sentence"
        raise BadInput("Then", "", "none", expected, "add `When client A1 pings the server`")
    return context.ping
