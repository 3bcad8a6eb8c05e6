"""Seconds that a sentence gives are those of the daemons, whose time may pass faster than ours while it waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.checks import security_associations
from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.testbed.testbed import Testbed as Bed

Up = tuple[Bed, FakeNetwork]


@pytest.fixture
def up(pair: Pair) -> Iterator[Up]:
    """The pair with its tunnel up."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        yield bed, network


def waited(bed: Bed, seconds: float) -> tuple[float, float]:
    """How long something is awaited that never comes: by the daemons, and by the machine."""
    allowance, began = bed.time.allowance(seconds), waiting.now()
    with pytest.raises(DeadlinePassed):
        waiting.until(lambda: False, allowance, "what never comes")
    return allowance.passed(), waiting.now() - began


def test_at_speed_1_they_are_the_machine_s(up: Up) -> None:
    bed, network = up
    by_daemons, by_machine = waited(bed, 20)
    assert by_daemons == pytest.approx(by_machine)
    assert by_machine >= 20
    assert network.charons["gateway-a"].clock.ahead == 0
    assert bed.time.told(20) == "20 s"


def test_at_a_speed_as_many_pass_for_the_daemons_and_fewer_for_us(up: Up) -> None:
    bed, network = up
    bed.speed = 10
    by_daemons, by_machine = waited(bed, 20)
    assert by_daemons >= 20
    assert by_machine < 10
    assert min(charon.clock.ahead for charon in network.charons.values() if charon.answers) > 10
    assert bed.time.told(20) == "20 s of daemons' time (speed 10)"


def test_what_comes_too_late_by_the_daemons_fails_though_we_waited_less(up: Up) -> None:
    bed, _ = up
    bed.speed = 10
    began = waiting.now()
    with pytest.raises(Unmet) as unmet:
        security_associations.no_tunnel(bed, bed.scenario.node("gateway-a"), seconds=20)
    assert waiting.now() - began < 15
    expected = "gateway-a has no tunnel within 20 s of daemons' time (speed 10)"
    assert (unmet.value.expected, unmet.value.seen) == (expected, "peer is up")


def test_a_moment_is_one_of_the_daemons_too(up: Up) -> None:
    bed, _ = up
    bed.speed = 10
    since = Journal(bed).at
    for gateway in bed.gateways():
        bed.node(gateway).daemon.pass_time(30, 1000)
    assert bed.time.allowance(20, since).left() == 0
    assert bed.time.allowance(60, since).left() == pytest.approx(30, abs=3)


def test_a_daemon_that_does_not_run_keeps_nobody_waiting_for_less(up: Up) -> None:
    bed, network = up
    bed.speed = 10
    for charon in network.charons.values():
        charon.answers = False
    by_daemons, by_machine = waited(bed, 20)
    assert by_daemons >= 20
    assert by_machine >= 20


def test_a_kernel_that_counts_lifetimes_has_no_other_time(up: Up) -> None:
    bed, network = up
    bed.speed = 10
    for node in ("gateway-a", "gateway-b"):
        network.nodes[node].files["/run/tunnelbed/data-plane"] = "kernel\n"
    with pytest.raises(BadInput, match="found the kernel counts the lifetimes of ESP, expected charon"):
        bed.time.rest(1)
