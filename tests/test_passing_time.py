"""Hours that pass for gateways' daemons: what they do, what becomes of the traffic, and what cannot be done."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.fake_charon import FakeCharon, FakeHost
from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tests.fake_vpn import FakeVpn
from tunnelbed import vpn
from tunnelbed.checks import renewed_keys, traffic
from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.traffic import Answered, Traffic
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, NodeFailed, TunnelbedError
from tunnelbed.faults import passing_time, settings_of_tunnels
from tunnelbed.faults.passing_time import FIRST_PART, LEAST_PACE, MOST_GROWTH, MOST_PACE, PACED_SECONDS
from tunnelbed.host.shell import Completed
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.vpn.api import Since
from tunnelbed.vpn.strongswan.daemon import StrongSwan

HOUR = 3600.0
# What a gateway's peer does not hear any more: IKE, and so no change of keys.
DEAF = "table inet f { chain in { type filter hook input priority 0; policy accept; udp dport 500 drop; } }"


@contextlib.contextmanager
def up(pair: Pair, plane: str = "user") -> Iterator[tuple[Bed, FakeNetwork]]:
    """The pair with its tunnel up."""
    with brought_up(pair.load(), pair.root, plane=plane) as (bed, network):
        if "gateway-a" in network.charons:
            network.charons["gateway-a"].initiate("peer", "sites")
            network.move()
        yield bed, network


def pings(bed: Bed) -> Traffic:
    """A ping of host A's to host B every 200 ms, ten in one go."""
    words = ("ping", "-q", "-c", "10", "-i", "0.2", "10.2.0.2")
    host = bed.scenario.node("host-a")
    return Traffic("pings", host, lambda: traffic.counted(bed.node(host).run(words).stdout))


def spied_on(network: FakeNetwork) -> list[tuple[str, tuple[str, ...]]]:
    """What each gateway's clock is told from now on, with the gateway."""
    told: list[tuple[str, tuple[str, ...]]] = []

    def note(node: str, command: Sequence[str]) -> None:
        if command[0] == "clock":
            told.append((node, tuple(command[1:])))

    network.answers.append(note)
    return told


def renewed(bed: Bed, layer: str, hours: float, often: int) -> None:
    """So many hours pass, and gateway B has changed its keys so often, and not once more."""
    journal, gateway = Journal(bed), bed.scenario.node("gateway-b")
    with passing_time.passed(bed, hours * HOUR, f"{hours:g} hours"):
        renewed_keys.at_least(bed, gateway, layer, often, journal)
        with pytest.raises(Unmet) as unmet:
            renewed_keys.at_least(bed, gateway, layer, often + 1, journal)
    told = (f"gateway-b has changed its {layer} keys at least {often + 1} times", f"{often} times")
    assert (unmet.value.expected, unmet.value.seen) == told


@pytest.mark.parametrize(
    ("layer", "hours", "often"), [("ESP", 0.9, 0), ("ESP", 1.1, 1), ("ESP", 5.5, 5), ("IKE", 3.9, 0), ("IKE", 8.1, 2)]
)
def test_keys_are_changed_as_often_as_time_has_it(pair: Pair, layer: str, hours: float, often: int) -> None:
    with up(pair) as (bed, _):
        renewed(bed, layer, hours, often)


def test_a_key_change_before_the_moment_does_not_count(pair: Pair) -> None:
    with up(pair) as (bed, _), passing_time.passed(bed, 2.1 * HOUR, "2 hours"):
        gateway = bed.scenario.node("gateway-a")
        renewed_keys.at_least(bed, gateway, "ESP", 0, Journal(bed))
        with pytest.raises(Unmet) as unmet:
            renewed_keys.at_least(bed, gateway, "ESP", 1, Journal(bed))
    assert unmet.value.seen == "0 times"


def pinged(bed: Bed, hours: float) -> Answered:
    """What became of pings while so many hours passed, in less than a minute."""
    with passing_time.passed(bed, hours * HOUR, f"{hours:g} hours", pings(bed)) as found:
        assert found.answered is not None
        assert found.seconds == hours * HOUR
        assert found.took < 60
        assert found.answered.sent >= 10
        return found.answered


def test_pings_go_on_while_hours_pass_and_none_is_lost(pair: Pair) -> None:
    with up(pair) as (bed, _):
        answered = pinged(bed, 2.1)
    assert (answered.traffic, answered.lost) == ("pings", 0)
    traffic.few_lost(bed, answered)


def test_pings_are_lost_once_keys_end_that_a_peer_does_not_change(pair: Pair) -> None:
    with up(pair) as (bed, network):
        network.nodes["gateway-b"].rules.read(DEAF)
        assert pinged(bed, 0.9).lost == 0
        # The daemons have started again meanwhile, and the first packet sets their tunnel up.
        network.nodes["gateway-b"].rules.read("flush ruleset")
        bed.node("host-a").run(("ping", "-q", "-c", "3", "-i", "1", "10.2.0.2"))
        network.nodes["gateway-b"].rules.read(DEAF)
        answered = pinged(bed, 2.1)
    with pytest.raises(Unmet) as unmet:
        traffic.few_lost(bed, answered)
    assert unmet.value.expected == f"all {answered.sent} pings are answered while 2.1 hours pass"
    assert unmet.value.seen == f"{answered.lost} of {answered.sent} lost"
    assert 0 < answered.lost < answered.sent


def test_the_clocks_of_all_gateways_go_on_together_and_are_right_in_the_end(pair: Pair) -> None:
    with up(pair) as (bed, network):
        told = spied_on(network)
        with passing_time.passed(bed, 24 * HOUR, "24 hours"):
            assert {round(charon.clock.ahead) for charon in network.charons.values()} == {86400}
        assert {charon.clock.ahead for charon in network.charons.values()} == {0.0}
        passed = {
            name: [words for node, words in told if node == name and words[:1] == ("pass",)]
            for name in ("gateway-a", "gateway-b")
        }
        assert passed["gateway-a"] == passed["gateway-b"]
        parts = [float(words[1]) for words in passed["gateway-a"]]
        assert parts[0] == FIRST_PART
        assert all(later <= MOST_GROWTH * before + 0.01 for before, later in itertools.pairwise(parts))
        assert sum(parts) == pytest.approx(86400, abs=0.1)
        assert {node for node, words in told if words == ("right",)} == {"gateway-a", "gateway-b"}


@pytest.mark.parametrize(
    ("hours", "pace"), [(0.5, LEAST_PACE), (24.0, 24 * HOUR / PACED_SECONDS), (24.0 * 14, MOST_PACE)]
)
def test_more_time_passes_faster_within_limits(pair: Pair, hours: float, pace: float) -> None:
    with up(pair) as (bed, network):
        told = spied_on(network)
        with passing_time.passed(bed, hours * HOUR, "some time"):
            pass
    assert {words[2] for _, words in told if words[:1] == ("pass",)} == {f"{pace:.0f}"}


def test_a_daemon_whose_clock_is_right_goes_on(pair: Pair) -> None:
    with up(pair) as (bed, network):
        bed.node("gateway-a").daemon.set_right()
        assert [sa.state for sa in network.charons["gateway-a"].sas] == ["ESTABLISHED"]
        bed.node("gateway-a").daemon.pass_time(60, 1800)
        assert bed.node("gateway-a").daemon.ahead() == pytest.approx(60)
        bed.node("gateway-a").daemon.set_right()
        assert network.charons["gateway-a"].sas == []


def test_time_does_not_pass_where_a_kernel_counts_the_lifetimes_and_nothing_is_changed(pair: Pair) -> None:
    with up(pair, "kernel") as (bed, network):
        told = spied_on(network)
        refused = "gateway-.: found the kernel counts the lifetimes of ESP, expected .*; bring .* --data-plane user$"
        with pytest.raises(BadInput, match=refused):
            renewed(bed, "ESP", 2, 1)
        assert all(words == () for _, words in told)


@pytest.mark.parametrize(
    ("status", "said"), [(1, "no daemon of this node reads a clock of ours"), (127, "clock: not found")]
)
def test_a_clock_that_fails_is_told_with_what_it_says(pair: Pair, status: int, said: str) -> None:
    def lacks(_: str, command: Sequence[str]) -> Completed | None:
        return Completed(tuple(command), status, "", f"{said}\n") if command[:2] == ["clock", "pass"] else None

    with up(pair) as (bed, network):
        network.answers.append(lacks)
        with pytest.raises(NodeFailed, match=f"^gateway-.: cannot let time pass: {said}"):
            renewed(bed, "ESP", 2, 1)


def test_a_daemon_that_is_gone_has_no_clock(pair: Pair) -> None:
    with up(pair) as (bed, network):
        network.charons["gateway-b"].answers = False
        with pytest.raises(NodeFailed, match=r"^gateway-b: .*no daemon of this node reads a clock of ours"):
            bed.node("gateway-b").daemon.pass_time(60, 1800)


def test_time_passes_for_nobody_where_no_node_runs_a_vpn(pair: Pair) -> None:
    pair.tunnel = False
    with (
        up(pair) as (bed, _),
        pytest.raises(BadInput, match="no node that runs a VPN, expected one; remove the sentence"),
        passing_time.passed(bed, HOUR, "1 hour"),
    ):
        pytest.fail("nothing can pass")


def test_time_does_not_pass_for_a_vpn_without_such_a_clock(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, others = FakeVpn(), vpn.every()
    monkeypatch.setattr(vpn, "every", lambda: (*others, fake))
    scenario = pair.load()
    (scenario.configs / "host-a" / "fake.conf").write_text("192.0.2.9\n", encoding="utf-8")
    with brought_up(pair.load(), pair.root) as (bed, network):
        told = spied_on(network)
        refused = "^pair: host-a: found Fake, which has no clocks that can run fast, expected .*; remove the sentence$"
        with pytest.raises(BadInput, match=refused), passing_time.passed(bed, HOUR, "1 hour"):
            pytest.fail("nothing can pass")
        assert all(words == () for _, words in told)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ({"own": "dpd_delay = 600s"}, lambda charon: charon.connections["peer"].asked == 600),
        ({"of_child": "rekey_time = 20m"}, lambda charon: charon.connections["peer"].children[0].rekeyed == 1200),
    ],
)
def test_a_setting_holds_in_every_connection_until_it_is_over(
    pair: Pair, setting: dict[str, str], found: Callable[..., bool]
) -> None:
    with up(pair) as (bed, network):
        charon = network.charons["gateway-a"]
        assert not found(charon)
        with settings_of_tunnels.set_to(bed, bed.scenario.node("gateway-a"), **setting):
            assert found(charon)
            assert not charon.sas
        assert not found(charon)


def test_a_setting_that_a_vpn_refuses_is_told_in_a_line(pair: Pair) -> None:
    told = "^Given: proposals = rot13: found it is refused: loading connection failed: .*; correct the sentence$"
    with up(pair) as (bed, network):
        before = network.charons["gateway-a"].connections
        with (
            pytest.raises(BadInput, match=told),
            settings_of_tunnels.set_to(bed, bed.scenario.node("gateway-a"), own="proposals = rot13"),
        ):
            pytest.fail("it holds")
        assert network.charons["gateway-a"].connections == before


LOG = """\
2026-01-01T00:00:00.000 07[IKE] <peer|1> rekeyed CHILD_SA sites{1} with SPIs c1_i c2_o with sites{2} with SPIs c3_i c4_o
2026-01-01T00:00:00.000 07[IKE] <peer|1> inbound CHILD_SA sites{2} established with SPIs c3_i c4_o and TS 10.1.0.0/24
2026-01-01T00:00:00.000 07[IKE] <peer|2> IKE_SA peer[2] rekeyed between 192.0.2.1[a]...192.0.2.2[b]
2026-01-01T00:00:00.000 07[IKE] <peer|2> IKE_SA peer[2] established between 192.0.2.1[a]...192.0.2.2[b]
2026-01-01T00:00:00.000 07[IKE] <peer|2> CHILD_SA rekey not needed, sites{2} was rekeyed by the peer
"""


@pytest.mark.parametrize("layer", ["IKE", "ESP"])
def test_a_renewal_is_counted_once_and_no_first_key(layer: str) -> None:
    host = FakeHost(FakeCharon())
    host.said = LOG
    assert StrongSwan(host).renewals(layer, Since()) == 1
    assert StrongSwan(host).renewals(layer, Since(str(len(LOG)))) == 0


def test_what_goes_on_meanwhile_and_breaks_is_told(pair: Pair) -> None:
    def wrong() -> tuple[int, int]:
        return traffic.counted("ping: bad address")

    with (
        up(pair) as (bed, _),
        pytest.raises(TunnelbedError, match="bad address"),
        passing_time.passed(bed, HOUR, "1 hour", Traffic("pings", bed.scenario.node("host-a"), wrong)),
    ):
        pytest.fail("nothing was sent")
