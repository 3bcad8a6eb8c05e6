"""One packet's path through a testbed: where it was seen, in which form, and what each firewall decided.

All nodes record and all firewalls are traced while a probe is sent. The path is reported, not judged.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tunnelbed.checks.address_selection import address_towards, aims, away, source_address
from tunnelbed.checks.attempt import Attempt
from tunnelbed.checks.reachability import ATTEMPT
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe import nftrace
from tunnelbed.observe.clocks import in_order
from tunnelbed.observe.evidence import PacketPath
from tunnelbed.observe.probes import LINK_MTU, Ping, Question, filled, registry
from tunnelbed.observe.recording import Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import naming
from tunnelbed.topology.model import Address, Node

# The first packets may come before `nft monitor` reports anything.
UNHEARD = 3


@dataclass(frozen=True)
class Asked:
    """A probe whose path is wanted: from a node to an address; `size` in bytes, 0 for its smallest."""

    source: Node
    target: Address
    make: Callable[[], Question] = Ping
    size: int = 0


def asked(bed: Testbed, said: str, to: str, by: str = "", size: int = 0) -> Asked:
    """Read the options of `invoke trace`: nodes as sentences call them, or an address for `to`.

    `by` is the kind of packet, as sentences call it, `TCP port 80`; a ping by default. Raises `BadInput`.
    """
    source = naming.node(bed.scenario, said)
    target = _address(bed, source, to)
    kind, port = registry.meant(by or Ping.said, registry.questions())
    make: Callable[[], Question] = partial(kind.of, port)
    least = len(make().packet(target, target))
    if size and not least <= size <= LINK_MTU:
        raise BadInput("--size", "", size, f"{least} to {LINK_MTU} bytes", "correct it")
    return Asked(source, target, make, size)


def _address(bed: Testbed, source: Node, to: str) -> Address:
    """The target address: as it was given, or the one of a node that the source would use."""
    try:
        address = ipaddress.ip_address(to)
    except ValueError:
        target = naming.node(bed.scenario, to)
        if target == source:
            raise BadInput("--to", "", to, "another node than --from", "name another node") from None
        return address_towards(bed, source, target)
    if all(own.version != address.version for own in away(bed, source)):
        expected = f"an address of an IP version that {source.name} has"
        raise BadInput("--to", "", to, expected, "name another address")
    return address


def trace(bed: Testbed, wanted: Asked) -> PacketPath:
    """Send a probe and return its path; again if gateways negotiated meanwhile, until there is an answer.

    A firewall that cannot be traced (no nft on its node) has no lines.
    """
    with bed.proven_alone():
        return traced(bed, wanted)


@contextlib.contextmanager
def explained(
    bed: Testbed, source: Node, to: Node | Address | None, by: str = Ping.said, version: int = 0
) -> Iterator[None]:
    """What does not hold in the body is explained by a packet's path: its own, or else that of one more of the kind.

    The first packet's own path is enough where it shows the cause without the decisions of firewalls.
    No other run may use the testbed. With `fail_fast` there is no explanation; without an address there is no path.
    """
    try:
        yield
    except Unmet as failed:
        if bed.fail_fast or to is None:
            raise
        with contextlib.suppress(TunnelbedError):
            # By the IP version that failed, where there are two.
            failing = next((number for number in (4, 6) if f" by IPv{number}" in failed.seen), version)
            address = aims(bed, source, to, failing)[0].address
            kind, port = registry.meant(by, registry.questions())
            path = _own_path(bed, source, address, failed)
            path = path or traced(bed, Asked(source, address, partial(kind.of, port)))
            raise Unmet(failed.expected, failed.seen, (path, *failed.evidence), failed.recording) from failed
        raise


def _own_path(bed: Testbed, source: Node, address: Address, failed: Unmet) -> PacketPath | None:
    """The path of the last packet without an answer, if what was recorded shows the cause."""
    probe = failed.probe
    if not isinstance(probe, Question) or failed.recording is None:
        return None
    sightings = in_order(failed.recording.sightings)
    own = [seen for seen in sightings if seen.node == source.name and seen.outgoing and probe.asks(seen.packet)]
    last = [seen for seen in sightings if not own or seen.frame.at >= own[-1].frame.at]
    attempt = Attempt(bed, source, address, probe, last, {}, "")
    return replace(attempt.path(), traced=False) if attempt.plain_cause else None


def traced(bed: Testbed, wanted: Asked) -> PacketPath:
    """Likewise, for whoever holds the testbed already: no other run may use it."""
    with contextlib.ExitStack() as stack:
        bed.agents.each(tuple(bed.scenario.nodes), lambda agent: agent.sync())
        down = stack.enter_context(_known_down(bed))
        heard: dict[str, list[str]] = {}
        for node in bed.scenario.nodes.values():
            with contextlib.suppress(CommandFailed):
                heard[node.name] = stack.enter_context(nftrace.heard(bed.node(node).agent))
        attempts: list[Attempt] = []

        def whole() -> bool:
            attempts.append(once(bed, wanted, heard))
            if len(attempts) < UNHEARD and not attempts[-1].heard_whole:
                return False
            return attempts[-1].answer is not None or not attempts[-1].negotiated

        with contextlib.suppress(DeadlinePassed):
            waiting.until(whole, bed.patience, "an answer")
        return attempts[-1].path("".join(f"; {network} is down at {node}" for node, network in down))


@contextlib.contextmanager
def _known_down(bed: Testbed) -> Iterator[Sequence[tuple[str, str]]]:
    """The nodes and networks between which a link is down, or gone: no recording expects them to be seen there."""

    def up(node: Node) -> set[str]:
        return {str(link["ifname"]) for link in bed.node(node).interfaces("up")}

    nodes = tuple(bed.scenario.nodes.values())
    before = set(bed.absent)
    down = [
        (node.name, at.network)
        for node, names in zip(nodes, bed.pool.map(up, nodes), strict=True)
        for at in node.attachments
        if at.network not in names
    ]
    bed.absent |= set(down)
    try:
        yield down
    finally:
        bed.absent = before


def once(bed: Testbed, wanted: Asked, heard: Mapping[str, list[str]]) -> Attempt:
    """Send the probe once; what all nodes saw of it, and the firewalls' traces, whose lines are `heard`."""
    probe = wanted.make()
    packet = probe.packet(source_address(bed, wanted.source, wanted.target), wanted.target)
    if wanted.size:
        packet = filled(packet, wanted.size)
    expressions = probe.nft_matches(wanted.target.version)
    bed.agents.each(tuple(heard), lambda agent: nftrace.begin(agent, expressions))
    looked = {node: len(lines) for node, lines in heard.items()}
    refused = ""

    def is_answer(seen: Sighting) -> bool:
        return seen.node == wanted.source.name and not seen.outgoing and probe.shows(seen.packet)

    with bed.record() as recording:
        try:
            bed.node(wanted.source).send_packet(bytes(packet))
        except CommandFailed as failed:
            refused = failed.output
        else:
            recording.until(is_answer, ATTEMPT)
        recording.settle()
    decided = {node: nftrace.passes(lines[looked[node] :]) for node, lines in heard.items()}
    return Attempt(bed, wanted.source, wanted.target, probe, recording.sightings, decided, refused)
