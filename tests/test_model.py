"""The model: finding nodes and networks by what they are."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from tests.conftest import Checkout
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Attachment, Scenario


@pytest.fixture
def tiny(checkout: Checkout) -> Scenario:
    return compose_file.load("tiny", checkout.root)


def test_nodes_are_found_by_role_by_site_and_by_both(tiny: Scenario) -> None:
    def found(**what: str) -> set[str]:
        return {node.name for node in tiny.having(**what)}

    assert found() == {"gateway", "client", "server"}
    assert found(role="client") == {"client"}
    assert found(site="a") == {"gateway", "client"}
    assert found(role="server", site="a") == set()


def test_the_nodes_of_a_network_are_those_with_a_foot_in_it(tiny: Scenario) -> None:
    assert {node.name for node in tiny.on("outside")} == {"gateway", "server"}
    assert tiny.on("nowhere") == ()


def test_sites_are_named_once_each(tiny: Scenario) -> None:
    assert tiny.sites == ("a",)


def test_only_subnets_behind_gateways_are_inside(tiny: Scenario) -> None:
    assert tiny.inside == (ip_network("10.1.0.0/16"),)


def test_an_address_leads_to_its_owner(tiny: Scenario) -> None:
    assert tiny.owner(ip_address("192.0.2.1")) == tiny.nodes["gateway"]
    assert tiny.owner(ip_address("192.0.2.9")) is None


def test_an_address_that_two_sites_use_means_the_neighbour_who_has_it(tiny: Scenario) -> None:
    gateway, server = tiny.nodes["gateway"], tiny.nodes["server"]
    shared = next(at.addresses[0].ip for at in gateway.attachments if at.network == "inside")
    elsewhere = Attachment("elsewhere", next(at.addresses for at in gateway.attachments if at.network == "inside"))
    twin = replace(server, name="twin", attachments=(elsewhere,))
    scene = replace(tiny, nodes={"twin": twin, **tiny.nodes})
    assert scene.owners(shared, tiny.nodes["client"]) == (gateway,)
    assert scene.owners(shared, twin) == (twin,)
    assert scene.owners(shared, replace(server, attachments=())) == (twin, gateway)
    assert scene.owners(ip_address("192.0.2.9"), server) == ()


def test_a_node_knows_its_addresses_by_network(tiny: Scenario) -> None:
    gateway = tiny.nodes["gateway"]
    assert gateway.address_on("inside") == ip_address("10.1.0.2")
    assert gateway.address_on("nowhere") is None
    assert set(gateway.addresses) == {ip_address("10.1.0.2"), ip_address("192.0.2.1")}
