"""What the application's requests are known by, and what is judged of its pongs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.checks import application
from tunnelbed.checks.application import LONG, MARK, Request
from tunnelbed.checks.tunnel_path import Via
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.model import Node

DROPS = "table inet f { chain it { type filter hook HOOK priority 0; policy accept; tcp dport 8080 drop; } }"


@pytest.mark.parametrize("at", [0, 1, MARK, 1000, LONG - 2 * MARK])
def test_a_long_text_is_known_by_any_piece_of_it_that_a_packet_carries(at: int) -> None:
    request = Request(token=secrets.token_hex(LONG // 2))
    piece = request.token[at : at + 2 * MARK - 1].encode()
    assert request.shows(IP() / TCP() / Raw(b"GET /" + piece))
    assert not request.shows(IP() / TCP() / Raw(secrets.token_hex(LONG // 2).encode()))


@contextmanager
def up(pair: Pair, **asks: str) -> Iterator[tuple[Bed, FakeNetwork, Node, Node]]:
    """The pair, host B its server, and what host A asks."""
    pair.services["host-a"]["environment"] = {"LOCAL_SERVER": "10.2.0.2", **asks}
    pair.services["host-b"]["command"] = ["pingpong", "serve"]
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        yield bed, network, bed.scenario.node("host-a"), bed.scenario.node("host-b")


def test_a_pong_comes_from_the_server_that_is_named_or_from_another(pair: Pair) -> None:
    with up(pair) as (bed, _, source, server):
        application.gets_pong(bed, source, server, via=Via.TUNNEL)
        application.gets_pong(bed, source, server, long=True)
        with pytest.raises(Unmet) as failed:
            application.gets_pong(bed, source, bed.scenario.node("gateway-b"))
    assert (failed.value.expected, failed.value.seen) == ("host-a gets a pong from gateway-b", "a pong from host-b")


def test_a_connection_that_arrives_and_is_refused_is_no_pong_and_not_stopped(pair: Pair) -> None:
    with up(pair) as (bed, network, source, server):
        network.nodes["host-b"].services.clear()
        with pytest.raises(Unmet) as failed:
            application.gets_pong(bed, source, server)
        assert "Connection refused" in failed.value.seen
        with pytest.raises(Unmet) as failed:
            application.gets_no_pong(bed, source, server)
    assert failed.value.seen.startswith("it arrived: ")


def test_a_connection_that_its_gateway_drops_gets_no_pong(pair: Pair) -> None:
    with up(pair) as (bed, network, source, server):
        with pytest.raises(Unmet, match="the answer"):
            application.gets_no_pong(bed, source, server)
        network.nodes["gateway-a"].rules.read(DROPS.replace("HOOK", "forward"))
        application.gets_no_pong(bed, source, server)


def test_a_client_that_could_not_even_ask_has_no_verdict(pair: Pair) -> None:
    with up(pair) as (bed, network, source, server):
        network.nodes["host-a"].rules.read(DROPS.replace("HOOK", "output"))
        with pytest.raises(TunnelbedError, match="cannot be judged, since no request leaves host-a") as judged:
            application.gets_no_pong(bed, source, server)
        assert not isinstance(judged.value, Unmet)


def test_a_server_sees_its_client_or_the_gateway_that_hides_it(pair: Pair) -> None:
    with up(pair) as (bed, _, source, server):
        application.asker_seen_as(bed, source, server, source)
        with pytest.raises(Unmet) as failed:
            application.asker_seen_as(bed, source, server, bed.scenario.node("gateway-a"))
    assert failed.value.seen == "seen as 10.1.0.2 (host-a)"


def test_what_was_said_is_said_again_by_who_said_it(pair: Pair) -> None:
    with up(pair) as (bed, _, source, server):
        request = Request()
        with bed.record() as recording:
            said, _ = application.ask_server(bed, source, request, 2.0, recording)
            recording.settle()
        assert said["pong"] == request.token
        again = application.say_again(bed, recording, [request], [source, server])
        assert any(request.shows(seen.packet) for seen in again.arrivals("host-b"))
        assert any(request.shows(seen.packet) for seen in again.arrivals("host-a"))
        with pytest.raises(BadInput, match="found no request and no answer, expected a node that asked or answered"):
            application.say_again(bed, recording, [Request()], [source])
        bed.node("gateway-a").run(["ip", "link", "set", "intranet_a", "down"], check=True)
        bed.absent.add(("gateway-a", "intranet_a"))
        with pytest.raises(TunnelbedError, match="sent again arrived nowhere"):
            application.say_again(bed, recording, [request], [source])


def test_whom_a_client_asks_is_an_address_or_cannot_be_known(pair: Pair) -> None:
    with up(pair) as (_, _, source, server):
        assert application.asked(source) == ip_address("10.2.0.2")
        assert application.asked(server) is None
    with up(pair, LOCAL_SERVER="host-b.example") as (_, _, source, _):
        assert application.asked(source) is None


def test_a_node_that_knows_no_server_is_one_line(pair: Pair) -> None:
    with up(pair) as (bed, _, _, server), pytest.raises(BadInput, match="host-b: found no server to ask"):
        application.gets_pong(bed, server, server)
