"""Verdicts about who reaches whom that a phrase's refutation does not show, each judged on two sites."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.packet import Packet

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tests.fake_network.parts import NotSent
from tunnelbed.checks import reachability
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.probes import Ping, TcpSyn
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.model import Node

# An address that no stack names, at host B all the same.
OTHER = ipaddress.ip_address("10.2.0.77")
MUTE = "table inet n { chain out { type filter hook output priority 0; policy drop; } }"


@contextmanager
def up(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork, Node, Node]]:
    """The pair, and its two hosts."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        yield bed, network, bed.scenario.node("host-a"), bed.scenario.node("host-b")


def with_other(pair: Pair) -> None:
    pair.batches["host-b"].append(f"address add {OTHER}/24 dev intranet_b")


def test_an_address_in_no_stack_is_reached_where_a_node_answers_for_it(pair: Pair) -> None:
    with_other(pair)
    with up(pair) as (bed, _, source, target):
        (found,) = reachability.reaches(bed, source, OTHER, Ping())
        assert (found.target, found.aim.node) == (target, None)
        with pytest.raises(Unmet) as failed:
            reachability.cannot_reach(bed, source, OTHER, Ping())
    assert failed.value.expected == f"host-a cannot reach {OTHER} by ping"
    assert failed.value.seen.startswith("it arrived: ")


def test_an_address_in_no_stack_is_not_reached_where_nobody_has_it(pair: Pair) -> None:
    with up(pair) as (bed, _, source, _):
        reachability.cannot_reach(bed, source, OTHER, Ping())
        with pytest.raises(Unmet) as failed:
            reachability.reaches(bed, source, OTHER, Ping())
    assert failed.value.seen.startswith("no answer; the probe was last seen ")


def test_an_address_in_no_stack_is_reached_though_who_has_it_does_not_answer(pair: Pair) -> None:
    with_other(pair)
    with up(pair) as (bed, network, source, _):
        network.nodes["host-b"].rules.read(MUTE)
        with pytest.raises(Unmet) as failed:
            reachability.cannot_reach(bed, source, OTHER, TcpSyn(8080))
    assert failed.value.seen.startswith("it arrived: "), failed.value.seen


def test_whoever_answers_in_a_target_s_place_is_told(pair: Pair) -> None:
    hook = "type nat hook prerouting priority -100; policy accept;"
    taken = f"table ip n {{ chain pre {{ {hook} ip daddr 10.2.0.2 redirect; }} }}"
    with up(pair) as (bed, network, source, target):
        network.nodes["gateway-a"].rules.read(taken)
        with pytest.raises(Unmet) as failed:
            reachability.cannot_reach(bed, source, target, Ping())
        assert failed.value.seen.startswith("it was answered: ")
        with pytest.raises(Unmet) as failed:
            reachability.reaches(bed, source, target, Ping())
        assert failed.value.seen.startswith("10.2.0.2 answered, and host-b did not receive the probe; ")


def test_what_a_source_cannot_send_for_want_of_a_route_is_stopped(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        bed.node(source).run(["ip", "route", "del", "default"], check=True)
        reachability.cannot_reach(bed, source, target, Ping())


def test_what_a_source_cannot_send_for_another_reason_is_no_verdict(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: Packet) -> None:
        raise NotSent(errno.ENOBUFS)

    with up(pair) as (bed, network, source, target):
        monkeypatch.setattr(network.nodes["host-a"], "send", down)
        with pytest.raises(TunnelbedError, match="cannot be judged, since host-a could not send the probe"):
            reachability.cannot_reach(bed, source, target, Ping())


def test_what_waits_for_a_neighbour_was_not_seen_to_leave_and_is_no_verdict(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        bed.node("gateway-a").run(["ip", "link", "set", "intranet_a", "down"], check=True)
        bed.absent.add(("gateway-a", "intranet_a"))
        with pytest.raises(TunnelbedError, match="did not leave host-a") as failed:
            reachability.cannot_reach(bed, source, target, Ping())
        assert not isinstance(failed.value, Unmet)


def test_a_target_that_no_neighbour_s_packet_reaches_is_no_verdict(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        bed.node(target).run(["ip", "link", "set", "intranet_b", "down"], check=True)
        bed.absent.add(("host-b", "intranet_b"))
        with pytest.raises(TunnelbedError, match="no control packet from a neighbour arrives at host-b"):
            reachability.cannot_reach(bed, source, target, Ping())


def test_a_hasty_testbed_gives_up_once_attempts_end_at_the_same_place(pair: Pair) -> None:
    waited = []
    for fail_fast in (False, True):
        with up(pair) as (bed, network, source, target):
            bed.fail_fast, bed.patience = fail_fast, 100.0
            network.nodes["host-b"].rules.read(MUTE)
            began = network.clock.now()
            with pytest.raises(Unmet) as failed:
                reachability.reaches(bed, source, target, Ping())
            waited.append(network.clock.now() - began)
        assert failed.value.seen == "no answer; the probe was last seen entering host-b by intranet_b"
    assert waited[0] >= 100
    assert waited[1] < 10


def test_who_is_seen_as_its_own_address_is_not_seen_as_its_gateway(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        reachability.seen_as(bed, source, target, ipaddress.ip_address("10.1.0.2"), Ping())
        with pytest.raises(Unmet) as failed:
            reachability.seen_as(bed, source, target, bed.scenario.node("gateway-a"), Ping())
    assert failed.value.seen == "it came from 10.1.0.2 (host-a)"


def test_an_ip_version_that_an_address_is_not_of_is_one_line(pair: Pair) -> None:
    with up(pair) as (bed, _, source, target):
        with pytest.raises(BadInput, match="found IPv6, expected an IP version in which both have addresses"):
            reachability.reaches(bed, source, target, Ping(), version=6)
        with pytest.raises(BadInput, match="expected an address that host-a can use \\(IPv4\\)"):
            reachability.reaches(bed, source, ipaddress.ip_address("2001:db8::1"), Ping())
