"""Faults: a node restarts, a daemon is killed, a link goes down, loses packets or large ones, a tunnel is taken down.

Each is a context manager, so that what does not heal by itself is healed at its end.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence

from tunnelbed.checks import application
from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.tunnel_path import Via
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.readiness import READY
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node

# A node configures itself within a second.
RESTART_SECONDS = 20.0
# Ends every process of that name with SIGKILL, and fails where there is none. The image has no pkill.
KILL = """
found=1
for process in /proc/[0-9]*; do
    if [ "$(cat "$process/comm" 2>/dev/null)" = "$1" ]; then kill -KILL "${process#/proc/}" && found=0; fi
done
exit $found
"""
# What a node sends into a network goes through this first; what is dropped there never crossed it. Neighbours find each
# other all the same: what is lost is IP.
EGRESS = """
table netdev {table} {{
    chain egress {{
        type filter hook egress device "{network}" priority 0;
        icmpv6 type {{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
        {rules}
    }}
}}
"""
IPV6_HEADER = 40  # bytes (RFC 8200, 3): the length in it is of what follows


@contextlib.contextmanager
def restarted(bed: Testbed, node: Node) -> Iterator[None]:
    """The node stops at once and starts again; it is ready before the body runs."""
    journal = Journal(bed)
    bed.agents.forget(node.name)
    bed.engine.restart(bed.project, node.name)
    if not journal.count(node.name, READY, 1, RESTART_SECONDS):
        raise DeadlinePassed(f"{node.name} to be ready again", RESTART_SECONDS, "its log has no such line")
    yield


@contextlib.contextmanager
def killed(bed: Testbed, node: Node, process: str) -> Iterator[None]:
    """Every process of that name ends at once, without any shutdown (SIGKILL)."""
    if bed.node(node).run(["sh", "-c", KILL, "kill", process]).status:
        raise BadInput(node.name, process, "no such process", "one that runs there", "name a process that runs there")
    yield


@contextlib.contextmanager
def link_down(bed: Testbed, node: Node, network: Network) -> Iterator[None]:
    """The node's interface on a network is down; it comes back at the end, if it has not before."""
    _stands_in(node, network)
    bed.absent.add((node.name, network.name))
    try:
        bed.node(node).run(["ip", "link", "set", "dev", network.interface, "down"], check=True)
        yield
    finally:
        link_up(bed, node, network)


def link_up(bed: Testbed, node: Node, network: Network) -> None:
    """The interface is up, with what went with it: the addresses the stack gives it, and the node's own routes."""
    _stands_in(node, network)
    agent = bed.node(node)
    agent.run(["ip", "link", "set", "dev", network.interface, "up"], check=True)
    for interface in next(at.addresses for at in node.attachments if at.network == network.name):
        how = ["nodad"] if interface.version == 6 else ["brd", "+"]
        agent.run(["ip", "address", "replace", str(interface), "dev", network.interface, *how], check=True)
    batch = "/etc/tunnelbed/node/ip.batch"
    agent.run(["sh", "-c", f"[ ! -f {batch} ] || ip -batch {batch}"], check=True)
    bed.absent.discard((node.name, network.name))


def lossy(bed: Testbed, network: Network, count: int) -> contextlib.AbstractContextManager[None]:
    """Of the IP packets that a node sends into a network, one in so many is dropped: the last of each so many."""
    if count < 1:
        raise BadInput(network.name, "", f"one packet in {count}", "one in 1 or more", "correct the sentence")
    # A set of last numbers, so that of one in 3 two get through first.
    counted = f"meta protocol {{ ip, ip6 }} numgen inc mod {count} == {count - 1} drop"
    return _sending(bed, network, counted)


def narrow(bed: Testbed, network: Network, size: int) -> contextlib.AbstractContextManager[None]:
    """Larger IP packets are dropped without an ICMP error: a path MTU black hole (RFC 2923, 2.1).

    Of TCP in clear, segments that the kernel has not cut yet count as one packet (GSO); ESP comes as it will go.
    """
    rules = (f"ip length > {size} drop", f"ip6 length > {max(size - IPV6_HEADER, 0)} drop")
    return _sending(bed, network, *rules)


@contextlib.contextmanager
def _sending(bed: Testbed, network: Network, *rules: str) -> Iterator[None]:
    """Whatever a node sends into a network goes by these rules of nft(8), until the body ends or the node restarts."""
    table = f"fault_{secrets.token_hex(4)}"
    text = EGRESS.format(table=table, network=network.interface, rules="\n        ".join(rules))
    nodes = [node.name for node in bed.scenario.on(network.name) if (node.name, network.name) not in bed.absent]
    with contextlib.ExitStack() as told:
        for node in nodes:
            # A node that restarted meanwhile has none, and one that cannot be told keeps it from no other.
            told.callback(bed.node(node).run, ["nft", "delete", "table", "netdev", table])
            _told(bed, node, text)
        yield


def _told(bed: Testbed, node: str, rules: str) -> None:
    """A node has these rules of nft(8). Raises `TunnelbedError` if its kernel has no egress hook."""
    try:
        bed.node(node).run(["sh", "-c", 'echo "$1" | nft -f -', "sh", rules], check=True)
    except CommandFailed as refused:
        if "Operation not supported" not in refused.output:
            raise
        advice = "use an engine whose kernel has it (`--engine qemu`)"
        raise TunnelbedError(
            f"this kernel cannot drop packets on egress (it lacks CONFIG_NETFILTER_EGRESS); {advice}"
        ) from refused


@contextlib.contextmanager
def tunnel_down(bed: Testbed, gateway: Node, peer: Node) -> Iterator[None]:
    """One gateway deletes its tunnels with a peer and notifies the peer."""
    for tunnel in tunnels.between(bed, gateway, peer):
        bed.node(gateway).daemon.end(tunnel, politely=True)
    yield


def answered_within(
    bed: Testbed, sources: Sequence[Node], server: Node, seconds: float, since: float, *, via: Via = Via.ANY
) -> None:
    """Every source gets its pong before `seconds`, stretched, have passed since a moment (of `Testbed.time`).

    A failure reports how long was waited, and who was answered by then and when. Raises `Unmet`, or `MachineBusy`
    where an answer came later and the machine is too busy to say why.
    """
    answered: list[str] = []
    within, allowance = f" within {bed.time.told(seconds)}", bed.time.allowance(seconds, since)
    for source in sources:
        try:
            application.gets_pong(bed, source, server, via=via, patience=allowance)
        except Unmet as unmet:
            told = "; ".join(answered) or "no node before it"
            seen = f"after {allowance.passed():.1f} s: {unmet.seen} (answered: {told})"
            raise Unmet(f"{unmet.expected}{within}", seen, unmet.evidence) from unmet
        answered.append(f"{source.name} after {allowance.came:.1f} s")
        expected = f"{source.name} gets a pong{within}"
        allowance.judged(expected)
        if allowance.came > allowance.seconds:
            raise Unmet(expected, "; ".join(answered))


def _stands_in(node: Node, network: Network) -> None:
    """The node has an interface on the network; raises `BadInput` where it has none."""
    if all(at.network != network.name for at in node.attachments):
        listed = ", ".join(at.network for at in node.attachments)
        raise BadInput(node.name, network.name, "no interface on it", f"one of: {listed}", "name another network")
