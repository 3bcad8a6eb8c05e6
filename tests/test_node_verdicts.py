"""Verdicts about what a node has and may do, and what its VPN has loaded: each judged on two sites, true and false."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair, dual
from tests.fake_network.settings import Connection
from tunnelbed.checks import describe, node_hardening, node_settings, security_associations, tunnel_timing
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Again

FORWARDING = "net.ipv4.ip_forward"


@contextmanager
def up(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork, Node, Node]]:
    """The pair, gateway A and host A."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        yield bed, network, bed.scenario.node("gateway-a"), bed.scenario.node("host-a")


def told(failed: pytest.ExceptionInfo[Unmet]) -> tuple[str, str]:
    return failed.value.expected, failed.value.seen


def test_a_sysctl_has_a_value_or_another_or_is_none_of_the_kernel_s(pair: Pair) -> None:
    with up(pair) as (bed, _, gateway, _):
        node_settings.has_sysctl(bed, gateway, FORWARDING, 1)
        with pytest.raises(Unmet) as failed:
            node_settings.has_sysctl(bed, gateway, FORWARDING, 0)
        assert told(failed) == (f"gateway-a has {FORWARDING} = 0", "1")
        with pytest.raises(BadInput, match="expected a sysctl of this node's kernel"):
            node_settings.has_sysctl(bed, gateway, "net.ipv4.ip_forwarding", 1)


def test_a_node_sends_beyond_its_networks_to_one_neighbour_by_each_ip_version(pair: Pair) -> None:
    dual(pair)
    with up(pair) as (bed, _, gateway, host):
        with pytest.raises(Unmet) as failed:
            node_settings.sends_beyond(bed, host, None)
        assert "default via 10.1.0.1" in failed.value.seen
        node_settings.sends_beyond(bed, host, gateway)
        bed.node(host).run(["ip", "route", "del", "default", "via", "2001:db8:a::1"], check=True)
        with pytest.raises(Unmet) as failed:
            node_settings.sends_beyond(bed, host, gateway)
        assert failed.value.seen == "no default route of IPv6"
        bed.node(host).run(["ip", "route", "del", "default", "via", "10.1.0.1"], check=True)
        node_settings.sends_beyond(bed, host, None)
        with pytest.raises(BadInput, match="expected one of its neighbours: gateway-a"):
            node_settings.sends_beyond(bed, host, bed.scenario.node("gateway-b"))


def test_a_node_has_exactly_its_capabilities_or_others(pair: Pair) -> None:
    pair.services["host-a"]["cap_drop"] = ["ALL"]
    pair.services["host-a"]["cap_add"] = ["NET_RAW"]
    with up(pair) as (bed, network, _, host):
        node_hardening.may_exactly(bed, host, ["NET_RAW"])
        network.nodes["host-a"].more_capabilities = frozenset({"SYS_ADMIN"})
        with pytest.raises(Unmet) as failed:
            node_hardening.may_exactly(bed, host, ["NET_RAW"])
        assert told(failed) == ("host-a has exactly the capabilities NET_RAW", "NET_RAW SYS_ADMIN")
        with pytest.raises(BadInput, match="found NET_ROW"):
            node_hardening.may_exactly(bed, host, ["NET_ROW"])


def test_an_address_that_two_nodes_have_is_named(pair: Pair) -> None:
    with up(pair) as (bed, _, _, host):
        node_hardening.no_address_twice(bed)
        bed.node(host).run(["ip", "address", "add", "10.1.0.1/24", "dev", "intranet_a"], check=True)
        with pytest.raises(Unmet) as failed:
            node_hardening.no_address_twice(bed)
    assert "10.1.0.1" in failed.value.seen
    assert "gateway-a" in failed.value.seen
    assert "host-a" in failed.value.seen


def test_a_kernel_refuses_a_source_that_cannot_come_from_there_or_does_not(pair: Pair) -> None:
    for strict in ("1", "0"):
        pair.services["gateway-a"]["sysctls"]["net.ipv4.conf.all.rp_filter"] = strict
        with up(pair) as (bed, _, gateway, host):
            link = bed.scenario.networks["isp_link"]
            if strict == "1":
                node_hardening.refuses_source(bed, gateway, host, link)
                with pytest.raises(BadInput, match="expected a network on which gateway-a has a neighbour"):
                    node_hardening.refuses_source(bed, gateway, host, bed.scenario.networks["intranet_b"])
                continue
            with pytest.raises(Unmet) as failed:
                node_hardening.refuses_source(bed, gateway, host, link)
        assert failed.value.expected == "gateway-a accepts no packet from host-a on isp_link"


def loaded(network: FakeNetwork, **changed: object) -> None:
    """Gateway A's connection, and its child, with other values."""
    charon = network.charons["gateway-a"]
    found: Connection = charon.connections["peer"]
    of_child = {key: value for key, value in changed.items() if key in ("dead", "closed", "remote")}
    (child,) = found.children
    children = (replace(child, **of_child),)  # type: ignore[arg-type] # a test's values
    own = {key: value for key, value in changed.items() if key not in of_child}
    charon.connections = {"peer": replace(found, **{"children": children, **own})}  # type: ignore[arg-type] # likewise


def test_when_keys_change_and_peers_are_asked_is_what_the_daemon_has_loaded(pair: Pair) -> None:
    with up(pair) as (bed, network, gateway, _):
        tunnel_timing.renews_keys(bed, gateway, "IKE", 4 * 3600)
        tunnel_timing.renews_keys(bed, gateway, "ESP", 3600)
        loaded(network, rekeyed=0, asked=7)
        with pytest.raises(Unmet) as failed:
            tunnel_timing.renews_keys(bed, gateway, "IKE", 4 * 3600)
        assert told(failed) == ("gateway-a changes its IKE keys after 14400 s", "peer: never")
        tunnel_timing.asks_for_life(bed, gateway, 7)
        with pytest.raises(Unmet) as failed:
            tunnel_timing.asks_for_life(bed, gateway, 2)
        assert failed.value.seen == "peer: after 7 s"


def test_when_a_tunnel_is_set_up_again_is_what_the_daemon_has_loaded(pair: Pair) -> None:
    right = {"is dead": Again.AT_ONCE, "closes it": Again.NEVER}
    with up(pair) as (bed, network, gateway, _):
        loaded(network, dead="start", closed="none")
        for end, again in right.items():
            for when in Again:
                if when is again:
                    tunnel_timing.sets_up_again(bed, gateway, when.value, end)
                    continue
                with pytest.raises(Unmet) as failed:
                    tunnel_timing.sets_up_again(bed, gateway, when.value, end)
                assert failed.value.seen == f"sites: {again.value}"
        with pytest.raises(BadInput, match="expected one of: is dead, closes it"):
            tunnel_timing.sets_up_again(bed, gateway, Again.NEVER.value, "is gone")
        network.charons["gateway-a"].connections = {}
        with pytest.raises(NodeFailed, match="gateway-a: has loaded no connection"):
            tunnel_timing.renews_keys(bed, gateway, "IKE", 4 * 3600)


def test_a_tunnel_that_was_asked_for_more_than_its_peer_grants_protects_not_exactly_that(pair: Pair) -> None:
    selectors = ["10.1.0.0/24"], ["10.2.0.0/24"]
    with up(pair) as (bed, network, gateway, _):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        security_associations.selects(bed, gateway, *selectors)
        loaded(network, remote=(ip_network("10.2.0.0/16"),))
        with pytest.raises(Unmet) as failed:
            security_associations.selects(bed, gateway, *selectors)
        assert failed.value.expected == "gateway-a asks for 10.1.0.0/24 === 10.2.0.0/24"
        assert failed.value.seen.startswith("10.1.0.0/24 === 10.2.0.0/16, ")
        with pytest.raises(Unmet) as failed:
            security_associations.selects(bed, gateway, ["10.1.0.0/24"], ["10.9.0.0/24"])
        assert told(failed) == (
            "gateway-a protects 10.1.0.0/24 === 10.9.0.0/24",
            "10.1.0.0/24 === 10.2.0.0/24",
        )


def test_tunnels_that_agreed_on_different_proposals_have_no_sentence(pair: Pair) -> None:
    with up(pair) as (bed, network, gateway, _):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        kind, (found,) = bed.node(gateway).vpn, bed.node(gateway).tunnels()
        assert describe._proposals(kind, [found]) == ("aes256gcm16-prfsha384-ecp384", "aes256gcm16")
        other = replace(found, details={**found.details, "proposal": "AES_CBC-128/HMAC_SHA2_256_128/ECP_256"})
        assert describe._proposals(kind, [found, other]) is None
        assert describe._proposals(None, [found]) is None


def test_nodes_of_no_ip_version_in_common_have_no_fact(pair: Pair) -> None:
    pair.networks["six"] = {"ipam": {"config": [{"subnet": "2001:db8::/64"}]}}
    pair.services["six"] = {"image": "example/node", "networks": {"six": {"ipv6_address": "2001:db8::6"}}}
    with up(pair) as (bed, _, _, host):
        assert describe._facts(bed, host, bed.scenario.node("six"), 0) == ()
