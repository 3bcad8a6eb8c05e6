from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conftest import Checkout
from tests.test_compose import plan
from tunnelbed.engines.docker import drivers
from tunnelbed.errors import BadInput


@pytest.mark.parametrize("driver", ["", "macvlan", "bridge"])
def test_these_carry_every_scenario(checkout: Checkout, driver: str) -> None:
    drivers.check(plan(checkout, driver=driver))


def test_ipvlan_carries_neighbours(checkout: Checkout) -> None:
    asked = plan(checkout, driver="ipvlan")
    neighbours = {name: node for name, node in asked.scenario.nodes.items() if name != "gateway"}
    drivers.check(replace(asked, scenario=replace(asked.scenario, nodes=neighbours)))


def test_ipvlan_is_refused_where_a_node_stands_between_networks_and_the_node_is_named(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"found ipvlan, expected macvlan or bridge; gateway stands between networks"):
        drivers.check(plan(checkout, driver="ipvlan"))


def test_another_driver_is_refused_with_those_there_are(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match="found 'overlay', expected one of: macvlan, bridge, ipvlan"):
        drivers.check(plan(checkout, driver="overlay"))
