"""Changes: what is told to be left of them, and what is no difference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from tests.conftest import Checkout
from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.errors import NodeFailed, TunnelbedError
from tunnelbed.faults.changes import Changes, difference, lines, state, well
from tunnelbed.host.shell import Completed
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

BEFORE = {"gateway": frozenset({"address isp 192.0.2.1/24", "firewall drop"}), "client": frozenset({"settings x"})}


def test_the_same_state_is_no_difference() -> None:
    assert difference(BEFORE, dict(BEFORE)) == []


def test_what_is_lost_and_what_is_more_is_told_with_its_node() -> None:
    after = {**BEFORE, "gateway": frozenset({"firewall drop", "route default"})}
    assert difference(BEFORE, after) == ["gateway lost address isp 192.0.2.1/24", "gateway has more: route default"]


def test_a_tunnel_may_add_to_a_firewall_and_nothing_may_be_taken_from_it() -> None:
    assert difference(BEFORE, {**BEFORE, "client": frozenset({"settings x", "firewall dnat"})}) == []
    assert difference(BEFORE, {**BEFORE, "gateway": BEFORE["gateway"] - {"firewall drop"}}) == [
        "gateway lost firewall drop"
    ]


def test_a_line_stands_under_its_heading_without_what_the_kernel_counts() -> None:
    said = """== address
47: isp    inet 192.0.2.1/24 brd 192.0.2.255 scope global isp\\       valid_lft forever preferred_lft forever
== route
2001:db8::/64 dev isp proto ra metric 1024 expires 1799sec pref medium
== firewall
# Warning: table ip nat is managed by iptables-nft, do not touch!
    ip saddr 192.0.2.1 drop
    ip daddr 127.0.0.11 tcp dport 53 counter dnat to 127.0.0.11:45953
== settings
"""
    assert lines(said) == {
        "address isp    inet 192.0.2.1/24 brd 192.0.2.255 scope global isp",
        "route 2001:db8::/64 dev isp proto ra metric 1024",
        "firewall # Warning: table ip nat is managed by iptables-nft, do not touch!",
        "firewall     ip saddr 192.0.2.1 drop",
    }


def test_what_a_node_is_lent_is_no_part_of_its_state_and_what_it_takes_is(checkout: Checkout) -> None:
    checkout.configure("client/swanctl.conf", "connections { office { vips = 0.0.0.0 } }\n")
    network = FakeNetwork(compose_file.load("tiny", checkout.root))
    bed = Bed(network.scenario, checkout.root, network)
    said = """== address
2: ipsec0    inet 10.2.0.1/32 scope global ipsec0
3: inside    inet 10.1.0.3/16 brd 10.1.255.255 scope global inside
== route
default via 10.1.0.2 dev inside
"""

    network.answers.append(lambda _, command: Completed(tuple(command), 0, said, ""))
    own = {
        "address inside    inet 10.1.0.3/16 brd 10.1.255.255 scope global inside",
        "route default via 10.1.0.2 dev inside",
    }
    found = state(bed)
    assert found["client"] == own
    assert found["server"] == own | {"address ipsec0    inet 10.2.0.1/32 scope global ipsec0"}


@pytest.mark.parametrize(("status", "output", "told"), [(1, "", "it ends with 1"), (7, "no pong\n", "no pong")])
def test_a_check_that_fails_does_not_pass_whatever_it_says(
    checkout: Checkout, status: int, output: str, told: str
) -> None:
    network = FakeNetwork(compose_file.load("tiny", checkout.root))
    bed = Bed(network.scenario, checkout.root, network)
    asked: list[str] = []

    def answer(node: str, command: Sequence[str]) -> Completed:
        asked.append(node)
        return Completed(tuple(command), status, output, "")

    network.answers.append(answer)
    with pytest.raises(NodeFailed, match=f"client: its check does not pass: {told}"):
        well(bed, 0.05)
    assert set(asked) == {"client"}
    status = 0
    well(bed, 0.05)


@contextlib.contextmanager
def address_added(bed: Bed, *, taken_back: bool) -> Iterator[None]:
    """host A has one more address, and perhaps keeps it."""
    words = ["10.1.0.99/24", "dev", "intranet_a"]
    bed.node("host-a").run(["ip", "address", "add", *words], check=True)
    yield
    if taken_back:
        bed.node("host-a").run(["ip", "address", "delete", *words], check=True)


def test_changes_that_are_taken_back_leave_the_testbed_as_it_was_found(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, _):
        before = state(bed)
        changes = Changes(bed)
        changes.make(address_added(bed, taken_back=True))
        assert state(bed) != before
        changes.undo()
        changes.undo()
        assert difference(before, state(bed)) == []


def test_what_a_change_leaves_behind_is_named(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, _):
        changes = Changes(bed)
        changes.make(address_added(bed, taken_back=False))
        with pytest.raises(TunnelbedError) as left:
            changes.undo()
    assert str(left.value) == (
        "pair is not in the state it was in before: "
        "host-a has more: address intranet_a inet 10.1.0.99/24 scope global intranet_a; "
        "take it down, then bring it up again"
    )


def test_a_node_whose_check_fails_after_changes_is_named_with_what_it_printed(pair: Pair) -> None:
    pair.services["host-a"]["healthcheck"] = {"test": ["CMD", "ask", "once"]}
    pair.services["host-b"]["healthcheck"] = {"test": ["CMD", "ask", "twice"]}
    with brought_up(pair.load(), pair.root) as (bed, network):
        answers = {"once": ["not yet\n", "", "no\n"], "twice": ["", "", ""]}

        def answer(_: str, command: Sequence[str]) -> Completed | None:
            if command[0] != "ask":
                return None
            said = answers[command[1]]
            text = said.pop(0) if len(said) > 1 else said[0]
            return Completed(tuple(command), 1 if text else 0, text, "")

        network.answers.append(answer)
        well(bed, 2.0)
        with pytest.raises(NodeFailed, match="host-a: its check does not pass: no; see `invoke logs`"):
            well(bed, 2.0)
        answers["once"] = [" \n"]
        with pytest.raises(NodeFailed, match="its check does not pass: it ends with 1"):
            well(bed, 2.0)
        bed.state.mkdir(parents=True)
        bed._failing.write_text("host-a", encoding="utf-8")
        well(bed, 2.0)
