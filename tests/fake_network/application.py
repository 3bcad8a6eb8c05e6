"""The application on fake nodes: pingpong's server, its client, and ping(8) (see scripts/node/pingpong)."""

from __future__ import annotations

import ipaddress
import itertools
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from tests.fake_network.parts import NotSent
from tests.fake_network.stack import FakeNode
from tunnelbed.host.shell import Completed

PORT = 8080
SEGMENT = 1200
# As Linux begins a connection: 60 bytes in all.
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
# Seconds until the next step of a command, or how it ended.
Step = float | Completed
# Why there is no answer, or what it says.
Said = str | dict[str, object]
_ports = itertools.count(50000)


@dataclass
class Server:
    """A server that listens on a port of a node: what each client has sent so far."""

    name: str
    heard: dict[tuple[str, int], bytes] = field(default_factory=dict)
    begun: dict[tuple[str, int], int] = field(default_factory=dict)

    def takes(self, node: FakeNode, packet: Packet) -> None:
        """A packet of TCP comes to its port."""
        asked = packet[TCP]
        client = packet.src, int(asked.sport)
        if asked.flags == "S":
            self.heard[client], self.begun[client] = b"", (asked.seq + 1) % (1 << 32)
            answer = TCP(sport=asked.dport, dport=asked.sport, flags="SA", seq=1000, ack=(asked.seq + 1) % (1 << 32))
            node.reply(packet, answer)
            return
        # What lacks its beginning waits for a repetition that nobody here sends.
        if client not in self.heard or (asked.seq - self.begun[client]) % (1 << 32) != len(self.heard[client]):
            return
        self.heard[client] += bytes(asked.payload)
        head, _, body = self.heard[client].partition(b"\r\n\r\n")
        if not head or len(body) < _length(head):
            return
        said = json.loads(body)
        text = {**said, "servername": self.name, "pong": said["ping"], "seen_as": packet.src}
        del self.heard[client]
        for at, piece in _pieces(_message("HTTP/1.1 200 OK", text)):
            tcp = TCP(sport=asked.dport, dport=asked.sport, flags="PA", seq=1001 + at, ack=int(asked.seq))
            node.reply(packet, tcp / Raw(piece))


def serving(node: FakeNode) -> None:
    """A node serves what its command says: `pingpong serve --port 80`."""
    words = list(node.spec.command)
    if words[:2] == ["pingpong", "serve"]:
        port = int(words[words.index("--port") + 1]) if "--port" in words else PORT
        name = words[words.index("--name") + 1] if "--name" in words else node.name
        node.services[port] = Server(name).takes


def ask(node: FakeNode, words: Sequence[str]) -> Iterator[float | Completed]:
    """`pingpong ask`, a request after another."""
    options = dict(zip(words[::2], words[1::2], strict=False))
    server = node.spec.environment.get("LOCAL_SERVER", "")
    command = ("pingpong", "ask", *words)
    if not server:
        yield Completed(command, 2, "", "pingpong ask: error: no server: name one, or set LOCAL_SERVER")
        return
    count, interval = int(options.get("--count", "1")), float(options.get("--interval", "1"))
    timeout = float(options.get("--timeout", "5"))
    out, wrong = "", ""
    failed = 0
    for number in range(count):
        if number:
            yield interval
        said = yield from _ask_once(node, server, options.get("--ping", str(number + 1)), timeout)
        if isinstance(said, str):
            wrong += f"pingpong: {server} port {PORT}: {said}\n"
            failed += 1
        else:
            out += json.dumps(said) + "\n"
    yield Completed(command, min(failed, 255), out, wrong)


def _ask_once(
    node: FakeNode, server: str, ping: str, timeout: float
) -> Generator[float | Completed, None, str | dict[str, object]]:
    target = ipaddress.ip_address(server)
    source = node.source_for(target)
    if source is None:
        return "[Errno 101] Network is unreachable"
    port = next(_ports)
    inbox: list[Packet] = []
    node.inboxes["tcp", port] = inbox
    header = (IP if target.version == 4 else IPv6)(src=str(source), dst=server)
    try:
        node.send(header / TCP(sport=port, dport=PORT, flags="S", seq=port, options=OPTIONS))
        node.network.move()
        yield from _until(inbox, timeout)
        if not inbox:
            return "timed out"
        first = inbox.pop(0)
        if "R" in first[TCP].flags:
            return "[Errno 111] Connection refused"
        ack = int(first[TCP].seq) + 1
        node.send(header / TCP(sport=port, dport=PORT, flags="A", seq=port + 1, ack=ack))
        body = {"clientname": node.name, "ping": ping}
        for at, piece in _pieces(_message("POST /ping HTTP/1.1", body)):
            node.send(header / TCP(sport=port, dport=PORT, flags="PA", seq=port + 1 + at, ack=ack) / Raw(piece))
        yield from _until(inbox, timeout)
        whole = b"".join(bytes(packet[TCP].payload) for packet in inbox)
        head, _, text = whole.partition(b"\r\n\r\n")
        if not head or len(text) < _length(head):
            return "timed out"
    except NotSent as refused:
        return str(refused)
    else:
        answer: dict[str, object] = json.loads(text)
        return answer
    finally:
        del node.inboxes["tcp", port]


def _until(inbox: list[Packet], timeout: float) -> Iterator[float | Completed]:
    """What is under way arrives at once; else the time passes."""
    yield 0.0001
    if not inbox:
        yield timeout


def ping(node: FakeNode, words: Sequence[str]) -> Iterator[float | Completed]:
    """`ping -q -c COUNT -i SECONDS ... ADDRESS`."""
    target = ipaddress.ip_address(words[-1])
    count = int(words[words.index("-c") + 1])
    interval = float(words[words.index("-i") + 1]) if "-i" in words else 1.0
    received = 0
    for number in range(1, count + 1):
        inbox: list[Packet] = []
        node.inboxes["icmp", 4242] = inbox
        source = str(node.source_for(target) or "0.0.0.0")
        if target.version == 4:
            packet: Packet = IP(src=source, dst=str(target)) / ICMP(id=4242, seq=number)
        else:
            packet = IPv6(src=source, dst=str(target)) / ICMPv6EchoRequest(id=4242, seq=number)
        node.try_to_send(packet)
        yield interval
        received += any(_answers(one) for one in inbox)
    node.inboxes.pop(("icmp", 4242), None)
    said = f"{count} packets transmitted, {received} received, {100 - 100 * received // count}% packet loss\n"
    yield Completed(("ping", *words), 0 if received else 1, said, "")


def _answers(packet: Packet) -> bool:
    return (ICMP in packet and packet[ICMP].type == 0) or ICMPv6EchoReply in packet


def _message(first: str, body: object) -> bytes:
    text = json.dumps(body).encode()
    return f"{first}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def _length(head: bytes) -> int:
    return int(head.rpartition(b"Content-Length:")[2].split(b"\r\n")[0])


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(data), SEGMENT):
        yield at, data[at : at + SEGMENT]
