"""The packets that cross each network, counted by what they show, and the last of them in words.

A packet counts once, where its sender had it. Memory and work have limits: a flood is counted, and what there is no
time to examine is counted as that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from scapy.packet import Packet

from tunnelbed.engines.agents import Frame
from tunnelbed.observe.carried import Classify, Kind
from tunnelbed.observe.packet_words import describe
from tunnelbed.observe.packets import claims_to_be_sealed, ends, is_neighbour_discovery, packets_within
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import MARKER, Sighting
from tunnelbed.topology.model import Address, Scenario

# Lines in a second, and kept for a page that is opened later.
LINES, KEPT = 20, 100
# Packets that wait to be examined; Scapy reads some thousand in a second, on a processor that does nothing else.
WAITING, EXAMINED = 4000, 400
# Flows that are known, and for how many seconds; what no daemon lists may be listed a moment later.
FLOWS, KNOWN, STRANGE = 4096, 30.0, 1.0
IPV4, IPV6 = 0x0800, 0x86DD  # linux/if_ether.h
TCP, UDP, ESP, ICMP, ICMPV6 = 6, 17, 50, 1, 58  # IANA's protocol numbers


class Form(Enum):
    """What somebody who reads a network sees of a packet."""

    CLEAR = "clear"
    SEALED = "sealed"
    HANDSHAKE = "handshake"
    NEIGHBOURS = "neighbours"
    UNLISTED = "unlisted"
    UNEXAMINED = "unexamined"


@dataclass(frozen=True)
class Line:
    """A packet in words: `at` in seconds since the epoch, `node` its sender."""

    number: int
    at: float
    network: str
    node: str
    form: str
    text: str


class Traffic:
    """What crosses the networks of a scenario; `classify` is a testbed's."""

    def __init__(self, scene: Scenario, classify: Classify, now: Callable[[], float] = time.monotonic) -> None:
        self._scene, self._classify, self._now = scene, classify, now
        self._lock = threading.Lock()
        self._waiting: deque[Frame] = deque()
        self._counts = {name: dict.fromkeys(Form, 0) for name in scene.networks}
        self._flows: OrderedDict[bytes, tuple[Form, float]] = OrderedDict()
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._number = 0
        # What may yet be done in this second, which began at `_second`.
        self._second, self._lines_left, self._left = self._now(), LINES, EXAMINED

    def hear(self, frame: Frame) -> None:
        """Take a frame from a node, in a thread of its own."""
        # Markers of a proof's recordings are ours, and no traffic.
        if not frame.outgoing or frame.interface not in self._counts or frame.data[12:14] == MARKER.to_bytes(2, "big"):
            return
        with self._lock:
            if len(self._waiting) < WAITING:
                self._waiting.append(frame)
            else:
                self._counts[frame.interface][Form.UNEXAMINED] += 1

    def examine(self) -> Sequence[Line]:
        """Count what was heard since the last call; the lines about it, no more than `LINES` in a second."""
        with self._lock:
            heard, self._waiting = self._waiting, deque()
        found: list[Line] = []
        for frame in sorted(heard, key=lambda frame: frame.at):
            self._begin_second()
            form = self._form(frame)
            line = self._line(frame, form)
            found += [line] if line else []
            with self._lock:
                self._counts[frame.interface][form] += 1
                self._lines.extend([line] if line else [])
        return found

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many packets crossed each network, by form."""
        with self._lock:
            return {
                name: {form.value: count for form, count in counts.items()} for name, counts in self._counts.items()
            }

    def last(self) -> Sequence[dict[str, Any]]:
        """The last lines, oldest first, as JSON has them."""
        with self._lock:
            return [asdict(line) for line in self._lines]

    def _begin_second(self) -> None:
        if (now := self._now()) - self._second >= 1:
            self._second, self._lines_left, self._left = now, LINES, EXAMINED

    def _form(self, frame: Frame) -> Form:
        flow, now = _flow(frame), self._now()
        form, until = self._flows.get(flow, (Form.UNEXAMINED, now))
        if now < until:
            return form
        if self._left <= 0:
            return Form.UNEXAMINED
        self._left -= 1
        try:
            form = self._examined(Sighting(frame).packet)
        # A daemon does not answer, and the packet may be its own; or Scapy cannot read it: it may have any content.
        except Exception:  # noqa: BLE001
            return Form.UNEXAMINED
        self._flows[flow] = form, now + (STRANGE if form is Form.UNLISTED else KNOWN)
        self._flows.move_to_end(flow)
        if len(self._flows) > FLOWS:
            self._flows.popitem(last=False)
        return form

    def _examined(self, packet: Packet) -> Form:
        carried = self._classify(packet)
        if carried and carried.kind is Kind.DATA:
            # A tunnel that encrypts nothing (RFC 2410) seals nothing.
            return Form.CLEAR if self._readable(packet) else Form.SEALED
        if carried:
            return Form.HANDSHAKE
        if is_neighbour_discovery(packet):
            return Form.NEIGHBOURS
        return Form.UNLISTED if claims_to_be_sealed(packet) else Form.CLEAR

    def _readable(self, packet: Packet) -> bool:
        """Whether a packet among nodes, or from or to a site, can be read inside this one."""
        within = (ends(inner) for inner in packets_within(packet))
        return any(found and all(map(self._known, found)) for found in within)

    def _known(self, address: Address) -> bool:
        owned = self._scene.owner(address) is not None
        return owned or any(address in subnet for subnet in self._scene.inside)

    def _line(self, frame: Frame, form: Form) -> Line | None:
        if self._lines_left <= 0 or form is Form.UNEXAMINED:
            return None
        self._lines_left -= 1
        try:
            text = describe(Sighting(frame).packet, self._classify)
        except Exception as failed:  # noqa: BLE001 # as above
            text = f"cannot be described: {failed}"
        self._number += 1
        return Line(self._number, frame.at, frame.interface, frame.node, form.value, text)


def _flow(frame: Frame) -> bytes:
    """What of a packet decides its form: protocol, addresses, and ports, type or SPI."""
    data = frame.data[12:] if frame.hardware == ETHERNET else b"\0\0" + frame.data
    ethertype, ip = int.from_bytes(data[:2], "big"), data[2:]
    if ethertype == IPV4 and len(ip) >= 20:
        protocol, addresses, rest = ip[9], ip[12:20], ip[(ip[0] & 0xF) * 4 :]
    elif ethertype == IPV6 and len(ip) >= 40:
        protocol, addresses, rest = ip[6], ip[8:40], ip[40:]
    else:
        return frame.data
    # UDP may carry a tunnel's data: four bytes behind its header are an SPI, or the mark of IKE (RFC 3948).
    parts = {TCP: rest[:4], UDP: rest[:4] + rest[8:12], ESP: rest[:4], ICMP: rest[:2], ICMPV6: rest[:2]}
    return bytes([protocol]) + addresses + parts.get(protocol, rest)
