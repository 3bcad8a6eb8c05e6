"""How a VPN classifies a packet: data of a tunnel, handshake, or keepalive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from scapy.packet import Packet  # takes half a second to import


class Kind(Enum):
    """What a VPN's packet is for."""

    DATA = "data"
    HANDSHAKE = "handshake"
    KEEPALIVE = "keepalive"


@dataclass(frozen=True)
class Carried:
    """A packet of a VPN of the scenario.

    `name` is what its protocol is called: ESP, IKE. `number` tells to which tunnel data belongs, as the receiver lists
    it, and `unit` what that is called: an SPI. `routine` is what comes at any time and sets nothing up, such as the
    question whether a peer is alive.
    """

    kind: Kind
    name: str
    number: int | None = None
    routine: bool = False
    unit: str = ""

    def __str__(self) -> str:
        """As a report names it: `ESP SPI c0ffee01`."""
        return self.name if self.number is None else f"{self.name} {self.unit} {self.number:08x}"


Classify: TypeAlias = "Callable[[Packet], Carried | None]"


def nobodys(_packet: Packet) -> None:
    """No VPN's packet: how packets are classified where there is no VPN."""
