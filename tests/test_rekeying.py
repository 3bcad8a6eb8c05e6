"""New keys: which numbers a tunnel uses by now, and what is said where they are the old ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conftest import Checkout
from tunnelbed import vpn
from tunnelbed.checks import rekeying
from tunnelbed.checks.rekeying import Rekeying
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.observe.recording import Recording
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
    return Rekeying(before, after, Recording(Agents(bed.engine, bed.project), {}), "pings", 40, 0, vpn.every()[0])


def test_requests_are_counted_by_their_answers() -> None:
    assert rekeying.answered('{"pong": "1"}\n{"pong": "2"}\n{"error": "invalid request"}\n') == (rekeying.PACKETS, 2)


def test_lost_traffic_is_told_by_its_name(bed: Bed) -> None:
    lossy = replace(made(bed, tunnel(child(0xC1)), tunnel(child(0xD1))), traffic="requests", lost=3)
    with pytest.raises(Unmet) as unmet:
        rekeying.nothing_lost(bed, lossy)
    told = ("all 40 requests are answered while keys change", "3 of 40 lost")
    assert (unmet.value.expected, unmet.value.seen) == told


def test_a_child_that_was_replaced_and_lingers_is_no_second_one() -> None:
    lingering = tunnel(child(0xC1, "DELETED"), child(0xC3))
    assert [child.id for child in rekeying._current(lingering).children] == [str(0xC3)]


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
