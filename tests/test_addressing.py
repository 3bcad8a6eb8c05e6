"""Which address of a node is meant, without any node."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.conftest import Checkout
from tunnelbed.checks.address_selection import (
    address_towards,
    addresses_towards,
    aims,
    away,
    every_address_towards,
    inside,
    lent,
    owners,
    source_address,
)
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, CommandFailed, TunnelbedError
from tunnelbed.host.shell import Completed
from tunnelbed.testbed import testbed
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Attachment

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
    return testbed.Testbed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


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
    chooses(bed, "")
    assert source_address(bed, client, ip_address("2001:db8:f::2")) == ip_address("2001:db8:1::3")


def chooses(bed: testbed.Testbed, said: str, status: int = 2) -> None:
    """What a node's `ip route get` prints, and how it ends."""

    def run(command: list[str], **_: object) -> Completed:
        assert command[:4] == ["ip", "-json", "route", "get"]
        return Completed(tuple(command), status, said, "RTNETLINK answers: Network is unreachable" if status else "")

    bed.agents = cast("Agents", SimpleNamespace(on=lambda _: SimpleNamespace(run=run)))


def test_a_node_sends_from_the_address_that_its_kernel_chooses(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["networks"]["outside"] = {"ipv4_address": "192.0.2.9"}
    bed = bed_of(checkout, {})
    client = bed.scenario.nodes["client"]
    chooses(bed, json.dumps([{"dst": "203.0.113.1", "dev": "outside", "prefsrc": "192.0.2.9"}]), 0)
    assert source_address(bed, client, ip_address("203.0.113.1")) == ip_address("192.0.2.9")


def test_what_has_no_route_is_sent_from_its_own_address_and_refused_by_the_kernel(checkout: Checkout) -> None:
    bed = bed_of(checkout, {})
    chooses(bed, "")
    assert source_address(bed, bed.scenario.nodes["client"], ip_address("10.1.0.9")) == ip_address("10.1.0.3")


def test_a_node_that_cannot_say_which_route_it_takes_is_no_node_without_one(checkout: Checkout) -> None:
    bed = bed_of(checkout, {})
    chooses(bed, "", 127)
    with pytest.raises(CommandFailed):
        source_address(bed, bed.scenario.nodes["client"], ip_address("10.1.0.9"))


def test_an_address_of_a_version_that_its_node_has_not_is_an_error(checkout: Checkout) -> None:
    bed = bed_of(checkout, {})
    chooses(bed, "")
    with pytest.raises(TunnelbedError, match="client has no IPv6 address now"):
        source_address(bed, bed.scenario.nodes["client"], ip_address("2001:db8::1"))


def test_an_address_in_no_stack_may_be_meant(checkout: Checkout) -> None:
    bed = bed_of(checkout, {})
    client = bed.scenario.nodes["client"]
    (unknown,) = aims(bed, client, ip_address("10.82.1.2"))
    assert (unknown.node, unknown.name) == (None, "10.82.1.2")
    (known,) = aims(bed, client, ip_address("192.0.2.2"))
    assert known.node == bed.scenario.nodes["server"]
    with pytest.raises(BadInput, match="2001:db8::1, expected an address that client can use"):
        aims(bed, client, ip_address("2001:db8::1"))


def test_one_ip_version_of_two_may_be_named(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"client": {"inside": "2001:db8:1::3"}, "server": {"outside": "2001:db8:f::2"}})
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    assert [aim.address.version for aim in aims(bed, client, server)] == [4, 6]
    assert [str(aim.address) for aim in aims(bed, client, server, 6)] == ["2001:db8:f::2"]
    with pytest.raises(BadInput, match="found IPv6, expected an IP version in which both have addresses"):
        aims(bed, client, bed.scenario.nodes["gateway"], 6)


def test_interfaces_without_an_address_of_that_kind_are_passed_over(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1")
    bed.held.extend([{}, {"ifname": "inside", "addr_info": [{"scope": "global"}]}])  # type: ignore[attr-defined]
    assert list(lent(bed, bed.scenario.nodes["client"])) == [ip_address("10.2.0.1")]


def test_nodes_without_a_common_version_are_told(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"server": {"outside": "2001:db8:f::2"}}, "server")
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    with pytest.raises(BadInput, match=r"services\.server: found IPv6, expected an address client can use \(IPv4\)"):
        address_towards(bed, client, server)


def borrowing(checkout: Checkout, *addresses: str) -> testbed.Testbed:
    """`tiny`, whose client asks to be lent addresses and has these by now, beside its own; nobody else is asked."""
    checkout.configure("client/swanctl.conf", "connections {\n    office {\n        vips = 0.0.0.0, ::\n    }\n}\n")
    bed = bed_of(checkout, {})
    held = [{"ifname": "inside", "addr_info": [{"local": "10.1.0.3"}]}]
    held += [{"ifname": "ipsec0", "addr_info": [{"local": address} for address in addresses]}]
    routes = [{"dst": "192.0.2.2", "dev": "ipsec0", "prefsrc": addresses[0]}] if addresses else []

    def client(node: str) -> Any:  # noqa: ANN401 # as much of an agent as is asked for
        assert node == "client"

        def run(command: list[str], *, timeout: float = 30, check: bool = False) -> Completed:
            told = held if "address" in command else routes
            assert routes or not check or told is held
            return Completed(tuple(command), 0 if told else 2, json.dumps(told) if told else "", "")

        return SimpleNamespace(run=run)

    bed.agents = cast("Agents", SimpleNamespace(on=client))
    bed.held = held  # type: ignore[attr-defined]
    return bed


def test_who_was_lent_an_address_is_known_by_it_away_from_its_own_networks(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1", "2001:db8:2::1")
    client, gateway, server = (bed.scenario.nodes[name] for name in ("client", "gateway", "server"))
    assert list(lent(bed, client)) == [ip_address("10.2.0.1"), ip_address("2001:db8:2::1")]
    assert address_towards(bed, server, client) == ip_address("10.2.0.1")
    assert address_towards(bed, gateway, client) == ip_address("10.1.0.3")
    assert away(bed, client)[0] == ip_address("10.2.0.1")
    assert away(bed, server) == [ip_address("192.0.2.2")]


def test_with_which_address_a_borrower_speaks_its_kernel_says(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1")
    client = bed.scenario.nodes["client"]
    assert source_address(bed, client, ip_address("192.0.2.2")) == ip_address("10.2.0.1")


def test_a_lent_address_is_its_borrower_s_and_no_other_s(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1")
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    assert list(owners(bed, ip_address("10.2.0.1"), server)) == [client]
    assert list(owners(bed, ip_address("10.2.0.9"), server)) == []
    assert list(owners(bed, ip_address("192.0.2.2"), client)) == [server]


def test_who_was_lent_nothing_yet_has_its_own_address(checkout: Checkout) -> None:
    bed = borrowing(checkout)
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    assert address_towards(bed, server, client) == ip_address("10.1.0.3")
    assert source_address(bed, client, ip_address("192.0.2.2")) == ip_address("10.1.0.3")


def test_who_must_not_be_reached_is_tried_by_what_it_was_lent_too(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1")
    client, gateway = bed.scenario.nodes["client"], bed.scenario.nodes["gateway"]
    assert every_address_towards(bed, gateway, client) == [ip_address("10.1.0.3"), ip_address("10.2.0.1")]


def test_who_must_not_be_reached_is_tried_by_all_that_it_has(checkout: Checkout) -> None:
    bed = bed_of(checkout, {"server": {"outside": "2001:db8:f::2"}, "gateway": {"inside": "2001:db8:1::2"}})
    client, gateway, server = (bed.scenario.nodes[name] for name in ("client", "gateway", "server"))
    assert every_address_towards(bed, client, gateway) == [ip_address("10.1.0.2"), ip_address("192.0.2.1")]
    assert every_address_towards(bed, server, gateway) == [
        ip_address("192.0.2.1"),
        ip_address("2001:db8:1::2"),
        ip_address("10.1.0.2"),
    ]


def test_an_address_that_means_somebody_else_at_the_source_is_not_tried(checkout: Checkout) -> None:
    services = checkout.stack["services"]
    checkout.stack["networks"]["twin"] = {"ipam": {"config": [{"subnet": "10.1.0.0/16"}]}}
    services["server"]["networks"]["twin"] = {"ipv4_address": "10.1.0.2"}
    bed = bed_of(checkout, {})
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    assert every_address_towards(bed, client, server) == [ip_address("192.0.2.2")]


def test_whose_tunnel_is_down_goes_on_being_known_by_what_it_was_lent_last(checkout: Checkout) -> None:
    bed = borrowing(checkout, "10.2.0.1")
    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    lent(bed, client)
    again = borrowing(checkout)
    again.lent = bed.lent
    assert list(lent(again, client)) == []
    assert address_towards(again, server, client) == ip_address("10.2.0.1")
    assert list(owners(again, ip_address("10.2.0.1"), server)) == []


def test_what_is_lent_is_as_private_as_what_is_behind_a_gateway(checkout: Checkout) -> None:
    assert set(map(str, inside(borrowing(checkout, "10.2.0.1", "2001:db8:2::1")))) == {
        "10.1.0.0/16",
        "2001:db8:1::/64",
        "10.2.0.1/32",
        "2001:db8:2::1/128",
    }


def test_a_version_that_was_lent_is_spoken(checkout: Checkout) -> None:
    bed = borrowing(checkout, "2001:db8:2::1")
    server = replace(
        bed.scenario.nodes["server"],
        attachments=(Attachment("outside", (ip_interface("2001:db8:f::2/64"),)),),
    )
    assert addresses_towards(bed, bed.scenario.nodes["client"], server) == [ip_address("2001:db8:f::2")]
