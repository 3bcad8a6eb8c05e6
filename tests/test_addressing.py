"""Which address of a node is meant, without any node."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.conftest import Checkout
from tunnelbed import scenario, testbed
from tunnelbed.addressing import address_towards, addresses_towards, source_address
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput

V6 = {"inside": "2001:db8:1::/64", "outside": "2001:db8:f::/64"}


def bed_of(checkout: Checkout, six: dict[str, dict[str, str]], only_six: str = "") -> testbed.Testbed:
    """`tiny`, whose nodes have these IPv6 addresses too, by network; one of them no other."""
    for network, subnet in V6.items():
        checkout.stack["networks"][network]["enable_ipv6"] = True
        checkout.stack["networks"][network]["ipam"]["config"].append({"subnet": subnet})
    for node, addresses in six.items():
        for network, address in addresses.items():
            foot = checkout.stack["services"][node]["networks"][network]
            foot["ipv6_address"] = address
            if node == only_six:
                del foot["ipv4_address"]
    checkout.write()
    return testbed.Testbed(scenario.load("tiny", checkout.root), checkout.root, FakeEngine())


def test_of_each_ip_version_that_both_have_one_address_is_meant(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"client": {"inside": "2001:db8:1::3"}, "server": {"outside": "2001:db8:f::2"}})
    client, server, gateway = (bed.scenario.nodes[name] for name in ("client", "server", "gateway"))
    assert addresses_towards(bed, client, server) == [ip_address("192.0.2.2"), ip_address("2001:db8:f::2")]
    assert addresses_towards(bed, client, gateway) == [ip_address("10.1.0.2")]
    assert address_towards(bed, client, server) == ip_address("192.0.2.2")


def test_an_address_on_a_shared_network_comes_first(checkout: Checkout) -> None:
    bed = bed_of(checkout, {})
    server, gateway = bed.scenario.nodes["server"], bed.scenario.nodes["gateway"]
    assert gateway.addresses[0] == ip_address("10.1.0.2")
    assert address_towards(bed, server, gateway) == ip_address("192.0.2.1")


def test_of_several_shared_networks_the_source_s_first_counts(checkout: Checkout) -> None:
    checkout.stack["services"]["server"]["networks"]["inside"] = {"ipv4_address": "10.1.0.9"}
    bed = bed_of(checkout, {})
    server, gateway = bed.scenario.nodes["server"], bed.scenario.nodes["gateway"]
    server = replace(server, attachments=server.attachments[::-1])
    assert address_towards(bed, server, gateway) == ip_address("192.0.2.1")
    assert address_towards(bed, gateway, server) == ip_address("10.1.0.9")


def test_a_version_that_only_the_target_has_is_passed_over(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"client": {"inside": "2001:db8:1::3"}, "server": {"outside": "2001:db8:f::2"}}, "client")
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    assert address_towards(bed, client, server) == ip_address("2001:db8:f::2")
    assert source_address(bed, client, ip_address("2001:db8:f::2")) == ip_address("2001:db8:1::3")


def test_nodes_without_a_common_version_are_told(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"server": {"outside": "2001:db8:f::2"}}, "server")
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    with pytest.raises(BadInput, match=r"services\.server: found IPv6, expected an address client can use \(IPv4\)"):
        address_towards(bed, client, server)
