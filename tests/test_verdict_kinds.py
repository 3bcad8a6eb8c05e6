"""Kinds of faults that verdicts were misled by, each with its right value on a fake network."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import Fresh, brought_up
from tests.fake_network.charon import FakeCharon
from tests.fake_network.pairs import Pair, dual, network, service
from tests.fake_network.parts import NotSent, Sealer
from tests.phrases.speaker import Ending, Speaker
from tests.refutations import Story
from tunnelbed.checks import application, layer2
from tunnelbed.errors import BadInput, CommandFailed
from tunnelbed.host.shell import Completed
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

THROUGH = "host A can reach host B through the tunnel"
Says = Callable[..., Ending]


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
def says(speaker: Speaker, pair: Pair) -> Says:
    """Says sentences of the pair as a test has made it; how the last of them that was said ended."""

    def said(*sentences: str, plane: str = "user", change: Callable[[FakeNetwork], None] = lambda _: None) -> Ending:
        with up(pair, plane) as (bed, network):
            change(network)
            try:
                speaker.changes[bed.name] = Fresh(bed)
                return speaker.says(bed, Story(sentences))
            finally:
                speaker.changes.clear()

    return said


@contextlib.contextmanager
def up(pair: Pair, plane: str = "user") -> Iterator[tuple[Bed, FakeNetwork]]:
    with brought_up(pair.load(), pair.root, plane=plane) as made:
        yield made


def seen(ending: Ending) -> str:
    """What a failure says that was seen; the whole error where it is none."""
    if ending.status != "failed":
        return f"{ending.status}: {ending.words}"
    return next(line.removeprefix("seen:").strip() for line in ending.words.splitlines() if line.startswith("seen:"))


@pytest.mark.parametrize("plane", ["user", "kernel"])
def test_a_tunnel_that_hides_what_it_carries_holds(says: Says, plane: str) -> None:
    assert says(THROUGH, plane=plane).status == "passed"


@pytest.mark.parametrize("plane", ["user", "kernel"])
def test_esp_that_hides_nothing_is_no_tunnel(pair: Pair, says: Says, plane: str) -> None:
    pair.esp = "null-sha256"
    ended = says(THROUGH, plane=plane)
    assert seen(ended).startswith("readable on isp_link"), ended


def test_a_tunnel_for_one_ip_version_is_none_for_the_other(pair: Pair, says: Says) -> None:
    dual(pair)
    assert says("host A can reach host B").status == "passed"
    ended = says(THROUGH)
    assert seen(ended).startswith("readable on isp_link"), ended
    assert "IPv6" in seen(ended)


@pytest.mark.parametrize("plane", ["user", "kernel"])
def test_a_tunnel_on_demand_that_costs_the_first_packet_stops_nothing(says: Says, plane: str) -> None:
    ended = says("host A cannot reach host B", plane=plane)
    assert seen(ended).startswith("it arrived: "), ended
    ended = says("host A cannot reach host B on TCP port 8080", plane=plane)
    assert seen(ended).startswith("it arrived: "), ended


def test_a_tunnel_on_demand_that_costs_the_first_request_stops_none(pair: Pair, says: Says) -> None:
    pair.services["host-a"]["environment"] = {"LOCAL_SERVER": "10.2.0.2"}
    pair.services["host-b"]["command"] = ["pingpong", "serve"]
    assert says("host A gets a pong from host B").status == "passed"
    ended = says("host A gets no pong from host B")
    assert "'servername': 'host-b'" in seen(ended), ended


@pytest.mark.parametrize(
    ("status", "out", "err", "error"),
    [
        (5, '{"pong": "1"}', "pingpong: 10.2.0.2 port 8080: timed out", None),
        (2, "", "pingpong: 10.2.0.2 port 8080: timed out", None),
        (2, "", "usage: pingpong ask\npingpong ask: error: no server", BadInput),
        (127, "", "no such file: pingpong", CommandFailed),
        (-9, '{"pong": "1"}', "", CommandFailed),
    ],
)
def test_requests_that_fail_are_no_error_of_the_client(
    pair: Pair, status: int, out: str, err: str, error: type[Exception] | None
) -> None:
    with up(pair) as (bed, network):
        network.answers.append(lambda _, command: Completed(tuple(command), status, out, err))
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert application.ask(bed, bed.scenario.node("host-a"), ["--count", "9"]).status == status


def test_what_no_tunnel_comes_of_is_stopped(pair: Pair, says: Says) -> None:
    pair.esp = "aes128-sha256"
    deaf = "table inet f { chain input { type filter hook input priority 0; policy accept; udp dport 500 drop; } }"
    ended = says("host A cannot reach host B", change=lambda network: network.nodes["gateway-b"].rules.read(deaf))
    assert ended.status == "passed", ended


def leased(pair: Pair) -> None:
    """A leased line beside the VPN, by which host A's packets go, in clear; others cross the tunnel meanwhile."""
    pair.networks["leased"] = network("", "", "172.30.0.0/30")
    for node, number in (("gateway-a", "1"), ("gateway-b", "2")):
        pair.services[node]["networks"]["leased"] = {"ipv4_address": f"172.30.0.{number}"}
    pair.services["monitor-a"] = service("monitor", "a", {"intranet_a": {"ipv4_address": "10.1.0.9"}})
    pair.batches["monitor-a"] = ["route replace default via 10.1.0.1"]
    pair.batches["gateway-a"] += [
        "route replace table 77 default via 172.30.0.2",
        "rule add pref 100 from 10.1.0.2 to 10.2.0.0/24 lookup 77",
    ]
    pair.batches["gateway-b"] += [
        "route replace table 77 default via 172.30.0.1",
        "rule add pref 100 from 10.2.0.0/24 to 10.1.0.2 lookup 77",
    ]


def test_what_goes_by_a_line_beside_the_vpn_is_readable_there(pair: Pair, says: Says) -> None:
    leased(pair)
    ended = says("monitor A can reach host B through the tunnel", THROUGH)
    assert ended.sentence == THROUGH
    assert seen(ended).startswith("readable on leased"), ended


def test_what_a_line_beside_the_vpn_shows_is_no_secret(pair: Pair, says: Says) -> None:
    leased(pair)
    ended = says("host A pings host B", "no private address is seen beyond a gateway")
    assert "leased" in ended.words
    assert ended.status == "failed"


def test_a_gateway_itself_reaches_the_far_site_with_its_inside_address(says: Says) -> None:
    assert says("gateway A can reach host B").status == "passed"
    ended = says("gateway A cannot reach host B")
    assert seen(ended).startswith("it arrived: "), ended


def multihomed(pair: Pair) -> None:
    """A host in two networks, of which only the second leads to the far one; its answers lead back there alone."""
    two = {"mgmt": {"ipv4_address": "10.5.0.13"}, "prod": {"ipv4_address": "10.6.0.13"}}
    between = {"prod": {"ipv4_address": "10.6.0.1"}, "far_lan": {"ipv4_address": "10.7.0.1"}}
    pair.tunnel = False
    pair.services = {
        "box": service("", "", two),
        "other": service("", "", {"mgmt": {"ipv4_address": "10.5.0.14"}}),
        "rtr": service("", "", between, sysctls={"net.ipv4.ip_forward": 1}),
        "far": service("", "", {"far_lan": {"ipv4_address": "10.7.0.2"}}),
    }
    numbers = {"mgmt": 5, "prod": 6, "far_lan": 7}
    pair.networks = {name: network("", "", f"10.{number}.0.0/24") for name, number in numbers.items()}
    pair.batches = {
        "box": ["route replace default via 10.6.0.1"],
        "far": ["route replace default via 10.7.0.1"],
        "rtr": ["route replace blackhole 10.5.0.0/24"],
    }


def test_a_host_of_two_networks_speaks_with_the_address_that_its_kernel_chooses(pair: Pair, says: Says) -> None:
    multihomed(pair)
    assert says("box can reach far").status == "passed"
    ended = says("box cannot reach far")
    assert seen(ended).startswith("it arrived: "), ended


def two_addresses(pair: Pair) -> None:
    """Host B has a second address, on a network that only its gateway shares with it."""
    pair.networks["backyard"] = network("", "", "10.9.0.0/24")
    pair.services["host-b"]["networks"]["backyard"] = {"ipv4_address": "10.9.0.2"}
    pair.services["gateway-b"]["networks"]["backyard"] = {"ipv4_address": "10.9.0.1"}


ONE_CLOSED = "table inet f { chain f { type filter hook forward priority 0; policy accept; ip daddr 10.2.0.2 drop; } }"


def test_who_is_reached_by_a_second_address_is_reached(pair: Pair, says: Says) -> None:
    def closed(network: FakeNetwork) -> None:
        network.nodes["gateway-b"].rules.read(ONE_CLOSED)

    cannot = "host A cannot reach host B"
    assert says(cannot, change=closed).status == "passed"
    two_addresses(pair)
    ended = says(cannot, change=closed)
    assert seen(ended).startswith("it arrived: "), ended
    assert "10.9.0.2" in seen(ended)


def test_an_address_that_nobody_has_on_the_source_s_own_network_is_not_reached(says: Says) -> None:
    assert says("host A cannot reach 10.1.0.77").status == "passed"


def test_a_blackhole_at_the_source_stops_what_goes_there(pair: Pair, says: Says) -> None:
    pair.batches["host-a"].append("route replace blackhole 10.2.0.0/24")
    assert says("host A cannot reach host B").status == "passed"
    ended = says("host A can reach host B")
    assert "Invalid argument" in seen(ended), ended
    nothing = "nothing crosses the ISP link"
    assert says("host A pings host B", nothing) == Ending(nothing, "passed")


@pytest.mark.parametrize("sentence", ["host A cannot reach host B", "host A pings host B"])
def test_what_could_not_be_sent_for_another_reason_proves_nothing(says: Says, sentence: str) -> None:
    def broken(network: FakeNetwork) -> None:
        def refuse(packet: Packet) -> None:
            del packet
            raise NotSent(errno.EINVAL)

        network.nodes["host-a"].send = refuse  # type: ignore[method-assign]

    ended = says(sentence, change=broken)
    assert (ended.sentence, ended.status) == (sentence, "error"), ended
    assert "Invalid argument" in ended.words


def test_a_frame_that_nobody_else_can_see_proves_nothing(pair: Pair) -> None:
    pair.networks["attic"] = network("", "", "10.8.0.0/24")
    pair.services["host-b"]["networks"]["attic"] = {"ipv4_address": "10.8.0.2"}
    with up(pair) as (bed, _):
        host, attic = bed.scenario.node("host-b"), bed.scenario.networks["attic"]
        with pytest.raises(BadInput, match=r"networks\.attic: found only host-b, expected two nodes"):
            layer2.frame_reaches_exactly(bed, host, attic, layer2.BROADCAST, layer2.EXPERIMENT)


def clear_on_4500(network: FakeNetwork) -> None:
    """What goes between the gateways goes on UDP port 4500, and is clear text."""

    class Plain(Sealer):
        plane = "user"

        def __init__(self, own: str, peer: str, real: FakeCharon) -> None:
            self.own, self.peer, self.policies = own, peer, real.policies  # type: ignore[method-assign]
            self.hear = real.hear  # type: ignore[method-assign]

        def seal(self, packet: Packet) -> Packet:
            return IP(src=self.own, dst=self.peer) / UDP(sport=4500, dport=4500) / Raw(b"not zero" + bytes(packet))

        def open(self, packet: Packet) -> bytes:
            return bytes(packet[UDP].payload)[8:]

    for own, peer, name in (("192.0.2.1", "192.0.2.2", "gateway-a"), ("192.0.2.2", "192.0.2.1", "gateway-b")):
        network.nodes[name].sealer = Plain(own, peer, network.charons[name])


def test_clear_text_on_the_port_of_esp_is_no_tunnel(says: Says) -> None:
    assert says("host A can reach host B", change=clear_on_4500).status == "passed"
    ended = says(THROUGH, change=clear_on_4500)
    assert seen(ended).startswith("readable on isp_link"), ended


def test_clear_text_on_the_port_of_esp_is_no_esp(says: Says) -> None:
    only = "only IKE and ESP cross the ISP link"
    assert says(THROUGH, "host A pings host B", only).status == "passed"
    ended = says("host A pings host B", only, change=clear_on_4500)
    assert (ended.sentence, ended.status) == (only, "failed")


def test_a_daemon_that_does_not_answer_has_no_verdict(says: Says) -> None:
    def silent(network: FakeNetwork) -> None:
        network.charons["gateway-a"].answers = False

    ended = says("gateway A has no tunnel", change=silent)
    assert ended.status == "error", ended


@pytest.mark.parametrize(
    "sentence",
    [
        "the tunnels of gateway A use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384",
        "gateway A protects exactly 10.1.0.0/24 towards 10.2.0.0/24",
        'gateway A has a peer authenticated as "192.0.2.2"',
        "gateway A has a tunnel with gateway B",
    ],
)
def test_a_half_open_tunnel_beside_a_good_one_changes_nothing(says: Says, sentence: str) -> None:
    def half_open(network: FakeNetwork) -> None:
        charon = network.charons["gateway-a"]
        charon.initiate("peer", "sites")
        network.move()
        network.run("", "gateway-b", ["sh", "-ec", "nft 'add table inet f'"])
        network.nodes["gateway-b"].rules.read(
            "table inet f { chain input { type filter hook input priority 0; policy accept; udp dport 500 drop; } }"
        )
        charon.initiate("peer", "sites")
        network.move()
        assert sorted(sa.state for sa in charon.sas) == ["CONNECTING", "ESTABLISHED"]

    assert says(sentence, change=half_open) == Ending(sentence, "passed")


MILL = Path(__file__).parent / "fields" / "three_children"


@pytest.mark.parametrize(
    "sentences",
    [
        ("desk pings 172.20.4.5", "west receives the notify NO_PROPOSAL_CHOSEN"),
        ("west initiates a tunnel with east", "west receives the notify NO_PROPOSAL_CHOSEN"),
    ],
)
def test_the_refusal_of_a_second_child_is_seen_however_it_was_asked_for(
    speaker: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentences: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MILL, tmp_path / "mill")
    with brought_up(compose_file.load("mill", tmp_path / "mill"), tmp_path / "mill") as (bed, _):
        monkeypatch.setitem(speaker.changes, bed.name, Fresh(bed))
        assert speaker.says(bed, Story(sentences)) == Ending(sentences[-1], "passed")
        ended = speaker.says(bed, Story(("desk can reach 172.20.4.5",)))
        assert seen(ended).startswith("no answer"), ended
        assert "received NO_PROPOSAL_CHOSEN notify" in ended.words


def test_an_interface_that_leads_out_of_the_testbed_is_none_of_its_own(says: Says) -> None:
    def connected(network: FakeNetwork) -> None:
        network.run("", "host-a", ["sh", "-ec", "ip link add eth0 type veth peer name other"])

    sentence = "host A stands only in the intranet of site A"
    assert says(sentence).status == "passed"
    ended = says(sentence, change=connected)
    assert "eth0" in seen(ended), ended


def test_a_packet_that_nobody_has_seen_is_not_stopped(says: Says) -> None:
    def deaf(network: FakeNetwork) -> None:
        network.run("", "host-a", ["sh", "-ec", "ip route delete default"])
        network.nodes["host-a"].rules.read(
            "table netdev u { chain out { type filter hook egress device intranet_a priority 0; policy drop; } }"
        )
        network.run("", "host-a", ["sh", "-ec", "ip route add default via 10.1.0.1"])

    ended = says("host A cannot reach host B", change=deaf)
    assert ended.status == "error", ended


FACTS: Mapping[str, str] = {
    "host A can reach host B": "passed",
    "host A cannot reach host B": "failed",
    "gateway A has a tunnel with gateway B": "failed",
    "no two nodes have the same address": "passed",
    "every interface has a MAC of its own": "passed",
    "the host has no route into the testbed": "passed",
}


@pytest.mark.parametrize(("sentence", "status"), FACTS.items())
def test_a_pair_of_sites_is_judged_as_it_is(says: Says, sentence: str, status: str) -> None:
    assert says(sentence).status == status
