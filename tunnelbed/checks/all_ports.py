"""All TCP and UDP ports, each tested: so an open port that no sentence names is found.

One node sends the first packet to each of 65,535 ports by TCP and by UDP (`scripts/node/burst`), and every node's
kernel notes which of them come in, are taken by the node itself, and go out again: in sets of nftables, in a table of
our own that decides nothing. So no packet is missed because there are many, and no rate limit of an answer matters.

Evidence that a port is not reached: its packet left the source, or was refused there; each node that it left was
followed by one that it came to, so that none was lost under way; and a packet with the same mark, put before the target
by a neighbour, was noted there.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tunnelbed.checks.address_selection import (
    addresses_towards,
    every_address_towards,
    known_addresses_towards,
    source_address,
)
from tunnelbed.checks.reachability import ON_ITS_WAY, REFUSALS
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agent
from tunnelbed.errors import BadInput, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe.evidence import Text
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import LAST_PORT, Address, Node

Ports = Mapping[str, frozenset[int]]

# Nobody is asked for port 0: a packet with it is the control.
CONTROL = 0
PROTOCOLS = {"TCP": 6, "UDP": 17}
# A port without a service, to learn the neighbours' MACs with: a packet that waits for one is one of few (arp(7)).
FIRST_ASKED = 9
# All ports again where packets were lost: a busy kernel drops what it cannot queue (net.core.netdev_max_backlog).
SWEEPS = 3
SWEEP_SECONDS = 60.0
# So many runs of ports are named in a failure.
MOST_RUNS = 10
BURST = "/usr/lib/tunnelbed/burst"
TABLE = "tunnelbed_ports"
# Before anything else sees a packet (raw is -300), and after everything else has accepted it (srcnat is 100).
HOOKS = {"came": "prerouting priority -450", "taken": "input priority 450", "left": "postrouting priority 450"}


@dataclass(frozen=True)
class Sweep:
    """The first packets to every port by one protocol, known by a mark that no NAT changes: so is the port asked for.

    TCP has both in the sequence number, and the mark's other half as its window; UDP has them in its payload.
    """

    protocol: str
    mark: int = field(default_factory=lambda: secrets.randbits(32))
    from_port: int = field(default_factory=lambda: 40000 + secrets.randbelow(20000))

    def packet(self, source: Address, target: Address) -> Packet:
        """The packet for port 0, which is not sent itself: `burst` makes the others from it."""
        header = (IP if target.version == 4 else IPv6)(src=str(source), dst=str(target))
        if self.protocol == "TCP":
            sequence, window = self.mark & 0xFFFF0000, self.mark & 0xFFFF
            return header / TCP(sport=self.from_port, dport=0, flags="S", seq=sequence, window=window)
        return header / UDP(sport=self.from_port, dport=0) / Raw(self.mark.to_bytes(4, "big") + b"\0\0")

    def rule(self, into: str) -> str:
        """The nftables rule that adds the destination port to a set (nft(8), "RAW PAYLOAD EXPRESSION")."""
        if self.protocol == "TCP":
            known = f"@th,32,16 {self.mark >> 16} @th,112,16 {self.mark & 0xFFFF}"
        else:
            known = f"@th,64,32 {self.mark}"
        return f"meta l4proto {PROTOCOLS[self.protocol]} {known} add @{into} {{ {self.word} }}"

    @property
    def word(self) -> str:
        """Where the port asked for stands a second time: 16 bits, from the beginning of the transport header."""
        return "@th,48,16" if self.protocol == "TCP" else "@th,96,16"


@dataclass(frozen=True)
class Seen:
    """Where the packets of one protocol were seen: for each node the ports that arrived, were accepted, and left."""

    came: Mapping[str, frozenset[int]]
    taken: Mapping[str, frozenset[int]]
    left: Mapping[str, frozenset[int]]
    # How many the source's own kernel refused by a rule or for want of a route.
    refused: int = 0

    def astray(self) -> int:
        """The number of packets that left a node and arrived at no other."""
        came = Counter(port for ports in self.came.values() for port in ports)
        left = Counter(port for ports in self.left.values() for port in ports)
        return sum((left - came).values())

    def lost(self, source: str) -> str:
        """Why the result is unknown for some packets, from port 1 to the last; empty if all are accounted for."""
        if astray := self.astray():
            return f"{astray} left a node and were not seen to come to another"
        unsent = LAST_PORT - self.refused - len(self.left.get(source, ()))
        return f"{unsent} were not even seen to leave {source}" if unsent else ""

    def reached(self, target: str, *, guards: bool) -> frozenset[int]:
        """The ports on which a node was reached; one that `guards` itself counts only if it accepts or forwards."""
        found = self.taken[target] | self.left[target] if guards else self.came[target]
        return found - {CONTROL}

    def places(self, protocol: str) -> Sequence[str]:
        """A line for each node to which a packet came."""
        return [f"  {len(ports)} {protocol} packets came to {node}" for node, ports in self.came.items() if ports]


def reaches_only(bed: Testbed, source: Node, target: Node, kinds: Sequence[str] = ()) -> None:
    """A node reaches another on these ports (`TCP port 8080`), each of them, and on no other port of TCP or UDP.

    By each IP version that both have, at the address that the source would use; at no other one on other ports. Raises
    `Unmet`, or an error if nothing can be said.
    """
    allowed = allowed_ports(kinds)
    besides = f" but {ports}" if (ports := named(allowed)) else ""
    used = addresses_towards(bed, source, target)
    for address in every_address_towards(bed, source, target):
        expected = f"{source.name} reaches {target.name} at {address} on no TCP or UDP port{besides}"
        wanted = allowed if address in used else allowed_ports(())
        _swept(Question(bed, source, target, address, target), allowed, wanted, expected)


def passes_only(bed: Testbed, gateway: Node, source: Node, target: Node, kinds: Sequence[str] = ()) -> None:
    """The firewall of a gateway accepts packets from one node to another on these ports, and on no others.

    Whatever becomes of them behind it. Raises as `reaches_only`.
    """
    allowed = allowed_ports(kinds)
    besides = f" but {ports}" if (ports := named(allowed)) else ""
    for address in known_addresses_towards(bed, source, target):
        ways = f"from {source.name} to {target.name} at {address}"
        expected = f"the firewall of {gateway.name} drops every TCP and UDP port{besides} {ways}"
        _swept(Question(bed, source, target, address, gateway), allowed, allowed, expected)


def allowed_ports(kinds: Sequence[str]) -> Ports:
    """The ports named. Raises `BadInput`."""
    found: dict[str, set[int]] = {name: set() for name in PROTOCOLS}
    for kind in kinds:
        match = re.fullmatch(r"(TCP|UDP) port (\d+)", kind)
        if not match or not 0 < int(match[2]) <= LAST_PORT:
            raise BadInput("Then", "", kind, f"TCP port N or UDP port N, 1 to {LAST_PORT}", "correct the sentence")
        found[match[1]].add(int(match[2]))
    return {name: frozenset(ports) for name, ports in found.items()}


def _swept(asks: Question, allowed: Ports, wanted: Ports, expected: str) -> None:
    """Test all ports: those `wanted` get through, and none that is not `allowed`. Raises as `reaches_only`."""
    with asks.noted():
        asks.asked_first({name: ports or {FIRST_ASKED} for name, ports in allowed.items()}, wanted)
        for _ in range(SWEEPS):
            seen = asks.asked()
            reached = {name: asks.reached(found) for name, found in seen.items()}
            evidence = [line for name, found in seen.items() for line in found.places(name)]
            if surplus := named({name: ports - allowed[name] for name, ports in reached.items()}):
                raise Unmet(expected, f"{asks.word}: {surplus}", [Text(tuple(evidence))])
            lost = [f"of {name} packets, {why}" for name, found in seen.items() if (why := asks.lost(found))]
            if not lost:
                break
        else:
            raise TunnelbedError(f"{expected}: cannot be judged, since {'; '.join(lost)}")
    if missing := named({name: wanted[name] - ports for name, ports in reached.items()}):
        raise Unmet(expected, f"not {asks.word}: {missing}", [Text(tuple(evidence))])


@dataclass(frozen=True)
class Question:
    """Who asks whom at which address, and which node decides what gets through: the target, or one on the way to it."""

    bed: Testbed
    source: Node
    target: Node
    address: Address
    decides: Node
    sweeps: Sequence[Sweep] = field(default_factory=lambda: tuple(Sweep(protocol) for protocol in PROTOCOLS))

    @property
    def word(self) -> str:
        """What a port is that got through."""
        return "reached" if self.decides == self.target else "let through"

    def reached(self, seen: Seen) -> frozenset[int]:
        """The ports that got through; a gateway counts as reached only if it replies or forwards."""
        guards = (
            self.decides != self.target or self.target.role == "gateway" or self.bed.node(self.target).vpn is not None
        )
        return seen.reached(self.decides.name, guards=guards)

    def lost(self, seen: Seen) -> str:
        """Why the result is unknown for some packets; empty if all are accounted for."""
        if self.decides not in (self.source, self.target):
            absent = LAST_PORT - len(seen.came[self.decides.name] - {CONTROL})
            if absent:
                return f"{absent} did not come to {self.decides.name}"
        return seen.lost(self.source.name)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Count the sweeps' packets on every node while the body runs."""
        try:
            yield
        finally:
            self._each_does(lambda agent: agent.run(["nft", "destroy", "table", "inet", TABLE]))

    def asked_first(self, ports: Mapping[str, Collection[int]], wanted: Ports) -> None:
        """Ask for some ports until nothing is lost and those wanted are reached: neighbours are known, tunnels up.

        What is not reached in the testbed's patience the sweep over all ports tells.
        """
        self._begin()

        def arrives() -> bool:
            for sweep in self.sweeps:
                for port in ports[sweep.protocol]:
                    self._burst(sweep, port, port)
            return all(
                not found.astray() and wanted[name] <= self.reached(found)
                for name, found in self._collected({}).items()
            )

        with suppress(DeadlinePassed):
            waiting.until(arrives, self.bed.patience, "the first packets")

    def asked(self) -> Mapping[str, Seen]:
        """Send the packets for every port; what was seen of each protocol's packets when none is in flight any more."""
        self._begin()
        refused = {sweep.protocol: self._burst(sweep, 1, LAST_PORT) for sweep in self.sweeps}
        with self.bed.record() as recording:
            self._controls(recording)
            recording.settle()
        seen = self._collected(refused)
        if not all(CONTROL in found.came[self.target.name] for found in seen.values()):
            raise TunnelbedError(f"{self.target.name} counts no control packet: nothing is shown")
        return seen

    def _begin(self) -> None:
        """Reset the counters of every node."""
        text = table(self.sweeps)
        self._each_does(lambda agent: agent.run(["nft", text], check=True))

    def _burst(self, sweep: Sweep, first: int, last: int) -> int:
        """Send the packets for these ports; how many the source's kernel refused by a rule or for want of a route."""
        packet = sweep.packet(source_address(self.bed, self.source, self.address), self.address)
        template = base64.b64encode(bytes(packet)).decode()
        command = [BURST, template, str(PROTOCOLS[sweep.protocol]), str(first), str(last)]
        said = json.loads(self.bed.node(self.source).run(command, timeout=SWEEP_SECONDS, check=True).stdout)
        return sum(count for number, count in said["refused"].items() if int(number) in REFUSALS)

    def _controls(self, recording: Recording) -> None:
        """A neighbour sends the packets for port 0 to the target. Raises an error if none is seen to arrive."""
        neighbours = [(at, node) for at in self.target.attachments for node in self.bed.scenario.on(at.network)]
        for at, neighbour in neighbours:
            pairs = product(neighbour.addresses_on(at.network), at.addresses)
            both = next(((a.ip, b.ip) for a, b in pairs if a.version == b.version == self.address.version), None)
            if neighbour.name == self.target.name or both is None:
                continue
            macs = [self.bed.node(node).mac(at.network) for node in (neighbour, self.target)]
            frames = [bytes(Ether(src=macs[0], dst=macs[1]) / sweep.packet(*both)) for sweep in self.sweeps]
            for frame in frames:
                self.bed.node(neighbour).send_frame(at.network, frame)

            def last_arrives(seen: Sighting, last: bytes = frames[-1]) -> bool:
                return seen.node == self.target.name and not seen.outgoing and seen.frame.data.startswith(last)

            if recording.until(last_arrives, ON_ITS_WAY):
                return
        raise TunnelbedError(f"no control packet from a neighbour arrives at {self.target.name}: nothing is shown")

    def _collected(self, refused: Mapping[str, int]) -> Mapping[str, Seen]:
        """What every node counted so far, by protocol."""
        noted: dict[str, Mapping[str, frozenset[int]]] = {}

        def ask(agent: Agent) -> None:
            noted[agent.node] = sets(agent.run(["nft", "--json", "list", "table", "inet", TABLE], check=True).stdout)

        self._each_does(ask)
        nodes = tuple(self.bed.scenario.nodes)

        def places(place: str) -> Mapping[str, frozenset[int]]:
            return {node: noted[node][place] for node in nodes}

        return {
            name: Seen(places(f"{name}_came"), places(f"{name}_taken"), places(f"{name}_left"), refused.get(name, 0))
            for name in PROTOCOLS
        }

    def _each_does(self, do: Callable[[Agent], object]) -> None:
        self.bed.agents.each(tuple(self.bed.scenario.nodes), do)


def table(sweeps: Sequence[Sweep]) -> str:
    """The table that notes the packets of some sweeps, from the beginning; it decides nothing."""
    parts = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    for sweep in sweeps:
        size = f"size {LAST_PORT + 1}; flags dynamic;"
        parts += [f"set {sweep.protocol}_{place} {{ typeof {sweep.word}; {size} }}" for place in HOOKS]
    for place, hook in HOOKS.items():
        rules = [sweep.rule(f"{sweep.protocol}_{place}") for sweep in sweeps]
        parts += [f"chain {place} {{", f"type filter hook {hook};", *rules, "}"]
    return "\n".join([*parts, "}"])


def sets(listed: str) -> Mapping[str, frozenset[int]]:
    """The sets of a table and what is in each, in the output of `nft --json list table`."""
    found = (entry["set"] for entry in json.loads(listed)["nftables"] if "set" in entry)
    return {one["name"]: frozenset(one.get("elem", ())) for one in found}


def named(ports: Ports) -> str:
    """Ports as a person reads them: `TCP port 8080 and UDP ports 53, 60000-65535`."""
    said = []
    for name, numbers in ports.items():
        runs: list[list[int]] = []
        for number in sorted(numbers):
            if runs and runs[-1][-1] == number - 1:
                runs[-1][1:] = [number]
            else:
                runs.append([number])
        shown = ["-".join(map(str, run)) for run in runs[:MOST_RUNS]]
        more = f" and more, {len(numbers)} in all" if len(runs) > MOST_RUNS else ""
        if shown:
            said.append(f"{name} port{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}")
    return " and ".join(said)
