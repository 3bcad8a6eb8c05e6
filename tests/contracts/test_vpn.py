"""Every VPN keeps the contract, and every folder of one is tried here."""

from __future__ import annotations

import pkgutil

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from tests.conftest import Checkout
from tests.contracts.vpn_contract import VpnContract
from tests.fake_charon import FakeHost, tunnel
from tests.fake_vpn import PORT, FakeVpn
from tunnelbed import vpn
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.vpn.api import Daemon, Feature, Kind, Vpn


def between(payload: bytes, port: int = 0, protocol: int = 0) -> Packet:
    """A packet between two gateways, as it comes off a link."""
    outer = IP(src="192.0.2.1", dst="192.0.2.2")
    whole = outer / UDP(sport=port, dport=port) if port else IP(src="192.0.2.1", dst="192.0.2.2", proto=protocol)
    return IP(bytes(whole / Raw(payload)))


class TestStrongSwan(VpnContract):
    def vpn(self) -> Vpn:
        return next(found for found in vpn.every() if found.name == "strongSwan")

    def config(self, peer: str) -> str:
        return f"connections {{\n  a {{\n    remote_addrs = {peer}\n  }}\n}}\n"

    def data(self, number: int) -> Packet:
        return between(number.to_bytes(4, "big") + b"\0\0\0\1" + b"x" * 40, protocol=50)

    def handshake(self) -> Packet:
        return between(b"\1" * 16 + bytes([46, 0x20, 34, 8]) + b"\0" * 4 + (28).to_bytes(4, "big"), port=500)


class TestFake(VpnContract):
    def vpn(self) -> Vpn:
        return FakeVpn()

    def config(self, peer: str) -> str:
        return peer

    def data(self, number: int) -> Packet:
        return between(number.to_bytes(2, "big") + b"x" * 40, port=PORT)

    def handshake(self) -> Packet:
        return between(b"\0\0hello", port=PORT)

    def dead(self, host: FakeHost) -> Daemon | None:
        del host
        return None


def test_every_folder_of_a_vpn_is_registered_and_tried_here() -> None:
    folders = [found.name for found in pkgutil.iter_modules(vpn.__path__) if found.ispkg]
    tried = {case().vpn() for case in VpnContract.__subclasses__()}
    assert len(vpn.every()) == len(folders)
    assert set(vpn.every()) <= tried


def test_a_second_vpn_is_asked_like_the_first(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, others = FakeVpn(), vpn.every()
    monkeypatch.setattr(vpn, "every", lambda: (*others, fake))
    checkout.configure("gateway/fake.conf", "10.1.0.3")
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    gateway = bed.node("gateway")
    assert gateway.vpn is fake
    assert list(bed.gateways()) == [gateway.node]
    assert list(vpn.peers(bed.scenario, "gateway")) == ["10.1.0.3"]
    monkeypatch.setattr(gateway.daemon, "found", (tunnel(5, 6),))
    assert bed.snapshot() == {"gateway": (tunnel(5, 6),)}
    carried = bed.classify(between(b"\0\5" + b"x" * 9, port=PORT))
    assert carried is not None
    assert (carried.kind, carried.number) == (Kind.DATA, 5)
    assert bed.classify(between(b"\0\7" + b"x" * 9, port=PORT)) is None
    told = "^tiny: gateway: found Fake, which has no certificates, expected a VPN that has them"
    with pytest.raises(BadInput, match=told):
        gateway.able(Feature.CERTIFICATES)
