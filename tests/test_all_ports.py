"""All ports asked for: the packets, what nodes note of them, and when nothing can be said."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from tunnelbed.checks.all_ports import PROTOCOLS, Seen, Sweep, allowed_ports, named, sets, table
from tunnelbed.errors import BadInput
from tunnelbed.topology.model import LAST_PORT

ADDRESSES = [("10.1.0.3", "203.0.113.10"), ("fc00::3", "2001:db8::10")]
EVERY = range(1, LAST_PORT + 1)


@pytest.fixture(scope="module")
def burst() -> ModuleType:
    """The node's script."""
    path = Path(__file__).parent.parent / "scripts" / "node" / "burst"
    loader = importlib.machinery.SourceFileLoader("burst", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("burst", loader) or pytest.fail("no spec"))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("addresses", ADDRESSES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_port_s_packet_is_whole(burst: ModuleType, protocol: str, addresses: tuple[str, str]) -> None:
    sweep = Sweep(protocol)
    source, target = map(ipaddress.ip_address, addresses)
    layer, header = {"TCP": TCP, "UDP": UDP}[protocol], IP if target.version == 4 else IPv6
    ports = []
    for number, made in enumerate(
        burst.packets(bytes(sweep.packet(source, target)), PROTOCOLS[protocol], 1, LAST_PORT)
    ):
        ports.append(int.from_bytes(made[-18:-16] if protocol == "TCP" else made[-12:-10], "big"))
        if number % 997 == 0 or number > LAST_PORT - 3:
            found = header(bytes(made))
            checksum = found[layer].chksum
            del found[layer].chksum
            assert header(bytes(found))[layer].chksum == checksum, f"port {found.dport}"
            repeated = found[TCP].seq & 0xFFFF if protocol == "TCP" else int.from_bytes(bytes(found[UDP].payload)[4:])
            assert repeated == found[layer].dport
    assert ports == list(EVERY)


def test_udp_s_checksum_is_never_none_at_all(burst: ModuleType) -> None:
    source, target = map(ipaddress.ip_address, ADDRESSES[0])
    template = bytes(Sweep("UDP").packet(source, target))
    # Over all ports, the sum takes every value; 0 means that there is no checksum (RFC 768).
    found = {bytes(made[26:28]) for made in burst.packets(template, PROTOCOLS["UDP"], 1, LAST_PORT)}
    assert b"\0\0" not in found


def test_a_table_notes_both_protocols_in_three_places_and_decides_nothing() -> None:
    text = table([Sweep("TCP", 0xBEEFCAFE), Sweep("UDP", 7)])
    assert text.count("flags dynamic") == text.count("add @") == 6
    assert "@th,32,16 48879 @th,112,16 51966 add @TCP_came { @th,48,16 }" in text
    assert not any(word in text for word in ("accept", "drop", "policy", "ct "))


def test_what_a_set_holds_is_read_and_an_empty_one_holds_nothing() -> None:
    listed = {"nftables": [{"metainfo": {}}, {"set": {"name": "a", "elem": [53, 8080]}}, {"set": {"name": "b"}}]}
    assert sets(json.dumps(listed)) == {"a": {53, 8080}, "b": frozenset()}


def seen(refused: int = 0, **noted: Iterable[int]) -> Seen:
    """What was noted: `client_left`, `gateway_came`."""
    nodes = ("client", "gateway", "server")
    came, taken, left = (
        {node: frozenset(noted.get(f"{node}_{place}", ())) for node in nodes} for place in ("came", "taken", "left")
    )
    return Seen(came, taken, left, refused)


def test_all_packets_that_came_to_a_gateway_and_went_no_further_are_accounted_for() -> None:
    assert seen(client_left=EVERY, gateway_came=EVERY).lost("client") == ""


def test_packets_that_the_source_refused_are_accounted_for() -> None:
    assert seen(refused=LAST_PORT).lost("client") == ""
    assert seen(refused=LAST_PORT - 1, client_left=[53], gateway_came=[53]).lost("client") == ""


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (seen(client_left=EVERY, gateway_came=EVERY[1:]), "1 left a node and were not seen to come to another"),
        (
            seen(client_left=EVERY, gateway_came=EVERY, gateway_left=[53]),
            "1 left a node and were not seen to come to another",
        ),
        (seen(client_left=EVERY[:-3], gateway_came=EVERY[:-3]), "3 were not even seen to leave client"),
        (seen(), f"{LAST_PORT} were not even seen to leave client"),
    ],
)
def test_a_packet_whose_end_nobody_knows_is_lost(found: Seen, why: str) -> None:
    assert found.lost("client") == why


def test_the_control_is_no_port_that_was_reached() -> None:
    found = seen(server_came=[0, 53], gateway_came=[0, 53, 80], gateway_taken=[0, 80], gateway_left=[53, 0])
    assert found.reached("server", guards=False) == {53}
    assert found.reached("gateway", guards=True) == {53, 80}


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ({"TCP": (), "UDP": ()}, ""),
        ({"TCP": (8080,), "UDP": (53, 54, 55, 70)}, "TCP port 8080 and UDP ports 53-55, 70"),
        ({"TCP": EVERY, "UDP": ()}, "TCP ports 1-65535"),
        ({"TCP": range(2, 40, 2)}, "TCP ports 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and more, 19 in all"),
    ],
)
def test_ports_are_named_in_runs(ports: dict[str, Iterable[int]], words: str) -> None:
    assert named({name: frozenset(numbers) for name, numbers in ports.items()}) == words


@pytest.mark.parametrize("kind", ["ICMP", "TCP port 70000", "TCP port 0", "ESP"])
def test_only_a_port_of_tcp_or_udp_can_be_excepted(kind: str) -> None:
    with pytest.raises(BadInput, match="1 to 65535"):
        allowed_ports([kind])
