"""ICMP errors that come back or do not, and hops that are used up: judged on two sites, by both IP versions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair, dual
from tunnelbed.checks import icmp_errors, traceroute
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import CommandFailed, TunnelbedError
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Node

HOME = Path(__file__).parents[1]
SOMEWHERE = ipaddress.ip_address("10.9.9.9")
SOMEWHERE6 = ipaddress.ip_address("2001:db8:99::9")
SAYS_NOTHING = (
    "table inet n { chain out { type filter hook output priority 0; policy accept; meta l4proto { 1, 58 } drop; } }"
)


@contextmanager
def up(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork, Node, Node]]:
    """The pair, and its two hosts."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        yield bed, network, bed.scenario.node("host-a"), bed.scenario.node("host-b")


@contextmanager
def ipv6(root: Path) -> Iterator[tuple[Bed, Node, Node]]:
    """The scenario of IPv6 alone, a client and the server."""
    with brought_up(compose_file.load("ipv6", HOME), root) as (bed, _):
        bed.patience = 2.0
        yield bed, bed.scenario.having("client")[0], bed.scenario.having("server")[0]


def no_way(pair: Pair) -> None:
    """Gateway A knows no way to anywhere but the other site."""
    dual(pair)
    pair.batches["gateway-a"][0] = "route replace 10.2.0.0/24 via 192.0.2.2"


@pytest.mark.parametrize("address", [SOMEWHERE, SOMEWHERE6], ids=str)
def test_an_address_without_a_route_is_told_to_be_unreachable(
    pair: Pair, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    no_way(pair)
    with up(pair) as (bed, network, source, _):
        icmp_errors.told_unreachable(bed, source, address)
        network.nodes["gateway-a"].rules.read(SAYS_NOTHING)
        with pytest.raises(Unmet) as failed:
            icmp_errors.told_unreachable(bed, source, address)
    assert failed.value.expected == f"host-a receives an ICMP error that {address} is unreachable"
    assert failed.value.seen == "no ICMP error; the probe was last seen entering gateway-a by intranet_a"


def test_a_node_without_a_route_of_its_own_is_told_nothing_by_others(pair: Pair) -> None:
    with up(pair) as (bed, _, source, _):
        bed.node(source).run(["ip", "route", "del", "default"], check=True)
        with pytest.raises(Unmet) as failed:
            icmp_errors.told_unreachable(bed, source, SOMEWHERE)
    assert failed.value.seen.startswith("host-a itself does not send it: ")
    assert "[Errno 101]" in failed.value.seen


def test_a_packet_too_large_for_the_tunnel_is_told_the_size_that_fits(pair: Pair) -> None:
    with up(pair) as (bed, network, source, target):
        icmp_errors.told_too_large(bed, source, target)
        network.nodes["gateway-a"].rules.read(SAYS_NOTHING)
        with pytest.raises(Unmet) as failed:
            icmp_errors.told_too_large(bed, source, target)
    assert failed.value.expected == "host-a receives the MTU for packets to host-b"
    assert failed.value.seen.startswith("no ICMP error; the probe was last seen ")


def test_a_packet_of_ipv6_too_large_for_the_tunnel_is_told_the_size_that_fits(tmp_path: Path) -> None:
    with ipv6(tmp_path) as (bed, source, target):
        icmp_errors.told_too_large(bed, source, target)


def test_the_size_that_fits_is_told_by_each_ip_version_or_by_none(pair: Pair) -> None:
    dual(pair)
    with up(pair) as (bed, _, source, target), pytest.raises(Unmet) as failed:
        # What goes beside the tunnel, by IPv6, fits.
        icmp_errors.told_too_large(bed, source, target)
    assert failed.value.seen == "no ICMP error; the probe was last seen entering host-b by intranet_b"


def test_the_end_of_a_tunnel_is_told_the_size_by_its_own_kernel(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        gateway = bed.scenario.node("gateway-a")
        icmp_errors.told_too_large(bed, gateway, target)
        with pytest.raises(Unmet) as failed:
            icmp_errors.stray_not_told(bed, gateway, target)
        assert "[Errno 90]" in failed.value.seen
        with pytest.raises(Unmet) as failed:
            # No tunnel to its own site: it fits.
            icmp_errors.told_too_large(bed, gateway, source)
    assert failed.value.seen == "no ICMP error; the probe was last seen entering host-a by intranet_a"


def test_a_node_that_refuses_for_another_reason_is_told_no_size(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        bed.node(source).run(["ip", "route", "del", "default"], check=True)
        with pytest.raises(CommandFailed, match="Errno 101"):
            icmp_errors.told_too_large(bed, source, target)


def test_an_answer_to_no_ping_is_told_no_size_where_its_gateway_drops_it(pair: Pair) -> None:
    hook = "type filter hook prerouting priority -400; policy accept;"
    stray = f"table inet n {{ chain f {{ {hook} icmp type echo-reply drop; }} }}"
    with up(pair) as (bed, network, source, target):
        with pytest.raises(Unmet) as failed:
            icmp_errors.stray_not_told(bed, source, target)
        assert failed.value.expected == "host-a receives no ICMP error about unsolicited answers to host-b"
        network.nodes["gateway-a"].rules.read(stray)
        icmp_errors.stray_not_told(bed, source, target)
        bed.node("gateway-a").run(["ip", "link", "set", "intranet_a", "down"], check=True)
        bed.absent.add(("gateway-a", "intranet_a"))
        with pytest.raises(TunnelbedError, match="cannot be judged, since no packet leaves host-a"):
            icmp_errors.stray_not_told(bed, source, target)


def test_a_gateway_tells_that_hops_are_used_up_by_each_ip_version(pair: Pair) -> None:
    dual(pair)
    with up(pair) as (bed, network, source, target):
        gateway = bed.scenario.node("gateway-a")
        traceroute.sees(bed, source, gateway, target)
        network.nodes["gateway-a"].rules.read(SAYS_NOTHING.replace("{ 1, 58 }", "58"))
        with pytest.raises(Unmet) as failed:
            traceroute.sees(bed, source, gateway, target)
    assert failed.value.expected == "host-a receives a time exceeded error from gateway-a about packets to host-b"
    assert failed.value.seen == "no ICMP error"


def test_a_gateway_that_a_packet_never_comes_to_tells_nothing_of_it(pair: Pair) -> None:
    with up(pair) as (bed, network, source, target):
        gateway = bed.scenario.node("gateway-b")
        traceroute.sees(bed, source, gateway, target)
        network.nodes["gateway-a"].rules.read(
            "table inet n { chain f { type filter hook forward priority 0; policy drop; } }"
        )
        with pytest.raises(Unmet) as failed:
            traceroute.sees(bed, source, gateway, target)
        assert failed.value.seen == (
            "the probe never came to gateway-b; the probe was last seen entering gateway-a by intranet_a"
        )
        with pytest.raises(TunnelbedError, match="cannot be judged, since no packet arrives there") as judged:
            traceroute.does_not_see(bed, source, gateway, target)
        assert not isinstance(judged.value, Unmet)


def test_what_nobody_asked_for_is_told_nothing_where_the_gateway_drops_it(pair: Pair) -> None:
    with up(pair) as (bed, network, source, target):
        gateway = bed.scenario.node("gateway-a")
        with pytest.raises(Unmet) as failed:
            traceroute.does_not_see(bed, source, gateway, target)
        assert "time-exceeded" in failed.value.seen
        network.nodes["gateway-a"].rules.read(SAYS_NOTHING)
        traceroute.does_not_see(bed, source, gateway, target)
