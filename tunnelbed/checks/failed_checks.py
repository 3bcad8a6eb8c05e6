"""Why a health check of the stack fails: the packet's path, the cause, and what to try next."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Sequence

from tunnelbed.checks import packet_trace
from tunnelbed.errors import ChecksFailed, TunnelbedError
from tunnelbed.host import shell
from tunnelbed.observe import evidence_text
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import naming
from tunnelbed.topology.model import Address, Node


def explained(bed: Testbed, failed: ChecksFailed, which: Sequence[str]) -> Sequence[str]:
    """Lines for a person: each failing check with the way of a ping to the address that it names, then what to try.

    `which` are the words that name this testbed in a command, such as `--scenario ipv6`.
    """
    lines: list[str] = []
    for name, said in failed.failed.items():
        node = bed.scenario.nodes[name]
        printed = " ".join(said.split()) or "it printed nothing"
        lines.append(f"{name}: its check `{shell.quoted(node.check)}` does not pass: {printed}")
        target = asked_for(bed, node)
        if target is not None:
            lines += [f"  {line}" for line in _way(bed, node, target)]
    return [*lines, f"{bed.name} stays up. To look closer:", *(f"  {line}" for line in _next(bed, failed, which))]


def asked_for(bed: Testbed, node: Node) -> Address | Node | None:
    """What a node's check asks: the first address or node in its command, or else the one server there is."""
    for word in node.check[1:]:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(word)
        if word in bed.scenario.nodes and word != node.name:
            return bed.scenario.nodes[word]
    with contextlib.suppress(TunnelbedError):
        return naming.node(bed.scenario, "the server")
    return None


def _way(bed: Testbed, node: Node, target: Address | Node) -> Sequence[str]:
    """A ping's way, as `invoke trace` prints it; or why there is none."""
    to = target.name if isinstance(target, Node) else str(target)
    try:
        wanted = packet_trace.asked(bed, node.name, to)
        return [f"a ping from {node.name} to {to}:", *evidence_text.path(packet_trace.trace(bed, wanted))]
    except TunnelbedError as wrong:
        return [f"a ping from {node.name} to {to} could not be traced: {wrong}"]


def _next(bed: Testbed, failed: ChecksFailed, which: Sequence[str]) -> Iterator[str]:
    """Commands that can be pasted."""
    node = bed.scenario.nodes[next(iter(failed.failed))]
    target = asked_for(bed, node)
    yield shell.quoted(["invoke", "logs", *which])
    if target is not None:
        to = target.name if isinstance(target, Node) else str(target)
        yield shell.quoted(["invoke", "trace", *which, "--from", node.name, "--to", to])
    yield shell.quoted(["invoke", "exec", *which, "--node", node.name, "--", *node.check])
    yield shell.quoted(["invoke", "down", *which])
