"""What every VPN must do: each test is a promise of `tunnelbed.vpn.api`.

A new VPN is a folder in `tunnelbed/vpn/` whose `__init__` has the name `VPN`, and here a subclass of `VpnContract` in
test_vpn.py. What the subclass does not pass, the VPN lacks.
"""

from __future__ import annotations

import inspect
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC, Checkout
from tests.fake_charon import FakeCharon, FakeHost
from tunnelbed import vpn
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.observe.kinds import kind
from tunnelbed.topology import compose_file
from tunnelbed.vpn.api import Daemon, Feature, Kind, Listed, Since, Vpn

NUMBER = 0xC1C2


def methods(protocol: type) -> list[str]:
    """What a protocol promises, by name."""
    return sorted(name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_"))


class VpnContract(ABC):
    """The promises; a subclass says which VPN, and what its files and packets look like."""

    @abstractmethod
    def vpn(self) -> Vpn:
        """The VPN."""

    @abstractmethod
    def config(self, peer: str) -> str:
        """A file that makes a node run it, with that peer."""

    @abstractmethod
    def data(self, number: int) -> Packet:
        """A packet of tunnel data with that number, as it crosses a link."""

    @abstractmethod
    def handshake(self) -> Packet:
        """A packet of the protocol's handshake."""

    def test_it_has_a_name_files_and_names_for_its_packets(self) -> None:
        found = self.vpn()
        assert found.name
        assert found.files
        assert found.data.isalnum()
        assert found.handshake.isalnum()
        assert found.data != found.handshake
        assert all(isinstance(feature, Feature) for feature in found.features)

    @pytest.mark.parametrize("name", methods(Vpn))
    def test_it_does_what_a_vpn_does(self, name: str) -> None:
        promised, made = (inspect.signature(getattr(where, name)) for where in (Vpn, type(self.vpn())))
        assert list(made.parameters) == list(promised.parameters)

    @pytest.mark.parametrize("name", methods(Daemon))
    def test_its_daemon_does_what_a_daemon_does(self, name: str) -> None:
        made = self.vpn().on(FakeHost(FakeCharon()))
        promised, found = (inspect.signature(getattr(where, name)) for where in (Daemon, type(made)))
        assert list(found.parameters) == list(promised.parameters)

    def test_its_file_names_peers(self, tmp_path: Path) -> None:
        file = tmp_path / Path(self.vpn().files[-1]).name
        file.write_text(self.config("192.0.2.9"), encoding="utf-8")
        assert self.vpn().setup(file).peers == ("192.0.2.9",)

    def test_a_node_needs_its_keys_and_nothing_of_an_engine(self, tmp_path: Path) -> None:
        needs = self.vpn().needs(tmp_path, "auto")
        assert [mount.source for mount in needs.mounts] == [tmp_path]
        assert self.vpn().needs(None, "kernel").mounts == ()
        assert all(device.startswith("/dev/") for device in needs.devices)

    def test_data_is_a_tunnel_s_only_with_a_number_that_is_listed(self) -> None:
        packet = self.data(NUMBER)
        found = self.vpn().classify(packet, Listed({NUMBER}))
        assert found is not None
        assert (found.kind, found.number, found.name) == (Kind.DATA, NUMBER, self.vpn().data)
        assert self.vpn().classify(packet, Listed({NUMBER + 1})) is None
        assert kind(packet, lambda one: self.vpn().classify(one, Listed({NUMBER}))) == self.vpn().data

    def test_a_handshake_is_known_by_itself(self) -> None:
        found = self.vpn().classify(self.handshake(), Listed())
        assert found is not None
        assert (found.kind, found.name) == (Kind.HANDSHAKE, self.vpn().handshake)

    @pytest.mark.parametrize(
        "packet",
        [
            Ether(dst=MAC) / ARP(psrc="192.0.2.1", pdst="192.0.2.2"),
            IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(),
            IP(src="192.0.2.1", dst="192.0.2.2") / TCP(dport=443) / Raw(b"text"),
            IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=5353, dport=53) / Raw(b"text"),
        ],
    )
    def test_anything_else_is_not_its_own(self, packet: Packet) -> None:
        assert self.vpn().classify(type(packet)(bytes(packet)), Listed({NUMBER})) is None

    def test_proposals_are_said_and_reported_or_refused_in_a_line(self) -> None:
        if Feature.PROPOSALS not in self.vpn().features:
            with pytest.raises(BadInput, match="remove the sentence"):
                self.vpn().proposal("aes256")
            return
        with pytest.raises(BadInput, match="expected one of"):
            self.vpn().proposal("rot13")

    def test_hours_pass_for_its_daemon_or_that_is_refused_in_a_line(self) -> None:
        host = FakeHost(FakeCharon())
        host.answer = lambda _: "0\n"
        daemon = self.vpn().on(host)
        assert daemon.ahead() == 0
        # What has the machine's time need not start again.
        daemon.set_right()
        if Feature.CLOCK in self.vpn().features:
            daemon.pass_time(3600, 1800)
            assert daemon.renewals("ESP", Since()) == daemon.renewals("IKE", Since()) == 0
            return
        told = "^gateway: found .*, which has no clocks that can run fast, expected .*; remove the sentence$"
        for ask in (lambda: daemon.pass_time(3600, 1800), lambda: daemon.renewals("ESP", Since())):
            with pytest.raises(BadInput, match=told):
                ask()

    def test_what_outlives_a_test_is_told_on_any_node_without_an_error(self) -> None:
        done = subprocess.run(["sh", "-c", f"{self.vpn().state}\nexit 0"], capture_output=True, text=True, check=True)
        assert done.stderr == ""

    def test_what_is_listed_for_people_is_in_sections_on_any_node(self) -> None:
        script = f"{self.vpn().listed}\nexit 0"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout.startswith("== ")
        assert done.stderr == ""

    def test_a_daemon_that_does_not_answer_is_an_error_and_never_no_tunnel(self) -> None:
        host = FakeHost(FakeCharon())
        host.charon.listens = False
        daemon = self.dead(host)
        if daemon is not None:
            with pytest.raises(NodeFailed):
                daemon.tunnels()
            assert not daemon.answers()

    def dead(self, host: FakeHost) -> Daemon | None:
        """The daemon on a node where nothing listens; None: this one is not asked over anything that can fail."""
        return self.vpn().on(host)

    def test_a_tunnel_s_end_is_known_by_its_address(self, checkout: Checkout) -> None:
        name = Path(self.vpn().files[-1]).name
        checkout.configure(f"gateway/{name}", self.config("10.1.0.3"))
        node = compose_file.load("tiny", checkout.root).node("gateway")
        assert name in node.files
        if self.vpn() in vpn.every():
            assert vpn.of(node) is self.vpn()
