"""A VPN that needs no node: the smallest that keeps the contract, and a second one beside what is shipped.

Its data is UDP on port 7777 that begins with a number of two octets; a handshake begins with 0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scapy.layers.inet import UDP

from tunnelbed.engines import Mount
from tunnelbed.errors import BadInput
from tunnelbed.vpn.api import (
    Carried,
    Connection,
    Drop,
    Feature,
    Host,
    Keys,
    Kind,
    Listed,
    Needs,
    Refusal,
    Setup,
    Since,
    Timing,
    Tunnel,
)

if TYPE_CHECKING:
    from scapy.packet import Packet

    from tunnelbed.topology.model import Address
    from tunnelbed.vpn.api import Daemon

PORT = 7777


class FakeVpn:
    """One peer a line in `fake.conf`, and none of the features that not every VPN has."""

    name = "Fake"
    files: tuple[str, ...] = ("fake.conf",)
    features: frozenset[Feature] = frozenset()
    data, handshake = "FAKEDATA", "FAKEHELLO"
    devices: tuple[str, ...] = ("fake0",)
    state = "echo '== fake'; echo one\n"
    listed = "echo '== fake: tunnels'; echo none\n"

    def setup(self, file: Path) -> Setup:
        return Setup(tuple(file.read_text(encoding="utf-8").split()))

    def needs(self, keys: Path | None, data_plane: str) -> Needs:
        return Needs((Mount(keys, "keys"),) if keys else (), (), {"FAKE_PLANE": data_plane})

    def classify(self, packet: Packet, listed: Listed) -> Carried | None:
        if UDP not in packet or PORT not in (packet[UDP].sport, packet[UDP].dport):
            return None
        number = int.from_bytes(bytes(packet[UDP].payload)[:2], "big")
        if not number:
            return Carried(Kind.HANDSHAKE, self.handshake)
        return Carried(Kind.DATA, self.data, number, unit="number") if number in listed.numbers else None

    def proposal(self, words: str) -> str:
        raise BadInput("proposal", words, "one", "none: this VPN has one cipher", "remove the sentence")

    def words(self, proposal: str) -> str:
        return proposal

    def agrees(self, found: str, wanted: str, *, first_child: bool = False) -> bool:
        return found == wanted and not first_child

    def on(self, host: Host) -> Daemon:
        return FakeDaemon(host)


class FakeDaemon:
    """Lists what a test gave it; of what it has no word for, it says so."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.found: tuple[Tunnel, ...] = ()

    def awaited(self, seconds: float = 1.0) -> None:
        pass

    def answers(self) -> bool:
        return True

    def version(self) -> str:
        return "Fake 1"

    def plane(self) -> str:
        return "user"

    def tunnels(self) -> tuple[Tunnel, ...]:
        return self.found

    def connections(self) -> tuple[Connection, ...]:
        return ()

    def timing(self) -> Sequence[Timing]:
        raise self._lacks(Feature.TIMERS)

    def start(self, connection: Connection, child: str, seconds: float | None = None) -> None:
        pass

    def end(self, tunnel: Tunnel, *, politely: bool = False) -> None:
        self.found = tuple(one for one in self.found if one.id != tunnel.id)

    def unload(self) -> None:
        pass

    def load(self) -> None:
        pass

    def load_credentials(self) -> None:
        raise self._lacks(Feature.CERTIFICATES)

    def forget_peers(self) -> None:
        raise self._lacks(Feature.CERTIFICATES)

    @contextlib.contextmanager
    def overlaid(self, own: str = "", of_child: str = "") -> Iterator[None]:
        yield

    def offering(self, layer: str, proposal: str) -> contextlib.AbstractContextManager[None]:
        raise self._lacks(Feature.PROPOSALS)

    def claiming(self, identity: str) -> contextlib.AbstractContextManager[None]:
        raise self._lacks(Feature.CERTIFICATES)

    def impostor(
        self, host: Host, face: Address, files: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Daemon]:
        raise self._lacks(Feature.IMPOSTOR)

    def rekey(self, tunnel: Tunnel, layer: str) -> None:
        raise self._lacks(Feature.REKEY)

    def pass_time(self, seconds: float, pace: float) -> None:
        raise self._lacks(Feature.CLOCK)

    def ahead(self) -> float:
        return 0.0

    def set_right(self) -> None:
        pass

    def renewals(self, layer: str, since: Since) -> int:
        raise self._lacks(Feature.CLOCK)

    def authentications(self, since: Since) -> int:
        raise self._lacks(Feature.CLOCK)

    def mark(self) -> Since:
        return Since(self.host.mark())

    def refused(self, why: Refusal, since: Since) -> bool:
        return why.value in self.host.log(since.log)

    def notified(self, notify: str, since: Since) -> bool:
        return notify in self.host.log(since.log)

    def dropped(self, why: Drop, since: Since) -> int:
        return self.host.log(since.log).count(why.value)

    @contextlib.contextmanager
    def telling_drops(self) -> Iterator[None]:
        yield

    def complaint(self) -> str:
        return ""

    def established(self) -> Sequence[float]:
        return []

    def keylog(self) -> contextlib.AbstractContextManager[None]:
        raise self._lacks(Feature.KEYLOG)

    def keys(self) -> Keys:
        raise self._lacks(Feature.KEYLOG)

    def _lacks(self, feature: Feature) -> BadInput:
        found = f"Fake, which has no {feature.value}"
        return BadInput(self.host.name, "", found, "a VPN that has them", "remove the sentence")
