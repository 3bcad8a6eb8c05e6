"""What makes sentences untrue: a few words of nft, ip or swanctl on a node, undone when the context ends."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from tests.refutations import Break
from tunnelbed.checks import security_associations
from tunnelbed.faults import credentials, open_firewall
from tunnelbed.host import waiting
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.readiness import READY
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node, Scenario

RELOAD = "nft -f /etc/tunnelbed/node/nftables.conf"


def told(node: str, *commands: str, undo: str = "true") -> Break:
    """Commands on a node, each of which must work, and one that undoes them."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        bed.engine.run(bed.project, node, ["sh", "-ec", "\n".join(commands)])
        try:
            yield
        finally:
            bed.engine.run(bed.project, node, ["sh", "-ec", undo])

    return broken


def rules(node: str, *commands: str) -> Break:
    """Changes to a node's firewall, in the words of nft(8); afterwards its own rules are read again."""
    return told(node, *(f"nft '{command}'" for command in commands), undo=RELOAD)


def dropped(node: str, chain: str, what: str = "", family: str = "inet") -> Break:
    """A node's firewall drops this, in the words of nft(8), or everything: the first rule of a chain."""
    return rules(node, f"insert rule {family} filter {chain} {what} counter drop")


def handed_on(node: str, port: int, target: str) -> Break:
    """What comes to a TCP port of a gateway is handed on to another node."""
    chain = "add chain ip nat handed_on { type nat hook prerouting priority dstnat; }"
    return rules(node, chain, f"add rule ip nat handed_on tcp dport {port} dnat to {target}")


def all_of(*breaks: Break) -> Break:
    """Several at once, the last one undone first."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        with contextlib.ExitStack() as made:
            for one in breaks:
                made.enter_context(one(bed))
            yield

    return broken


def firewall_open(*nodes: str) -> Break:
    """Nothing is filtered at these gateways, NAT aside."""
    return all_of(*(lambda bed, name=name: open_firewall.opened(bed, bed.scenario.node(name)) for name in nodes))


def forgotten(node: str) -> Break:
    """A gateway has no connections any more, nor tunnels."""
    return lambda bed: security_associations.forgotten(bed, bed.scenario.node(node))


def no_tunnel(node: str) -> Break:
    """A gateway's tunnels end; what starts one on demand stays."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        tunnels.end(bed, bed.scenario.node(node))
        yield

    return broken


def overlaid(node: str, of_connection: str = "", of_child: str = "") -> Break:
    """Other settings in each of a gateway's connections, or in each child of one, as in swanctl.conf."""
    return lambda bed: bed.node(node).daemon.overlaid(of_connection, of_child)


def initiated(node: str, connection: str) -> Break:
    """A gateway sets a tunnel up of its own accord."""
    return told(node, f"swanctl --initiate --ike {connection} --child {connection}")


def machine_is(node: str) -> Break:
    """What is asked of the machine that runs the nodes, a node answers: a machine with an interface in the testbed."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        with (
            patch.object(bed.engine, "machine", lambda command: bed.engine.run(bed.project, node, command)),
            patch.object(bed.engine, "devices", lambda _: list(bed.scenario.networks)),
        ):
            yield

    return broken


def secluded(node: str, network: str) -> Break:
    """A node shares a network's wire with nobody any more: MACVLAN's private mode (ip-link(8))."""
    words = f"ip link set {network} type macvlan mode"
    return told(node, f"{words} private", undo=f"{words} bridge")


def unseen(node: str, network: str) -> Break:
    """What a node sends into a network is lost before anybody sees it, the node's own recorder included."""
    hook = f"type filter hook egress device {network} priority 0; policy drop;"
    return told(
        node,
        "nft add table netdev unseen",
        f"nft 'add chain netdev unseen out {{ {hook} }}'",
        undo="nft delete table netdev unseen",
    )


def same_mac(node: str, other: str) -> Break:
    """A node has the MAC of another one, on a network of its own."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        here, there = (bed.scenario.node(name).attachments[0].network for name in (node, other))
        own, theirs = bed.node(node).mac(here), bed.node(other).mac(there)
        with told(node, f"ip link set {here} address {theirs}", undo=f"ip link set {here} address {own}")(bed):
            yield

    return broken


def given_more(node: str, capability: str) -> Break:
    """A node is made anew with a capability that its stack, as the testbed knows it, does not give."""

    def give(service: dict[str, Any], known: Node) -> None:
        service["cap_add"] = [*known.capabilities, capability]

    return _made_anew(node, give)


def set_to(node: str, key: str, value: int) -> Break:
    """A node is made anew with another value for a sysctl than its stack, as the testbed knows it, gives."""

    def give(service: dict[str, Any], known: Node) -> None:
        service["sysctls"] = {**known.sysctls, key: value}

    return _made_anew(node, give)


def _made_anew(node: str, change: Callable[[dict[str, Any], Node], None]) -> Break:
    """A node is made anew with a change to its service in the stack, of which the testbed does not know."""

    @contextlib.contextmanager
    def broken(bed: Testbed) -> Iterator[None]:
        known = bed.scenario
        stack = yaml.safe_load(known.stack.read_text(encoding="utf-8"))
        change(stack["services"][node], known.nodes[node])
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / known.stack.name
            other.write_text(yaml.safe_dump(stack), encoding="utf-8")
            _renew(bed, node, replace(known, stack=other))
        try:
            yield
        finally:
            _renew(bed, node, known)

    return broken


def _renew(bed: Testbed, node: str, scenario: Scenario) -> None:
    """Make a node anew as a scenario has it, while the testbed goes on knowing its own."""
    known, bed.scenario = bed.scenario, scenario
    try:
        bed.agents.forget(node)
        bed.renew(node)
    finally:
        bed.scenario = known
    waiting.until(lambda: READY in bed.engine.log(bed.project, node), 20, f"{node} to be ready")


# An interface that makes client A1 look as if it stood in the Internet, too.
EXTRA_LINK = told(
    "client-a1", "ip link add internet_link type veth peer name other", undo="ip link delete internet_link"
)


@contextlib.contextmanager
def _any_peer(bed: Testbed) -> Iterator[None]:
    """Gateway A believes whoever has a certificate of the right authority; gateway S says that it is gateway B."""
    says = credentials.of_another_node(bed, bed.scenario.node("gateway-s"), bed.scenario.node("gateway-b"))
    with says, bed.node("gateway-a").daemon.overlaid(own="remote { id = %any }"):
        yield


ANY_PEER: Break = _any_peer
# Requests and answers cross the links in clear: gateway A has no tunnel, neither end filters, the router knows the way.
PLAIN_ROUTING = all_of(
    forgotten("gateway-a"),
    firewall_open("gateway-a", "gateway-s"),
    told("router", "ip route add 10.3.0.0/16 via 172.28.28.28", undo="ip route delete 10.3.0.0/16"),
)
