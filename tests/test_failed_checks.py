"""A check of the stack's own that does not pass: its packet's path, the cause, and commands that can be pasted."""

from __future__ import annotations

import pytest

from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.checks.failed_checks import asked_for, explained
from tunnelbed.errors import ChecksFailed
from tunnelbed.topology.model import Node

WHICH = ["--scenario", "pair"]


def checked(pair: Pair, *command: str) -> None:
    """host A's check is this command."""
    pair.services["host-a"]["healthcheck"] = {"test": ["CMD", *command]}


def lines_of(pair: Pair, said: str) -> list[str]:
    """What is said of host A's check, which printed this."""
    with brought_up(pair.load(), pair.root) as (bed, _):
        bed.patience = 1.0
        return list(explained(bed, ChecksFailed("pair", {"host-a": said}, made=True), WHICH))


def whom(pair: Pair) -> str:
    """Whom host A's check asks."""
    with brought_up(pair.load(), pair.root) as (bed, _):
        found = asked_for(bed, bed.scenario.node("host-a"))
    return found.name if isinstance(found, Node) else str(found)


def test_a_check_is_explained_by_the_path_of_a_ping_to_the_address_it_names(pair: Pair) -> None:
    checked(pair, "ping", "-c", "1", "10.2.0.2")
    pair.tunnel = False
    pair.batches["gateway-a"].append("route replace blackhole 10.2.0.0/24")
    found = lines_of(pair, "1 packets transmitted,\n0 received")
    assert found[0] == ("host-a: its check `ping -c 1 10.2.0.2` does not pass: 1 packets transmitted, 0 received")
    assert found[1] == "  a ping from host-a to 10.2.0.2:"
    assert any("gateway-a" in line and "unreachable" in line for line in found[2:-5]), found
    assert found[-5:] == [
        "pair stays up. To look closer:",
        "  invoke logs --scenario pair",
        "  invoke trace --scenario pair --from host-a --to 10.2.0.2",
        "  invoke exec --scenario pair --node host-a -- ping -c 1 10.2.0.2",
        "  invoke down --scenario pair",
    ]


def test_a_check_that_printed_nothing_is_said_to(pair: Pair) -> None:
    checked(pair, "ask", "host-b")
    found = lines_of(pair, " \n")
    assert found[0] == "host-a: its check `ask host-b` does not pass: it printed nothing"
    assert found[1] == "  a ping from host-a to host-b:"
    assert "answered after" in "\n".join(found)
    assert "  invoke trace --scenario pair --from host-a --to host-b" in found


def test_a_ping_that_cannot_be_traced_is_said_why(pair: Pair) -> None:
    checked(pair, "ping", "2001:db8::1")
    (said,) = (line for line in lines_of(pair, "no") if "could not be traced" in line)
    assert said == (
        "  a ping from host-a to 2001:db8::1 could not be traced: --to: found 2001:db8::1, "
        "expected an address of an IP version that host-a has; name another address"
    )


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (("ask", "10.2.0.2", "host-b"), "10.2.0.2"),
        (("ask", "host-a", "gateway-b"), "gateway-b"),
        (("ask", "once"), "None"),
        (("10.9.9.9", "once"), "None"),
    ],
)
def test_a_check_asks_the_first_address_or_node_that_it_names(
    pair: Pair, command: tuple[str, ...], target: str
) -> None:
    checked(pair, *command)
    assert whom(pair) == target


def test_a_check_that_names_nobody_asks_the_only_server(pair: Pair) -> None:
    checked(pair, "ask", "once")
    pair.services["host-b"]["labels"]["tunnelbed.role"] = "server"
    assert whom(pair) == "host-b"


def test_where_nobody_is_asked_no_path_is_said(pair: Pair) -> None:
    checked(pair, "ask", "once")
    found = lines_of(pair, "no")
    assert found == [
        "host-a: its check `ask once` does not pass: no",
        "pair stays up. To look closer:",
        "  invoke logs --scenario pair",
        "  invoke exec --scenario pair --node host-a -- ask once",
        "  invoke down --scenario pair",
    ]
