"""The end of a recording: every network has shown that it is seen, and nothing is under way any more."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import cast

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC
from tunnelbed.engines.agents import Agent, Agents, Frame
from tunnelbed.errors import CommandFailed, DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import MARKER, QUIET, SETTLE_SECONDS, Recording
from tunnelbed.vpn.api import Carried, Listed
from tunnelbed.vpn.strongswan import wire

WATCHED = {
    "router": ["link_a", "link_b"],
    "gateway-a": ["link_a", "inside"],
    "host-a": ["inside"],
    "gateway-b": ["link_b"],
}


def ike(exchange: int, port: int = 4500) -> Packet:
    """IKE's header (RFC 7296, 3.1), with an exchange of that type."""
    body = b"\0" * 60
    header = b"\x01" * 16 + bytes([46, 0x20, exchange, 8]) + b"\0" * 4 + (28 + len(body)).to_bytes(4, "big") + body
    return (
        IP(src="192.0.2.1", dst="192.0.2.2")
        / UDP(sport=port, dport=port)
        / Raw((port == 4500) * wire.NO_ESP_MARKER + header)
    )


PING = IP(src="10.1.0.2", dst="10.2.0.2") / ICMP()


def classify(packet: Packet) -> Carried | None:
    """By form alone: there are no tunnels here."""
    return wire.classify(packet, Listed())


class Wires:
    """Agents whose frames reach everybody else on the network, but for who is deaf."""

    def __init__(self, deaf: str = "", mute: str = "") -> None:
        self.deaf, self.mute, self.sent = deaf, mute, 0
        self.recording = Recording(cast("Agents", self), WATCHED, classify=classify)

    def each(self, nodes: Sequence[str], do: Callable[[Agent], object]) -> None:
        for node in nodes:
            do(cast("Agent", Wire(self, node)))

    def later(self, node: str, tell: Callable[[], None]) -> None:
        """A node sends something: at once."""
        del node
        tell()


class Wire:
    """The foot of one node in its networks."""

    def __init__(self, wires: Wires, node: str) -> None:
        self.wires, self.node = wires, node

    def sync(self) -> None:
        """All is told at once."""

    def send_frames(self, frames: Sequence[tuple[str, bytes]]) -> Sequence[float | CommandFailed]:
        return [self.sent(network, data) for network, data in frames]

    def sent(self, network: str, data: bytes) -> float | CommandFailed:
        if self.node == self.wires.mute:
            return CommandFailed(["agent"], 1, "OSError: [Errno 105] No buffer space available", self.node)
        self.wires.sent += 1
        self.wires.later(self.node, lambda: self.leaves(network, data))
        return time.time()

    def leaves(self, network: str, data: bytes) -> None:
        for node, networks in WATCHED.items():
            meant = data[:6] == b"\xff" * 6 or node == self.node
            if meant and network in networks and node != self.wires.deaf:
                self.wires.recording.hear(Frame(node, network, node == self.node, ETHERNET, time.time(), data))


@contextlib.contextmanager
def chatter(recording: Recording, packet: Packet, seconds: float) -> Iterator[list[float]]:
    """Let a packet be heard all the time, for so many seconds or until the body ends; when it was."""
    ended = threading.Event()
    times: list[float] = []
    data = bytes(Ether(dst="02:00:00:00:00:02") / packet)

    def chat() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not ended.wait(0.001):
            recording.hear(Frame("router", "link_a", False, ETHERNET, time.time(), data))  # noqa: FBT003 # a field
            times.append(time.monotonic())

    with ThreadPoolExecutor() as pool:
        pool.submit(chat)
        try:
            yield times
        finally:
            ended.set()


def settling(recording: Recording) -> float:
    """Seconds until it is settled."""
    began = time.monotonic()
    recording.settle()
    return time.monotonic() - began


def test_a_marker_crosses_every_network_and_is_no_sighting() -> None:
    wires = Wires()
    wires.recording.settle()
    # One across each network, and one out of each other interface.
    assert wires.sent == 6
    assert {seen.network for seen in wires.recording.heard} == {"link_a", "link_b", "inside"}
    assert all(seen.frame.data[12:14] == MARKER.to_bytes(2, "big") for seen in wires.recording.heard)
    assert wires.recording.sightings == []


@pytest.mark.parametrize(("deaf", "missing"), [("gateway-a", "inside by gateway-a"), ("router", "link_b by router")])
def test_a_node_that_does_not_see_its_network_is_named(deaf: str, missing: str) -> None:
    with pytest.raises(DeadlinePassed, match=missing):
        Wires(deaf).recording.settle()


def test_a_node_that_lets_nothing_out_keeps_nobody_waiting() -> None:
    """As with a drop at nft's egress hook, or an interface that is down: the kernel refuses its marker."""
    assert settling(Wires(mute="router").recording) < SETTLE_SECONDS


def test_a_marker_that_all_are_to_see_must_leave() -> None:
    """Else nothing that was not seen would be known to be absent."""
    last = list(WATCHED)[-1]
    with pytest.raises(CommandFailed, match="No buffer space"):
        Wires(mute=last).recording.settle()


class SlowWires(Wires):
    """Each frame waits a while before it leaves, as with netem's `delay`; one packet goes on hop by hop."""

    def __init__(self, delay: float, slow: Collection[str]) -> None:
        super().__init__()
        self.delay, self.slow = delay, slow
        # First in, first out, as a queue is.
        self.queues = {node: ThreadPoolExecutor(max_workers=1) for node in slow}

    def later(self, node: str, tell: Callable[[], None]) -> None:
        if node not in self.slow:
            tell()
            return
        due = time.monotonic() + self.delay

        def leave() -> None:
            threading.Event().wait(max(0.0, due - time.monotonic()))
            tell()

        self.queues[node].submit(leave)

    def goes_on(self, *hops: str) -> None:
        """The packet waits at one node after another before it is seen to leave there."""
        if hops:
            self.later(hops[0], lambda: self.leaves(hops))

    def leaves(self, hops: Sequence[str]) -> None:
        data = bytes(Ether(dst="02:00:00:00:00:02") / PING)
        self.recording.hear(Frame(hops[0], "link_a", True, ETHERNET, time.time(), data))  # noqa: FBT003 # a field
        self.goes_on(*hops[1:])


@pytest.mark.parametrize("slow", [("router",), ("gateway-a", "router", "gateway-b")])
def test_what_waits_before_it_leaves_a_node_is_waited_for_hop_by_hop(slow: Sequence[str]) -> None:
    wires = SlowWires(0.15, slow)
    wires.goes_on(*slow)
    wires.recording.settle()
    assert [seen.node for seen in wires.recording.sightings] == list(slow)


def test_a_busy_machine_s_quiet_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Wires().recording
    monkeypatch.setattr(waiting, "crowding", lambda: 10 * waiting.ROOM)
    assert settling(recording) > waiting.MOST_MOVED * QUIET


def test_gateways_that_ask_for_a_sign_of_life_keep_nobody_waiting() -> None:
    recording = Wires().recording
    with chatter(recording, ike(37), 60):
        assert settling(recording) < SETTLE_SECONDS


@pytest.mark.parametrize("packet", [ike(34), ike(35), PING], ids=["IKE_SA_INIT", "IKE_AUTH", "a ping"])
def test_what_is_under_way_is_waited_for(packet: Packet) -> None:
    took = 0.0
    for _ in range(5):
        recording = Wires().recording
        with chatter(recording, packet, 0.5) as times:
            took = settling(recording)
        # A machine that let the packet wait for long shows nothing.
        if max((later - earlier for earlier, later in pairwise(times)), default=0.0) < QUIET / 2:
            break
    assert took > 0.4


def test_each_frame_is_dissected_once_however_often_verdicts_look(monkeypatch: pytest.MonkeyPatch) -> None:
    dissected = []

    def dissect(data: bytes) -> Packet:
        dissected.append(data)
        return Ether(data)

    monkeypatch.setattr("tunnelbed.observe.recording.Ether", dissect)
    recording = Recording(cast("Agents", None), {})
    for number in range(300):
        data = bytes(Ether(dst=MAC) / PING / number.to_bytes(2, "big"))
        recording.hear(Frame("router", "link_a", outgoing=True, hardware=ETHERNET, at=float(-number), data=data))
    recording.until(lambda seen: classify(seen.packet) is not None, 0.0)
    for _ in range(16):
        assert not [seen for seen in recording.on("link_a") if classify(seen.packet)]
    recording.stalls(0, lambda packet: classify(packet) is not None)
    assert recording.sightings[0].frame.at == -299.0
    assert len(dissected) == 300
