"""A capture while a tunnel is made and used: all of it is there, and its keys open it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, cast

from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Packet
from scapy.utils import PcapNgReader

from tests.live.conftest import command


def pings(mine: Path) -> None:
    """Host A pings host B, through the tunnel."""
    words = ["exec", "--scenario", "mine", "--node", "host-a", "--", "ping", "-c", "3", "-i", "0.2", "10.2.0.2"]
    subprocess.run(command(mine, *words), check=True, capture_output=True)


def opened(packet: Packet, folder: Path) -> Packet:
    """What ESP carries, by the keys that Wireshark would use."""
    for row in (folder / "esp_sa").read_text().splitlines():
        _, source, target, spi, cipher, key, _, _ = (word.strip('"') for word in row.split(","))
        if int(spi, 16) == packet[ESP].spi:
            assert (cipher, source, target) == (
                "AES-GCM with 16 octet ICV [RFC4106]",
                packet[IP].src,
                packet[IP].dst,
            )
            secret = bytes.fromhex(key.removeprefix("0x"))
            association: Any = SecurityAssociation
            known = association(ESP, int(spi, 16), crypt_algo="AES-GCM", crypt_key=secret, tunnel_header=IP())
            inner: Packet = known.decrypt(packet[IP])
            return inner
    raise AssertionError(f"no key for {packet.summary()}")


def test_what_crossed_a_link_can_be_opened_with_the_keys(mine: Path) -> None:
    file = mine / "x.pcapng"
    words = ["capture", "--scenario", "mine", "--keys", "--output", str(file)]
    capturing = subprocess.Popen(
        command(mine, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    assert capturing.stderr
    assert any("setting the tunnels up again" in line for line in iter(capturing.stderr.readline, ""))
    pings(mine)
    # As a terminal does: to all that belongs to it.
    os.killpg(capturing.pid, signal.SIGINT)
    out, err = capturing.communicate(timeout=60)
    assert capturing.returncode == 0, err
    folder = mine / "x.keys"
    assert out.split() == ["env", f"WIRESHARK_CONFIG_DIR={folder}", "wireshark", str(file)]
    with PcapNgReader(str(file)) as reader:
        packets = list(reader)
    # The whole conversation, from the first packet of IKE on.
    heads = {bytes(packet[UDP].payload)[:16].hex() for packet in packets if UDP in packet and packet[UDP].dport == 500}
    (row,) = (folder / "ikev2_decryption_table").read_text().splitlines()
    initiator, responder = row.split(",")[:2]
    assert {initiator + "0" * 16, initiator + responder} <= heads
    crossed = [packet for packet in packets if ESP in packet]
    assert len(crossed) >= 6
    assert {frozenset({inner.src, inner.dst}) for inner in (opened(packet, folder) for packet in crossed)} == {
        frozenset({"10.1.0.2", "10.2.0.2"})
    }
    # The gateways log no keys any more.
    for node in ("gateway-a", "gateway-b"):
        words = ["exec", "--scenario", "mine", "--node", node, "--", "ls", "/run/tunnelbed"]
        left = subprocess.run(command(mine, *words), check=True, capture_output=True, text=True).stdout
        assert "loaded" in left
        assert "keys" not in left


def test_a_network_is_piped_each_packet_once(mine: Path) -> None:
    words = ["capture", "--scenario", "mine", "--network", "intranet_b", "--seconds", "4", "--output", "-"]
    capturing = subprocess.Popen(command(mine, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert capturing.stderr
    assert any(b"capturing at gateway-b, host-b" in line for line in iter(capturing.stderr.readline, b""))
    pings(mine)
    out, err = capturing.communicate(timeout=60)
    assert capturing.returncode == 0, err
    with PcapNgReader(cast("str", io.BytesIO(out))) as reader:
        seen = [(packet.sniffed_on, packet[IP].src) for packet in reader if IP in packet]
    assert seen == [("gateway-b intranet_b", "10.1.0.2"), ("host-b intranet_b", "10.2.0.2")] * 3


def test_keys_belong_beside_a_file(mine: Path) -> None:
    words = ["capture", "--scenario", "mine", "--keys", "--output", "-"]
    done = subprocess.run(command(mine, *words), capture_output=True, text=True, check=False)
    expected = "a program that reads pcapng, and no --keys; name a file instead"
    assert done.stderr.splitlines() == [f"tunnelbed: --output -: found --keys with it, expected {expected}"]
    assert (done.returncode, done.stdout) == (2, "")
