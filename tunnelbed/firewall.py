"""What a firewall decides about a packet, in the kernel's own words: the trace of nftables (nft(8), `monitor trace`).

A packet is seen to go through every chain, up to the rule or policy that decides. Rules of iptables-nft are traced
likewise.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Sequence

from tunnelbed import waiting
from tunnelbed.errors import BadInput, DeadlinePassed, TunnelbedError
from tunnelbed.model import Node
from tunnelbed.probes import Datagram, Knock, Ping, Probe
from tunnelbed.reachability import address_towards, send, source_address
from tunnelbed.testbed import Testbed
from tunnelbed.verdict import Unmet

TABLE = "tunnelbed_trace"
# Traced from before the first decision on: priority raw is -300.
RULES = """\
table inet {table} {{
    chain arrives {{
        type filter hook prerouting priority -400;
        {family} saddr {source} {family} daddr {target} meta l4proto {protocol} meta nftrace set 1
    }}
}}
"""
# Seconds in which packets are sent until the trace of one is told; the first ones may come before the tracing.
PATIENCE = 3.0
ATTEMPT = 0.1
# A packet is accepted once a chain of these hooks has accepted it and no later one speaks: for the node itself, or on
# its way through.
LAST = ("input", "forward", "postrouting")


def probe_of(kind: str) -> Probe:
    """The packet that a kind asks for: `ICMP`, `TCP port 8080`, `UDP port 53`."""
    match = re.fullmatch(r"(ICMP|TCP|UDP)(?: port (\d+))?", kind)
    if match and match[1] == "ICMP" and not match[2]:
        return Ping()
    if match and match[1] != "ICMP" and match[2]:
        return (Knock if match[1] == "TCP" else Datagram)(int(match[2]))
    raise BadInput("Then", "", kind, "ICMP, TCP port N or UDP port N", "correct the sentence")


@contextlib.contextmanager
def opened(bed: Testbed, gateway: Node) -> Iterator[None]:
    """A gateway whose filters let everything pass, NAT aside, while the body runs: what stops a packet now is another.

    Afterwards its nftables.conf is read again.
    """
    for chain in filters(_nft(bed, gateway, "-j", "list", "chains")):
        _nft(bed, gateway, "flush", "chain", *chain)
        _nft(bed, gateway, "chain", *chain, "{ policy accept; }")
    try:
        yield
    finally:
        _nft(bed, gateway, "-f", "/etc/tunnelbed/node/nftables.conf")


def filters(listed: str) -> Sequence[tuple[str, str, str]]:
    """The chains that decide what passes, in the output of `nft -j list chains`: family, table, name."""
    chains = [entry["chain"] for entry in json.loads(listed)["nftables"] if "chain" in entry]
    return [(found["family"], found["table"], found["name"]) for found in chains if found.get("type") == "filter"]


def _nft(bed: Testbed, node: Node, *words: str) -> str:
    return bed.engine.run(bed.project, node.name, ["nft", *words]).stdout


def decides(bed: Testbed, gateway: Node, source: Node, target: Node, kind: str, verdict: str) -> None:
    """The firewall of a gateway drops or accepts (`verdict`) a packet of that kind. Raises `Unmet`."""
    probe = probe_of(kind)
    trace = traced(bed, gateway, source, target, probe)
    found = decision(trace)
    if found != verdict:
        expected = f"the firewall of {gateway.name} {verdict}s {kind} from {source.name} to {target.name}"
        told = [f"  {line}" for line in trace]
        raise Unmet(expected, f"{found or 'no decision'}", ["trace:", *told])


def traced(bed: Testbed, gateway: Node, source: Node, target: Node, probe: Probe) -> Sequence[str]:
    """The trace of one packet through a gateway's firewall, a line a decision, up to the last one.

    Raises `TunnelbedError` where the packet does not come to the gateway.
    """
    address = address_towards(bed, source, target)
    protocol = {"ping": "icmp" if address.version == 4 else "icmpv6"}.get(probe.name, probe.name[:3].lower())
    family = "ip" if address.version == 4 else "ip6"
    rules = RULES.format(
        table=TABLE, family=family, source=source_address(source, address), target=address, protocol=protocol
    )
    bed.engine.run(bed.project, gateway.name, ["nft", "-f", "-"], stdin=rules.encode())
    try:
        for lines in _monitor(bed, gateway):
            send(bed, source, target, probe)
            try:
                return _settled(lines)
            except DeadlinePassed:
                continue
    finally:
        bed.agents.on(gateway.name).run(["nft", "delete", "table", "inet", TABLE])
    raise TunnelbedError(
        f"{probe.name} from {source.name} is not seen by the firewall of {gateway.name}: see its routes"
    )


def decisions(lines: Sequence[str]) -> Sequence[str]:
    """The decisions on the first packet on which there is a last one, or nothing yet."""
    by_packet: dict[str, list[str]] = {}
    for line in list(lines):
        if match := re.match(r"trace id (\w+) (.*)", line):
            by_packet.setdefault(match[1], []).append(match[2].strip())
    for told in by_packet.values():
        decided = [line for line in told if " packet: " not in line and TABLE not in line]
        if decision(decided):
            return decided
    return ()


def decision(trace: Sequence[str]) -> str:
    """`drop` or `accept` where a trace is at its end, otherwise nothing."""
    if any(re.search(r"verdict drop\)|policy drop|verdict reject\)", line) for line in trace):
        return "drop"
    passed = any(re.search(rf"\b({'|'.join(LAST)})\b", line) for line in trace)
    return "accept" if passed and re.search(r"verdict accept\)|policy accept", trace[-1]) else ""


def _settled(lines: Sequence[str]) -> Sequence[str]:
    """The decisions on a packet once two looks in a row see the same; raises `DeadlinePassed`."""
    before: Sequence[str] = ()

    def look() -> Sequence[str]:
        nonlocal before
        seen, before = before, decisions(lines)
        return before if before == seen else ()

    return waiting.until(look, ATTEMPT, "a trace")


def _monitor(bed: Testbed, node: Node) -> Iterator[list[str]]:
    """What `nft monitor trace` tells on a node, a growing list, yielded once an attempt; it ends with the iteration."""
    stream = bed.engine.open(bed.project, node.name, ["timeout", str(PATIENCE), "nft", "monitor", "trace"])
    lines: list[str] = []

    def listen() -> None:
        rest = b""
        with contextlib.suppress(OSError):  # closed by the end of the iteration
            while data := stream.receive():
                *ended, rest = (rest + data).split(b"\n")
                lines.extend(line.decode(errors="replace") for line in ended)

    listener = threading.Thread(target=listen, name=f"trace {node.name}", daemon=True)
    listener.start()
    try:
        for _ in range(int(PATIENCE / ATTEMPT)):
            yield lines
    finally:
        stream.close()
