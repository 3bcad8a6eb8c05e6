"""What fake charons agree on: IKE_SAs, CHILD_SAs, and the numbers, proposals and selectors of both."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fake_network import esp
from tunnelbed.topology.model import Address, Subnet


@dataclass
class ChildSa:
    """A CHILD_SA of one end."""

    name: str
    unique: int
    proposal: str
    local: tuple[Subnet, ...]
    remote: tuple[Subnet, ...]
    inbound: esp.Sa
    outbound: esp.Sa
    state: str = "INSTALLED"

    @property
    def spis(self) -> str:
        """As the log has them."""
        return f"{self.inbound.spi:08x}_i {self.outbound.spi:08x}_o"

    @property
    def said(self) -> str:
        """As the log has it where it is replaced."""
        return f"{self.name}{{{self.unique}}} with SPIs {self.spis}"


@dataclass
class IkeSa:
    """An IKE_SA of one end."""

    name: str
    unique: int
    local: Address
    remote: Address
    own_spi: bytes
    initiator: bool
    state: str = "CONNECTING"
    peer_spi: bytes = bytes(8)
    proposal: str = ""
    local_id: str = ""
    remote_id: str = "%any"
    children: list[ChildSa] = field(default_factory=list)
    # The child that is asked for, while nobody answered.
    wanted: str = ""

    @property
    def spis(self) -> tuple[bytes, bytes]:
        """The initiator's, and the responder's."""
        return (self.own_spi, self.peer_spi) if self.initiator else (self.peer_spi, self.own_spi)

    @property
    def ends(self) -> str:
        """As the log has them."""
        return f"{self.local}[{self.local_id}]...{self.remote}[{self.remote_id}]"


KNOWN = {
    *("aes128", "aes192", "aes256", "aes128gcm16", "aes256gcm16", "chacha20poly1305", "null"),
    *("sha1", "sha256", "sha384", "sha512", "prfsha256", "prfsha384", "prfsha512"),
    *("modp2048", "modp3072", "modp4096", "ecp256", "ecp384", "ecp521", "curve25519"),
}
GROUPS = ("modp", "ecp", "curve")


def bare(proposal: str) -> str:
    """Without a key exchange of its own: the first child has none."""
    return "-".join(word for word in proposal.split("-") if not word.startswith(GROUPS))


def narrowed(ours: Sequence[Subnet], theirs: Sequence[Subnet]) -> tuple[Subnet, ...]:
    pairs = [(one, other) for one in ours for other in theirs if one.version == other.version and one.overlaps(other)]
    return tuple(one if one.prefixlen >= other.prefixlen else other for one, other in pairs)


def texts(subnets: Sequence[Subnet]) -> list[str]:
    return [str(subnet) for subnet in subnets]


def new_spi() -> bytes:
    return secrets.token_bytes(8)


def new_number() -> int:
    return 0xC0000000 + secrets.randbelow(1 << 28)
