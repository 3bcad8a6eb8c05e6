"""A scenario's picture: nothing covers anything else, and everything of the scenario is in it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Checkout
from tunnelbed import vpn
from tunnelbed.report.drawing import Tunnel, configured, sizes
from tunnelbed.report.drawing.layout import picture
from tunnelbed.report.drawing.shapes import Box, Label, Picture, Placed
from tunnelbed.report.drawing.svg import svg
from tunnelbed.report.drawing.tree import Key
from tunnelbed.topology import compose_file, scaffold
from tunnelbed.topology.model import Attachment, Network, Node, Scenario

HOME = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
# A stack that no testbed can be made of: one of its services is in the host's network.
NOT_READ = {"shared"}
WRITTEN = [
    (root, name)
    for root in [HOME, *sorted(found.parent for found in (HOME / "tests" / "fields").glob("*/compose"))]
    for name in compose_file.names(root)
    if name not in NOT_READ
]
SIZES = range(1, 13)


@functools.cache
def written(root: Path, name: str) -> Scenario:
    return compose_file.load(name, root)


def apart(drawn: Picture) -> None:
    """No label covers another or a foreign box, no box another; all is inside the picture."""
    whole = Box(0, 0, drawn.width, drawn.height)
    nodes = {item.key.name: item for item in drawn.placed if item.key.kind == "node"}
    own: list[tuple[Label, Placed | None]] = [(label, item) for item in drawn.placed for label in item.labels]
    own += [(label, nodes[wire.node]) for wire in drawn.wires for label in wire.labels]
    own += [(frame.label, None) for frame in drawn.frames]
    for (one, _), (other, _) in combinations(own, 2):
        assert not one.box.overlaps(other.box), (one, other)
    for label, home in own:
        assert whole.holds(label.box), label
        assert home is None or home.box.holds(label.box), (label, home)
        assert [item.key for item in drawn.placed if item is not home and item.box.overlaps(label.box)] == [], label
    for item, another in combinations(drawn.placed, 2):
        assert not item.box.overlaps(another.box), (item.key, another.key)
    for frame in drawn.frames:
        assert any(box.holds(frame.label.box) for box in frame.boxes), frame
        assert all(whole.holds(box) for box in frame.boxes), frame


def framed(scene: Scenario, drawn: Picture) -> None:
    """What stands in a site's frame is of that site, and what is of a site stands in its frame."""
    for item in drawn.placed:
        found = scene.nodes[item.key.name] if item.key.kind == "node" else scene.networks[item.key.name]
        site = "" if isinstance(found, Network) and found.role == "isp_link" else found.site
        around = {frame.site for frame in drawn.frames for box in frame.boxes if box.overlaps(item.box)}
        assert around == ({site} if site else set()), (item.key, around)
        for frame in drawn.frames if site else ():
            touching = [box for box in frame.boxes if box.overlaps(item.box)]
            assert not touching or any(box.holds(item.box) for box in touching), item.key


def clear(drawn: Picture) -> None:
    """No line goes through a box, or along another line; no line or tunnel goes through a site's name."""
    lines = [(wire, area(part, 1.0)) for wire in drawn.wires for part in pairwise(wire.points)]
    for wire, line in lines:
        inner = [item.key for item in drawn.placed if line.overlaps(smaller(item.box))]
        assert inner == [], (wire.node, wire.network)
    for (one, first), (other, second) in combinations(lines, 2):
        if one is not other and (first.width < first.height) == (second.width < second.height):
            assert not first.overlaps(second), (one, other)
    # A tunnel between two parts that nothing joins begins in the middle of a box, and goes straight across.
    along = [tube for tube in drawn.tubes if _touched(drawn, tube.points[0])]
    thick = [area(part, tube.width) for tube in along for part in pairwise(tube.points)]
    for frame in drawn.frames:
        assert not any(line.overlaps(frame.label.box) for line in thick), frame.label
        # What closes a circle may: it is as thin as a stroke of a letter.
        straight = [line for wire, line in lines if len(wire.points) == 2]
        assert not any(line.overlaps(frame.label.box) for line in straight), frame.label
    for mine, yours in combinations(drawn.frames, 2):
        assert not any(box.overlaps(beside) for box in mine.boxes for beside in yours.boxes), (mine, yours)


def area(part: tuple[tuple[float, float], tuple[float, float]], thick: float) -> Box:
    """What a piece of a line covers."""
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(*part, strict=True))
    return Box(left - thick / 2, top - thick / 2, right - left + thick, bottom - top + thick)


def smaller(box: Box) -> Box:
    """A box without its edges, on which lines end."""
    return Box(box.x + 1, box.y + 1, box.width - 2, box.height - 2)


def complete(scene: Scenario, drawn: Picture) -> None:
    """Every node, network and interface is there once, with all its words, and lines end where they should."""
    boxes = {item.key: item for item in drawn.placed}
    assert sorted(boxes) == sorted(
        [*(Key("node", name) for name in scene.nodes), *(Key("network", name) for name in scene.networks)]
    )
    assert len(boxes) == len(drawn.placed)
    for key, item in boxes.items():
        subnets = [] if key.kind == "node" else [str(subnet) for subnet in scene.networks[key.name].subnets]
        assert [label.text for label in item.labels] == [key.name, *subnets]
    wanted = {(node.name, at.network): at.addresses for node in scene.nodes.values() for at in node.attachments}
    assert sorted((wire.node, wire.network) for wire in drawn.wires) == sorted(wanted)
    for wire in drawn.wires:
        said = [label.text.removeprefix(f"{wire.network} ") for label in wire.labels]
        assert said == [str(address) for address in wanted[wire.node, wire.network]]
        ends = {boxes[Key("node", wire.node)].key, boxes[Key("network", wire.network)].key}
        assert {_touched(drawn, wire.points[0]), _touched(drawn, wire.points[-1])} == ends
        assert all(one[0] == other[0] or one[1] == other[1] for one, other in pairwise(wire.points)), wire


def _touched(drawn: Picture, point: tuple[float, float]) -> Key | None:
    """The box on whose upper or lower edge a point is."""
    x, y = point
    return next(
        (
            item.key
            for item in drawn.placed
            if item.box.x <= x <= item.box.right and min(abs(y - item.box.y), abs(y - item.box.bottom)) < 0.01
        ),
        None,
    )


def tunnelled(drawn: Picture, tunnels: list[Tunnel]) -> None:
    """Each tunnel leads from the edge of one end's box to the other's, and none lies on another."""
    for tunnel in tunnels:
        (tube,) = (tube for tube in drawn.tubes if tube.tunnel is tunnel)
        ends = [_touched(drawn, tube.points[0]), _touched(drawn, tube.points[-1])]
        assert ends == [Key("node", tunnel.one), Key("node", tunnel.other)], tunnel
    assert len(drawn.tubes) == len(tunnels)
    lines = [(tube, part) for tube in drawn.tubes for part in pairwise(tube.points)]
    for (one, first), (other, second) in combinations(lines, 2):
        if one is not other and first[0][0] == first[1][0] == second[0][0] == second[1][0]:
            (top, bottom), (above, below) = (sorted(end[1] for end in part) for part in (first, second))
            assert bottom <= above or below <= top, (one.tunnel, other.tunnel)


def judged(scene: Scenario, tunnels: list[Tunnel]) -> None:
    """All of it."""
    drawn = picture(scene, tunnels)
    apart(drawn)
    framed(scene, drawn)
    clear(drawn)
    complete(scene, drawn)
    tunnelled(drawn, tunnels)


@pytest.mark.parametrize(("root", "name"), WRITTEN, ids=lambda value: str(value).rsplit("/", maxsplit=1)[-1])
def test_a_written_network_is_drawn_whole_and_nothing_covers_anything(root: Path, name: str) -> None:
    scene = written(root, name)
    judged(scene, list(configured(scene, vpn.peers)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["sites", "laptops"])
def test_a_scaffold_of_any_size_is_drawn_whole_and_nothing_covers_anything(
    kind: str, size: int, tmp_path: Path
) -> None:
    scaffold.make("mine", tmp_path, **{kind: size})  # type: ignore[arg-type] # either of two parameters
    scene = compose_file.load("mine", tmp_path)
    tunnels = list(configured(scene, vpn.peers))
    assert len(tunnels) == size
    judged(scene, tunnels)


def test_a_wide_tree_is_drawn_above_and_below_its_root(tmp_path: Path) -> None:
    scaffold.make("mine", tmp_path, sites=12)
    scene = compose_file.load("mine", tmp_path)
    drawn = picture(scene, [])
    boxes = {item.key.name: item.box for item in drawn.placed}
    sides = [boxes[f"gateway-{site}"].y < boxes["router"].y for site in range(1, 13)]
    assert sorted(sides, reverse=True) == sides
    assert set(sides) == {True, False}
    assert drawn.width < 1000


@st.composite
def networks(draw: st.DrawFn) -> tuple[Scenario, list[Tunnel]]:
    """Nodes and networks attached to one another in any way: circles, islands, no addresses or many."""
    here = HOME / "compose" / "ipv6.yaml"
    names = [f"net{index}" + "x" * draw(st.integers(0, 12)) for index in range(draw(st.integers(1, 6)))]
    sites = st.sampled_from(["", "", "a", "b", "headquarters-in-the-north"])
    roles = st.sampled_from(["", "isp_link", "intranet"])
    interfaces = st.sampled_from([ip_interface("10.0.0.1/8"), ip_interface("fd00:4300:aaea:1234::aaea:1/64")])
    nodes = {}
    for index in range(draw(st.integers(1, 9))):
        name = f"node{index}" + "y" * draw(st.integers(0, 20))
        chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
        attachments = tuple(
            Attachment(network, tuple(draw(st.lists(interfaces, unique=True, max_size=2)))) for network in chosen
        )
        nodes[name] = Node(name, attachments, draw(st.sampled_from(["", "gateway", "router"])), draw(sites))
    found = {name: Network(name, (), draw(roles), draw(sites)) for name in names}
    pairs = draw(st.lists(st.sampled_from(sorted(combinations(nodes, 2))), unique=True)) if len(nodes) > 1 else []
    return Scenario("any", here, here, here, found, nodes), [Tunnel(*pair) for pair in pairs]


@pytest.mark.parametrize("width", [sizes.WIDE, 100.0])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=networks())
def test_nothing_covers_anything_in_any_network(
    width: float, monkeypatch: pytest.MonkeyPatch, made: tuple[Scenario, list[Tunnel]]
) -> None:
    monkeypatch.setattr(sizes, "WIDE", width)
    scene, tunnels = made
    drawn = picture(scene, tunnels)
    apart(drawn)
    framed(scene, drawn)
    clear(drawn)
    complete(scene, drawn)
    assert sorted(map(id, tunnels)) == sorted(id(tube.tunnel) for tube in drawn.tubes)


def groups(text: str, attribute: str) -> Mapping[str, ET.Element]:
    """The groups of a picture that have this attribute, by its value."""
    found: Iterator[ET.Element] = ET.fromstring(text).iter(f"{SVG}g")  # noqa: S314 # our own
    return {value: group for group in found if (value := group.get(attribute)) is not None}


def test_a_page_finds_each_part_of_a_picture() -> None:
    scene = written(HOME, "site-to-site")
    drawn = svg(scene, configured(scene, vpn.peers))
    assert set(groups(drawn, "data-node")) == set(scene.nodes)
    assert set(groups(drawn, "data-network")) == set(scene.networks)
    assert set(groups(drawn, "data-tunnel")) == {"gateway-a gateway-s", "gateway-b gateway-s"}
    assert set(groups(drawn, "data-site")) == {"a", "b", "s"}
    assert "client-b2 intranet_b" in groups(drawn, "data-interface")
    assert groups(drawn, "data-node")["gateway-a"].get("class") == "node gateway"
    assert {group.findtext(f"{SVG}title") for group in groups(drawn, "data-tunnel").values()} == {
        "tunnel between gateway-a and gateway-s: as its files have it",
        "tunnel between gateway-b and gateway-s: as its files have it",
    }


def test_a_tunnel_has_its_state(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    drawn = svg(scene, [Tunnel("gateway", "server", "up"), Tunnel("client", "server", "down")])
    tunnels = groups(drawn, "data-tunnel")
    assert tunnels["gateway server"].get("class") == "tunnel up"
    assert tunnels["client server"].get("class") == "tunnel down"
    assert tunnels["client server"].get("data-state") == "down"
    assert "Tunnel between client and server: down." in drawn


def test_a_picture_says_in_words_what_it_shows(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    root = ET.fromstring(svg(scene, []))  # noqa: S314 # our own
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "tiny: the network and its tunnels"
    assert root.findtext(f"{SVG}desc") == (
        "client is attached to inside. gateway is attached to inside, outside. "
        "server is attached to outside. No tunnels."
    )


def test_a_name_cannot_end_an_element(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    name = "<script>\"&'</script>"
    nodes = {**scene.nodes, name: replace(scene.nodes["client"], name=name, site=name)}
    drawn = svg(replace(scene, nodes=nodes), [Tunnel(name, "server")])
    assert ET.fromstring(drawn).findall(f".//{SVG}script") == []  # noqa: S314 # our own
    assert name in groups(drawn, "data-node")
    assert f"{name} server" in groups(drawn, "data-tunnel")


def test_the_readme_s_picture_is_what_is_drawn_now() -> None:
    scene = written(HOME, "site-to-site")
    kept = (HOME / "docs" / "site-to-site.svg").read_text(encoding="utf-8")
    assert kept == svg(scene, configured(scene, vpn.peers)), (
        "invoke draw --scenario site-to-site >docs/site-to-site.svg"
    )
