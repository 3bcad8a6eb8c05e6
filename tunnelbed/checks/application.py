"""The application: a client sends a request to its configured address, and a server answers with a pong."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from scapy.layers.inet import TCP
from scapy.packet import Packet

from tunnelbed.checks.reachability import (
    ATTEMPT,
    NEGOTIATED,
    ON_ITS_WAY,
    Stuck,
    control_arrives,
    gateways_of,
    is_of,
    owned,
)
from tunnelbed.checks.tunnel_path import Listed, Passage, Via, listed
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.host.shell import Completed
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node

# How the client ends where it was used wrongly, as argparse has it; else its status is how many requests failed.
NOT_ASKED = 2
# What it begins each line of its complaints with.
COMPLAINS = "pingpong: "
# Characters by which a text, or a piece of a long one, is known: any 63 of it that a packet carries hold a whole piece.
MARK = 32
# A question of so many does not fit into one packet, nor does its answer.
LONG = 4000
PORT = 8080


@dataclass(frozen=True)
class Request:
    """One question of the application, known by the text it carries, or by any piece of a long one."""

    name: str = "the application"
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    def shows(self, packet: Packet) -> bool:
        """Whether the text can be read in this packet."""
        carried = bytes(packet)
        return any(mark in carried for mark in self._marks)

    @cached_property
    def _marks(self) -> Sequence[bytes]:
        """Pieces of the text so close together that every packet which carries some of it holds a whole one."""
        return [self.token[at : at + MARK].encode() for at in range(0, len(self.token), MARK)]


def gets_pong(  # who, from whom, and how
    bed: Testbed,
    source: Node,
    server: Node,
    *,
    via: Via = Via.ANY,
    patience: float | waiting.Allowance | None = None,
    long: bool = False,
) -> Recording:
    """The application's client at `source` gets its pong from `server`, to a `long` question. Raises `Unmet`."""
    request = Request(token=secrets.token_hex(LONG // 2)) if long else Request()
    expected = f"{source.name} gets a pong from {server.name}{' to a long question' if long else ''}{via.value}"
    before = listed(bed, strict=False) if via is Via.TUNNEL else Listed()
    _, recording = _pong(bed, source, server, request, expected, bed.patience if patience is None else patience)
    Passage(bed, expected, recording, request, source, server, before).judge(via)
    return recording


def gets_no_pong(bed: Testbed, source: Node, server: Node) -> None:
    """The application's client gets no answer: it sends a TCP SYN, and no packet of it arrives.

    A connection is known by its first sequence number, which NAT leaves alone. Raises `Unmet`.
    """
    request = Request()
    expected = f"{source.name} gets no pong from {server.name}"
    with bed.record() as recording:
        for _ in range(NEGOTIATED):
            looked = len(recording.heard)
            said, _ = ask_server(bed, source, request, 0.0, recording)
            control_arrives(bed, recording, server)
            recording.settle()
            if said or recording.stalls(looked, request.shows) is not None:
                break
    if said:
        raise unmet(bed, expected, f"the answer {said}", recording, gateways_of(bed, source, server), request.shows)
    left = {seen.packet[TCP].seq for seen in recording.departures(source.name) if _opens(seen.packet)}
    if not left:
        raise TunnelbedError(f"{expected}: cannot be judged, since no request leaves {source.name}")

    def asks(packet: Packet) -> bool:
        return request.shows(packet) or (_opens(packet) and packet[TCP].seq in left)

    if arrived := [seen for seen in recording.arrivals(server.name) if asks(seen.packet)]:
        raise unmet(bed, expected, f"it arrived: {arrived[0]}", recording, gateways_of(bed, source, server), asks)


def ask_server(
    bed: Testbed, source: Node, request: Request, patience: float | waiting.Allowance, recording: Recording
) -> tuple[dict[str, str], str]:
    """Ask once or, for `patience` seconds, until there is an answer: the server's words, and the last complaint."""
    stuck = Stuck(bed, recording, lambda packet: TCP in packet)
    options = ("--count", "1", "--timeout", str(ATTEMPT), "--ping", request.token)
    said: dict[str, str] = {}
    complaint = ""

    def attempt() -> bool:
        nonlocal said, complaint
        done = ask(bed, source, options)
        said = json.loads(done.stdout) if done.stdout.strip() else {}
        complaint = done.stderr.strip()
        return bool(said) or stuck.again()

    with contextlib.suppress(DeadlinePassed):
        waiting.until(attempt, patience, "an answer")
    return said, complaint


def say_again(
    bed: Testbed, conversation: Recording, requests: Sequence[Request], speakers: Sequence[Node]
) -> Recording:
    """The packets that these nodes sent in these requests are sent once more, while every node records.

    Whoever keeps track of conversations takes it for a part of one. Raises `BadInput` where one of them said nothing.
    """

    def is_said(seen: Sighting) -> bool:
        return TCP in seen.packet and any(request.shows(seen.packet) for request in requests)

    def is_heard(seen: Sighting) -> bool:
        return not seen.outgoing and is_said(seen)

    with bed.record() as recording:
        for speaker in speakers:
            if not (again := [seen for seen in conversation.departures(speaker.name) if is_said(seen)]):
                expected = "a node that asked or answered"
                raise BadInput("When", speaker.name, "no request and no answer", expected, "name another node")
            for seen in again:
                packet = seen.packet.copy()
                # Seen where it leaves, it may lack what the device would have put in.
                del packet[TCP].chksum
                bed.node(speaker).send_frame(seen.network, bytes(packet))
        if recording.until(is_heard, ON_ITS_WAY) is None:
            raise TunnelbedError(
                "the packets that were sent again arrived nowhere: nothing is shown; see `invoke trace`"
            )
        recording.settle()
    return recording


def asked(source: Node) -> Address | None:
    """The address that a client asks, if the stack names one, and no name that only the node can look up."""
    try:
        return ipaddress.ip_address(source.environment.get("LOCAL_SERVER", ""))
    except ValueError:
        return None


def ask(bed: Testbed, source: Node, options: Sequence[str]) -> Completed:
    """Run the application's client to its end; raises `BadInput` for a node without a configured server."""
    command = ["pingpong", "ask", *options]
    done = bed.node(source).run(command)
    if done.status >= 0 and (done.stdout.strip() or done.stderr.startswith(COMPLAINS)):
        return done
    if done.status == NOT_ASKED:
        expected = "a client, whose stack sets LOCAL_SERVER"
        raise BadInput(bed.scenario.name, source.name, "no server to ask", expected, "let another node ask")
    if done.status:
        raise CommandFailed(command, done.status, done.output, source.name)
    return done


def asker_seen_as(bed: Testbed, source: Node, server: Node, face: Node | Address) -> None:
    """The application's server answers `source`, and saw it come from an address of `face`. Raises `Unmet`."""
    request = Request()
    called = face.name if isinstance(face, Node) else str(face)
    expected = f"{source.name} gets a pong from {server.name} and is seen there as {called}"
    said, recording = _pong(bed, source, server, request, expected, bed.patience)
    seen_as = ipaddress.ip_address(said["seen_as"]) if "seen_as" in said else None
    if not seen_as or not is_of(bed, face, seen_as, server):
        seen = f"seen as {owned(bed, seen_as, server)}" if seen_as else f"the answer {said}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source, server), request.shows)


def _pong(
    bed: Testbed, source: Node, server: Node, request: Request, expected: str, patience: float | waiting.Allowance
) -> tuple[dict[str, str], Recording]:
    """The server's words, and what all nodes saw meanwhile. Raises `Unmet` for no pong, or another server's."""
    with bed.record() as recording:
        said, complaint = ask_server(bed, source, request, patience, recording)
        recording.sync()
    if said.get("pong") != request.token:
        seen = complaint or f"the answer {said}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source, server), request.shows)
    if not _is_on(bed, said.get("servername", ""), server):
        raise unmet(bed, expected, f"a pong from {said.get('servername')}", recording)
    return said, recording


def _opens(packet: Packet) -> bool:
    """Whether it asks for a TCP connection: SYN alone."""
    return TCP in packet and packet[TCP].flags == "S"


def _is_on(bed: Testbed, name: str, node: Node) -> bool:
    """Whether a server of this name runs on a node: it has the node's name, or is one of several, `<node>-<word>`."""
    return name in (node.name, node.hostname) or (name.startswith(f"{node.name}-") and name not in bed.scenario.nodes)
