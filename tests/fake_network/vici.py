"""vici as a fake charon speaks it on its socket (strongSwan's src/libcharon/plugins/vici/README.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

from tests.fake_network import report
from tests.fake_network.charon import FakeCharon
from tests.fake_network.report import Message

REQUEST, RESPONSE, UNKNOWN, REGISTER, UNREGISTER, CONFIRM, _, EVENT = range(8)
SECTION, SECTION_END, VALUE, LIST, ITEM, LIST_END = range(1, 7)
SOCKET = "/run/charon.vici"


class Session:
    """One conversation with a fake charon: bytes in, bytes out."""

    def __init__(self, charon: FakeCharon) -> None:
        self._charon = charon
        self._rest = b""

    def hear(self, data: bytes) -> Iterator[bytes]:
        """What charon answers to some bytes."""
        self._rest += data
        while len(self._rest) >= 4:
            length = int.from_bytes(self._rest[:4], "big")
            if len(self._rest) < 4 + length:
                return
            packet, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            yield from self._answers(packet)

    def _answers(self, packet: bytes) -> Iterator[bytes]:
        kind, end = packet[0], 2 + packet[1]
        name = packet[2:end].decode()
        if kind in (REGISTER, UNREGISTER):
            yield _packet(bytes([CONFIRM]))
            return
        lists: dict[str, tuple[str, Callable[[FakeCharon], Iterator[Message]]]] = {
            "list-sas": ("list-sa", report.tunnels),
            "list-conns": ("list-conn", report.connections),
        }
        if name in lists:
            event, listed = lists[name]
            for message in listed(self._charon):
                yield _packet(bytes([EVENT, len(event)]) + event.encode() + encoded(message))
            yield _packet(bytes([RESPONSE]))
            return
        done = self._do(name, decoded(packet[end:]))
        yield _packet(bytes([UNKNOWN]) if done is None else bytes([RESPONSE]) + encoded(done))

    def _do(self, name: str, asked: Mapping[str, str]) -> Message | None:
        charon = self._charon
        match name:
            case "version":
                return {"daemon": "charon", "version": "6.0.1"}
            case "get-conns":
                return {"conns": list(charon.connections)}
            case "unload-conn":
                charon.connections = {key: one for key, one in charon.connections.items() if key != asked["name"]}
            case "initiate":
                charon.initiate(asked["ike"], asked["child"])
            case "terminate":
                charon.terminate(int(asked["ike-id"]))
            case "rekey":
                layer = "IKE" if "ike-id" in asked else "ESP"
                charon.rekey(int(asked.get("ike-id") or asked["child-id"]), layer)
            case "flush-certs" | "reload-settings":
                pass
            case _:
                return None
        return {"success": "yes"}


def encoded(message: Message) -> bytes:
    """A message as vici writes it."""
    found = b""
    for key, value in message.items():
        name = bytes([len(key)]) + key.encode()
        if isinstance(value, Mapping):
            found += bytes([SECTION]) + name + encoded(value) + bytes([SECTION_END])
        elif isinstance(value, list):
            items = b"".join(bytes([ITEM]) + _sized(one) for one in value)
            found += bytes([LIST]) + name + items + bytes([LIST_END])
        else:
            found += bytes([VALUE]) + name + _sized(str(value))
    return found


def decoded(data: bytes) -> Mapping[str, str]:
    """The values of a request, which has no sections here."""
    found: dict[str, str] = {}
    while data:
        if data[0] != VALUE:
            raise ValueError(f"an element of type {data[0]} is not known here")
        end = 2 + data[1]
        (length,) = struct.unpack("!H", data[end : end + 2])
        found[data[2:end].decode()] = data[end + 2 : end + 2 + length].decode()
        data = data[end + 2 + length :]
    return found


def _sized(text: str) -> bytes:
    return struct.pack("!H", len(text.encode())) + text.encode()


def _packet(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data
