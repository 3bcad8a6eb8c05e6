"""Drawings, whatever their format: which tunnels are up, and what the command prints."""

from __future__ import annotations

import contextlib

import pytest

from tests.conftest import Checkout
from tunnelbed.report.drawing import Tunnel, formats, seen
from tunnelbed.report.drawing.mermaid import mermaid
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology import compose_file
from tunnelbed.vpn import api

BETWEEN = Tunnel("west", "east")


def listed(*numbers: int, carries: bool = True) -> api.Tunnel:
    """A tunnel as an end lists it, with the numbers of its data."""
    children = tuple(
        api.Child("net", str(number), "INSTALLED", carries, (), (), number, number + 1) for number in numbers
    )
    return api.Tunnel("cloud", "1", "ESTABLISHED", carries, None, None, 500, 500, "", "", False, children)  # noqa: FBT003 # a value


@pytest.mark.parametrize(
    ("west", "east", "state"),
    [
        ([listed(10)], [listed(10)], "up"),
        ([listed(10), listed(20)], [listed(30), listed(20)], "up"),
        ([listed(10)], [listed(20)], "down"),
        ([listed(10)], [], "down"),
        ([], [], "down"),
        ([listed(10)], [listed(10, carries=False)], "down"),
        ([listed()], [listed()], "down"),
    ],
)
def test_a_tunnel_is_up_if_both_ends_list_it(west: list[api.Tunnel], east: list[api.Tunnel], state: str) -> None:
    assert [found.state for found in seen([BETWEEN], {"west": west, "east": east})] == [state]


def test_a_tunnel_with_a_node_that_lists_nothing_is_down() -> None:
    assert [found.state for found in seen([BETWEEN], {"west": [listed(10)]})] == ["down"]


def test_tunnels_of_a_testbed_that_is_not_up_are_those_of_its_files(checkout: Checkout) -> None:
    with contextlib.closing(open_testbed(compose_file.load("tiny", checkout.root), checkout.root)) as bed:
        assert formats.tunnels(bed) == []
        for form, start in (("svg", "<svg "), ("dot", 'graph "tiny" {'), ("mermaid", "flowchart TB")):
            assert formats.drawing(bed, form).startswith(start)


def test_mermaid_has_each_node_network_interface_and_tunnel(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    lines = [line.strip() for line in mermaid(scene, [Tunnel("gateway", "server", "down")]).splitlines()]
    assert lines == [
        "flowchart TB",
        'subgraph s0 ["site a"]',
        'n0{{"gateway"}}',
        'n1(["inside<br>10.1.0.0/16"])',
        'n3["client"]',
        "end",
        'n2(["outside<br>192.0.2.0/24"])',
        'n4["server"]',
        'n0 -- "10.1.0.2/16" --- n1',
        'n0 -- "192.0.2.1/24" --- n2',
        'n1 -- "10.1.0.3/16" --- n3',
        'n2 -- "192.0.2.2/24" --- n4',
        'n0 -.-|"tunnel down"| n4',
    ]
