"""A scenario for Graphviz: who stands where, joined to what, and which tunnels there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Checkout
from tunnelbed import vpn
from tunnelbed.report import drawing
from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.dot import dot
from tunnelbed.topology import compose_file, scaffold

HOME = Path(__file__).parent.parent


def pairs(name: str, root: Path) -> set[frozenset[str]]:
    """The ends of each tunnel that is drawn."""
    return {
        frozenset({tunnel.one, tunnel.other}) for tunnel in drawing.configured(compose_file.load(name, root), vpn.peers)
    }


@pytest.mark.parametrize("name", ["site-to-site", "host-to-host", "ipv6"])
def test_each_site_has_a_tunnel_with_the_cloud_drawn_once(name: str) -> None:
    gateways = [frozenset({"gateway-s", f"gateway-{site}"}) for site in "ab"]
    assert pairs(name, HOME) == set(gateways)
    assert len(drawing.configured(compose_file.load(name, HOME), vpn.peers)) == 2


def test_who_believes_any_address_has_the_tunnels_that_others_ask_it_for(tmp_path: Path) -> None:
    scaffold.make("office", tmp_path, laptops=2)
    assert pairs("office", tmp_path) == {frozenset({"gateway", f"laptop-{n}"}) for n in (1, 2)}


def test_what_is_drawn_leads_away_from_the_middle_with_its_addresses(checkout: Checkout) -> None:
    lines = [line.strip() for line in dot(compose_file.load("tiny", checkout.root), []).splitlines()]
    assert lines[0] == 'graph "tiny" {'
    assert lines[-1] == "}"
    assert '"node gateway" [label = "gateway", shape = octagon]' in lines
    assert '"network inside" [label = "inside\\n10.1.0.0/16", shape = oval, fillcolor = "#e3e9f0"]' in lines
    assert {line for line in lines if " -- " in line} == {
        '"node gateway" -- "network inside" [label = "10.1.0.2"]',
        '"network inside" -- "node client" [label = "10.1.0.3"]',
        '"node gateway" -- "network outside" [label = "192.0.2.1"]',
        '"network outside" -- "node server" [label = "192.0.2.2"]',
    }


def test_a_site_s_frame_has_its_nodes_and_inner_networks_and_no_link(checkout: Checkout) -> None:
    checkout.stack["networks"]["outside"]["labels"] = {"tunnelbed.role": "isp_link", "tunnelbed.site": "a"}
    checkout.write()
    _, _, rest = dot(compose_file.load("tiny", checkout.root), []).partition('subgraph "cluster_a" {')
    frame, _, others = rest.partition("    }\n")
    assert [line.split('"')[1] for line in frame.splitlines() if "shape" in line] == [
        "node client",
        "node gateway",
        "network inside",
    ]
    assert '"network outside" [label' in others
    assert '"node server" [label' in others


def test_what_nothing_leads_to_is_drawn_too(checkout: Checkout) -> None:
    del checkout.stack["services"]["gateway"]["networks"]["outside"]
    checkout.write()
    said = dot(compose_file.load("tiny", checkout.root), [])
    assert '"node server" -- "network outside" [label = "192.0.2.2"]' in said


def test_a_tunnel_that_is_down_is_drawn_in_another_way_than_one_that_is_up(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    assert '"node gateway" -- "node server" [style = bold' in dot(scene, [Tunnel("gateway", "server", "up")])
    assert '"node gateway" -- "node server" [style = dashed' in dot(scene, [Tunnel("gateway", "server", "down")])
