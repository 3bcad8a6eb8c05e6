"""The page of a testbed: what it shows, what its buttons do, and who is refused."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from tests.fake_network.beds import brought_up
from tests.fake_network.network import FakeNetwork
from tests.fake_network.pairs import Pair
from tests.test_drawing import listed
from tunnelbed.errors import BadInput
from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.live import plain, show
from tunnelbed.report.live.view import View
from tunnelbed.testbed.status import NodeStatus
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.vpn import api


@dataclass
class Page:
    """A page that is served, and what a browser would send to it."""

    address: str
    view: View
    network: FakeNetwork
    root: Path

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def base(self) -> str:
        return urlsplit(self.address).path

    def asks(
        self, path: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """A request as it is said; the page's own headers unless others are given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if headers is None:
            origin = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
            headers = origin if method != "GET" else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def does(self, path: str, **body: object) -> tuple[int, Any]:
        status, text = self.asks(self.base + path, "POST", body)
        return status, json.loads(text)


@pytest.fixture
def page(pair: Pair) -> Iterator[Page]:
    with brought_up(pair.load(), pair.root) as (bed, network):
        tracer = Bed(bed.scenario, pair.root, network)
        tracer.pool.shutdown()
        tracer.pool = network.workers
        view = View(bed, tracer)
        with view.shown(), show.served(view, 0) as address:
            yield Page(address, view, network, pair.root)
        tracer.close()


def test_the_page_is_served_with_its_policy(page: Page) -> None:
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
        connection.request("GET", page.base + name)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        assert answer.headers.get_content_type() == kind
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        connection.close()


@pytest.mark.parametrize("path", ["/", "/x/", "/page.js", "//", "/events", "/%2e%2e/"])
def test_without_the_token_all_is_refused(page: Page, path: str) -> None:
    assert page.asks(path) == (403, b"the address has no valid token: use the one that `invoke show` prints\n")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.2:{port}", "[::1]:{port}"])
def test_another_name_of_this_machine_is_refused(page: Page, host: str) -> None:
    refused = page.asks(page.base, headers={"Host": host.format(port=page.port)})
    assert refused == (403, b"this server has another name\n")


def test_localhost_is_this_machine(page: Page) -> None:
    assert page.asks(page.base, headers={"Host": f"localhost:{page.port}"})[0] == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["trace", "captures", "captures/1/stop"])
def test_only_the_page_itself_changes_anything(page: Page, origin: str | None, path: str) -> None:
    headers = {"Content-Type": "application/json", **({"Origin": origin} if origin else {})}
    status, text = page.asks(page.base + path, "POST", {"from": "host-a", "to": "host-b"}, headers)
    assert (status, text) == (403, b"only the page itself may change anything\n")
    assert not page.view.captures.plain()


@pytest.mark.parametrize("path", ["trace", "captures/1/stop"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_changes_anything(page: Page, path: str, method: str) -> None:
    status, _ = page.asks(page.base + path, method, headers={"Origin": f"http://127.0.0.1:{page.port}"})
    assert status == 405


def test_a_form_of_another_page_is_no_request(page: Page) -> None:
    headers = {"Content-Type": "text/plain", "Origin": f"http://127.0.0.1:{page.port}"}
    status, text = page.asks(page.base + "trace", "POST", {"from": "host-a", "to": "host-b"}, headers)
    assert status == 400
    assert b"application/json" in text


@pytest.mark.parametrize("body", [[], "x", {"from": 1}, {"from": "x" * 5000}])
def test_another_body_is_one_line(page: Page, body: object) -> None:
    status, text = page.asks(page.base + "trace", "POST", body)
    assert status == 400
    assert list(json.loads(text)) == ["error"]


def test_a_trace_reports_the_path(page: Page) -> None:
    status, path = page.does("trace", **{"from": "host-a", "to": "host-b", "on": ""})
    assert status == 200
    assert path["answered"], path
    assert path["outcome"].endswith("in clear on intranet_a, intranet_b; ESP on isp_link")
    networks = page.view.bed.scenario.networks
    sealed = {(step["network"], step["sealed"]) for step in path["steps"] if step["network"] in networks}
    assert sealed == {("intranet_a", False), ("intranet_b", False), ("isp_link", True)}


def test_a_traced_packet_is_counted_where_it_crossed(page: Page) -> None:
    # Its first packet sets the tunnel up, the second trace has one packet and its answer.
    page.does("trace", **{"from": "host-a", "to": "host-b"})
    page.view.traffic.examine()
    before = page.view.traffic.counts()
    page.does("trace", **{"from": "host-a", "to": "host-b"})
    page.view.traffic.examine()
    counts = page.view.traffic.counts()

    def more(network: str, form: str) -> int:
        return counts[network][form] - before[network][form]

    assert (more("intranet_a", "clear"), more("intranet_b", "clear"), more("isp_link", "clear")) == (2, 2, 0)
    assert (more("intranet_a", "sealed"), more("intranet_b", "sealed"), more("isp_link", "sealed")) == (0, 0, 2)
    assert counts["isp_link"]["handshake"] > 0
    assert not any(found[form] for found in counts.values() for form in ("unlisted", "unexamined"))


def test_a_trace_is_refused_while_a_proof_holds_the_testbed(page: Page) -> None:
    with Bed(page.view.bed.scenario, page.root, page.network).proven_alone():
        status, said = page.does("trace", **{"from": "host-a", "to": "host-b"})
    assert status == 400
    assert "found another run of its features, expected one run at a time" in said["error"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"from": "host-a", "to": "host-a"}, "expected another node than --from"),
        ({"from": "nobody", "to": "host-a"}, "nobody"),
        ({"from": "host-a", "to": "host-b", "on": "TCP port 0"}, "found 0, expected 1 to 65535"),
    ],
)
def test_a_trace_of_nothing_is_one_line(page: Page, body: Mapping[str, str], line: str) -> None:
    status, said = page.does("trace", **body)
    assert status == 400
    assert line in said["error"]


def test_a_capture_is_a_file_to_download(page: Page) -> None:
    status, begun = page.does("captures", network="isp_link")
    assert (status, begun["running"], begun["network"]) == (200, True, "isp_link")
    running = page.asks(f"{page.base}captures/1")
    assert running[0] == 400
    page.does("trace", **{"from": "host-a", "to": "host-b"})
    status, ended = page.does("captures/1/stop")
    assert (status, ended["running"], ended["lost"]) == (200, False, 0)
    status, data = page.asks(f"{page.base}captures/1")
    assert status == 200
    assert data == Path(ended["file"]).read_bytes()
    with RawPcapNgReader(ended["file"]) as reader:
        frames = [Ether(data) for data, _ in reader]
    assert len(frames) == ended["frames"]
    assert len([frame for frame in frames if ESP in frame]) == 2


def test_packets_that_a_node_lost_are_counted_as_lost(page: Page) -> None:
    def lose(count: int) -> None:
        for conversation in page.network._open:
            conversation.lost = count if conversation.node.name == "gateway-a" and conversation.watched else 0

    def lost() -> int:
        return int(json.loads(page.asks(page.base + "nodes/gateway-a")[1])["lost"])

    assert lost() == 0
    lose(7)
    status, _ = page.does("captures", network="")
    assert (status, lost()) == (200, 7)
    lose(5)
    status, ended = page.does("captures/1/stop")
    assert (status, ended["why"]) == (200, "gateway-a lost 5 packets: its buffer was full")
    assert lost() == 12


def test_a_capture_of_no_network_and_a_fifth_one_are_one_line(page: Page) -> None:
    status, said = page.does("captures", network="nowhere")
    assert status == 400
    assert "expected one of: isp_link, intranet_a, intranet_b" in said["error"]
    for _ in range(4):
        assert page.does("captures", network="")[0] == 200
    assert page.does("captures", network="")[0] == 400
    assert page.asks(f"{page.base}captures/9")[0] == 400


def test_a_node_has_its_details(page: Page) -> None:
    status, text = page.asks(page.base + "nodes/gateway-a")
    found = json.loads(text)
    assert status == 200
    assert (found["node"], found["role"], found["watched"]) == ("gateway-a", "gateway", True)
    assert "intranet_a up 10.1.0.1/24" in found["addresses"]
    assert "default via 192.0.2.2 dev isp_link" in found["routes"]
    assert found["log"]
    assert page.asks(page.base + "nodes/nobody")[0] == 400


def test_events_begin_with_the_state_and_go_on(page: Page) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    connection.request("GET", page.base + "events")
    answer = connection.getresponse()
    assert answer.headers.get_content_type() == "text/event-stream"

    def event() -> tuple[str, Any]:
        name = answer.readline().decode().removeprefix("event: ").strip()
        data = answer.readline().decode().removeprefix("data: ")
        assert answer.readline() == b"\n"
        return name, json.loads(data)

    name, state = event()
    assert (name, [node["node"] for node in state["nodes"]]) == ("state", list(page.view.bed.scenario.nodes))
    assert state["tunnels"] == [{"one": "gateway-a", "other": "gateway-b", "state": "down"}]
    assert event()[0] == "captures"
    assert event()[0] == "traffic"
    page.does("trace", **{"from": "host-a", "to": "host-b"})
    counts: dict[str, Any] = {}
    states: list[Any] = []
    # The tunnel is made, and data crosses it: both are events.
    while not (states and counts.get("isp_link", {}).get("sealed")):
        name, data = event()
        counts = data["counts"] if name == "traffic" else counts
        states += [data] if name == "state" and data["tunnels"][0]["state"] == "up" else []
    connection.close()


def test_a_second_port_is_one_line(page: Page) -> None:
    in_use = pytest.raises(BadInput, match=r"^--port: found \d+: Address already in use, expected a free port")
    with in_use, show.served(page.view, page.port):
        pass


def test_a_testbed_that_goes_down_ends_the_page(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    with brought_up(pair.load(), pair.root) as (bed, network):
        view = View(bed, bed)
        with view.shown():
            monkeypatch.setattr(network, "states", lambda _: {})
            assert view.over.wait(30)
        assert view.gone == "the testbed was taken down"
        assert view.state()["gone"] == view.gone
        with pytest.raises(BadInput, match="found no testbed that is up"), View(bed, bed).shown():
            pass


def test_nothing_is_watched_after_the_page(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, network):
        view = View(bed, bed)
        with view.shown():
            assert all(conversation.watched for conversation in network._open)
            saved = view.captures.start("")
        assert not any(conversation.watched for conversation in network._open)
        assert not saved.running


def test_the_picture_has_every_node_and_network(page: Page) -> None:
    status, text = page.asks(page.base + "picture.svg")
    assert status == 200
    for name in page.view.bed.scenario.nodes:
        assert f'data-node="{name}"'.encode() in text
    for name in page.view.bed.scenario.networks:
        assert f'data-network="{name}"'.encode() in text


def test_the_picture_s_style_is_apart_as_the_page_s_policy_wants(page: Page) -> None:
    picture, style = (page.asks(page.base + name)[1].decode() for name in ("picture.svg", "picture.css"))
    assert "<style" not in picture
    assert "style=" not in picture
    assert ".tunnelbed-drawing" in style
    assert "<" not in style


def test_a_tunnel_that_no_file_names_is_shown_once_it_is_up(pair: Pair) -> None:
    def status(node: str, *tunnels: api.Tunnel) -> NodeStatus:
        return NodeStatus(node, "", "", (), "running", "", "", "", "", tunnels)

    named = Tunnel("gateway-a", "gateway-b", "down")
    alone = [status("gateway-a", listed(10)), status("host-b", listed(20))]
    assert plain.tunnels(pair.load(), alone) == [named]
    both = [status("gateway-a", listed(10)), status("host-b", listed(10)), status("gateway-b")]
    assert plain.tunnels(pair.load(), both) == [named, Tunnel("gateway-a", "host-b", "up")]
    assert plain.tunnels(pair.load(), [status("gateway-a", listed(10)), status("gateway-b", listed(10))]) == [
        Tunnel("gateway-a", "gateway-b", "up")
    ]
