"""New keys: which numbers a tunnel uses by now, and what is said where they are the old ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest

from tests.conftest import Checkout
from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tests.fake_network.workers import P, T, Workers
from tunnelbed import vpn
from tunnelbed.checks import reachability, rekeying, traffic
from tunnelbed.checks.rekeying import Rekeying
from tunnelbed.checks.traffic import Answered, Traffic
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import CommandFailed, TunnelbedError
from tunnelbed.observe.probes import Ping
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.vpn.api import Child, Tunnel


def child(spi: int, state: str = "INSTALLED") -> Child:
    carries = state == "INSTALLED"
    return Child("cloud", str(spi), state, carries, (), (), spi, spi + 1, not carries)


def tunnel(*children: Child) -> Tunnel:
    return Tunnel("cloud", "1", "ESTABLISHED", True, None, None, 500, 500, "", "", False, children)  # noqa: FBT003 # a value


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def made(bed: Bed, before: Tunnel, after: Tunnel) -> Rekeying:
    recording = Recording(Agents(bed.engine, bed.project), {})
    return Rekeying(before, after, recording, Answered("pings", 40, 0, "while keys change", recording), vpn.every()[0])


def test_requests_are_counted_by_their_answers() -> None:
    assert traffic.answered('{"pong": "1"}\n{"pong": "2"}\n{"error": "invalid request"}\n') == (traffic.PACKETS, 2)


def test_lost_traffic_is_told_by_its_name(bed: Bed) -> None:
    recording = Recording(Agents(bed.engine, bed.project), {})
    with pytest.raises(Unmet) as unmet:
        traffic.few_lost(bed, Answered("requests", 40, 3, "while keys change", recording))
    told = ("all 40 requests are answered while keys change", "3 of 40 lost")
    assert (unmet.value.expected, unmet.value.seen) == told


def test_a_child_that_was_replaced_and_lingers_is_no_second_one() -> None:
    lingering = tunnel(child(0xC1, "DELETED"), child(0xC3))
    assert [child.id for child in rekeying.current(lingering).children] == [str(0xC3)]


def test_keys_that_did_not_change_are_named(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        rekeying.new_spis_cross(bed, made(bed, tunnel(child(0xC1)), tunnel(child(0xC1))), network)
    assert unmet.value.expected == "ESP with new SPIs crosses outside"
    assert unmet.value.seen == "the old SPIs are still in use: 000000c1, 000000c2"


def test_new_numbers_that_do_not_cross_are_named(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        rekeying.new_spis_cross(bed, made(bed, tunnel(child(0xC1)), tunnel(child(0xD1))), network)
    assert (unmet.value.expected, unmet.value.seen) == ("ESP with SPIs 000000d1, 000000d2 crosses outside", "none")


ESP = "aes256gcm16-ecp384"


class AtOnce(Workers):
    """A pool in which a task has ended before anybody asks for its result."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@contextlib.contextmanager
def up(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork]]:
    """The pair with its tunnel up."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        yield bed, network


def pings(bed: Bed, target: str = "10.2.0.2") -> Traffic:
    """A few pings of host A's, a second from each to the next."""
    words = ("ping", "-q", "-c", "5", "-i", "1", target)
    host = bed.scenario.node("host-a")
    return Traffic("pings", host, lambda: traffic.counted(bed.node(host).run(words).stdout))


@pytest.mark.parametrize("layer", ["IKE", "ESP"])
def test_keys_change_while_pings_go_on_and_none_is_lost(pair: Pair, layer: str) -> None:
    pair.esp = ESP
    with up(pair) as (bed, _):
        link = bed.scenario.networks["isp_link"]
        made = rekeying.rekey(bed, bed.scenario.node("gateway-a"), layer, pings(bed))
        traffic.few_lost(bed, made.answered)
        assert (made.answered.sent, made.answered.lost) == (5, 0)
        if layer == "ESP":
            assert not made.before.numbers & made.after.numbers
            rekeying.new_spis_cross(bed, made, link)
        else:
            assert made.before.id != made.after.id
            with pytest.raises(Unmet, match="the old SPIs are still in use"):
                rekeying.new_spis_cross(bed, made, link)


def test_keys_that_a_peer_does_not_agree_to_are_the_old_ones(pair: Pair) -> None:
    with up(pair) as (bed, network):
        network.nodes["gateway-b"].rules.read(
            "table inet f { chain in { type filter hook input priority 0; policy accept; udp dport 500 drop; } }"
        )
        with pytest.raises(Unmet) as unmet:
            rekeying.rekey(bed, bed.scenario.node("gateway-a"), "ESP", pings(bed))
    assert (unmet.value.expected, unmet.value.seen) == ("gateway-a has new ESP keys", "the old keys")


def test_traffic_that_no_tunnel_carries_shows_nothing_about_keys(pair: Pair) -> None:
    with up(pair) as (bed, _), pytest.raises(TunnelbedError, match="and no tunnel data is seen: a key change"):
        rekeying.rekey(bed, bed.scenario.node("gateway-a"), "ESP", pings(bed, "10.1.0.1"))


def test_traffic_that_ended_before_keys_changed_shows_nothing(pair: Pair) -> None:
    with up(pair) as (bed, _):
        bed.pool = AtOnce()
        host, target = bed.scenario.node("host-a"), bed.scenario.node("host-b")

        def one() -> tuple[int, int]:
            reachability.send(bed, host, target, Ping())
            return 1, 1

        with pytest.raises(TunnelbedError, match="the pings ended before the keys changed"):
            rekeying.rekey(bed, bed.scenario.node("gateway-a"), "ESP", Traffic("pings", host, one))


def test_what_ping_says_otherwise_is_no_count() -> None:
    assert traffic.counted("5 packets transmitted, 4 received, 20% packet loss") == (5, 4)
    with pytest.raises(CommandFailed, match="bad address"):
        traffic.counted("ping: bad address")


def test_new_esp_keys_come_from_a_key_exchange_of_their_own_or_not(bed: Bed) -> None:
    def renewed(proposal: str) -> Rekeying:
        return made(bed, tunnel(child(0xC1)), tunnel(replace(child(0xD1), details={"proposal": proposal})))

    rekeying.keeps_secrecy(renewed("ESP:AES_GCM_16-256/ECP_384"), "ecp384")
    for proposal in ("ESP:AES_GCM_16-256", "ESP:AES_GCM_16-256/ECP_256"):
        with pytest.raises(Unmet) as unmet:
            rekeying.keeps_secrecy(renewed(proposal), "ecp384")
        assert (unmet.value.expected, unmet.value.seen) == ("the new ESP keys come from ECP_384", proposal)


@pytest.mark.parametrize("layer", ["ESP", "IKE"])
def test_a_child_that_is_being_replaced_has_no_new_keys_yet(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """charon lists it as REKEYING until its peer agrees, which a peer that hears nothing never does."""
    under_way = tunnel(child(0xC1, "REKEYING"))
    monkeypatch.setattr(NodeHandle, "tunnels", lambda *_: (under_way,))
    monkeypatch.setattr(rekeying, "EXCHANGE_SECONDS", 0.1)
    monkeypatch.setattr(rekeying, "unmet", lambda _, expected, seen, **__: Unmet(expected, seen))
    gateway = bed.scenario.nodes["gateway"]
    with pytest.raises(Unmet, match="the old keys"):
        rekeying.renewed(bed, gateway, tunnel(child(0xC1)), {"0"}, layer)
