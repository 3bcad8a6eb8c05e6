"""What a node says of itself, read from the kernel's own words; and a sentence about it that does not hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.conftest import Checkout
from tunnelbed.checks import host_isolation, node_hardening
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.host.shell import Completed
from tunnelbed.testbed import testbed
from tunnelbed.topology.compose_file import load

NETSTAT = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 {}\nIpExt: InOctets\nIpExt: 12\n"


def bed(
    checkout: Checkout, said: Mapping[str, str], interfaces: Sequence[Mapping[str, object]] = ()
) -> testbed.Testbed:
    """A testbed of which only what its nodes answer is there: by command, or by node and command."""

    def agent(node: str) -> Any:  # noqa: ANN401 # as much of an agent as is asked for
        def run(command: tuple[str, ...], **_: object) -> Completed:
            line = " ".join(command)
            return Completed(tuple(command), 0, said.get(f"{node} {line}", said.get(line, "[]")), "")

        return SimpleNamespace(
            run=run,
            send_frame=lambda *_: None,
            mac=lambda _: "02:00:00:00:00:02",
            interfaces=lambda: interfaces or json.loads(run(("ip", "-json", "address", "show")).stdout),
        )

    found = SimpleNamespace(
        scenario=load("tiny", checkout.root),
        node=lambda node: agent(node.name),
        name="tiny",
        state=Path("none"),
    )
    return cast("testbed.Testbed", found)


def links(*names: str) -> str:
    """As a node prints what it stands in (`host_isolation.LOOK`): these, and what leads nowhere by itself."""
    inside = [{"ifname": "lo"}, {"ifname": "ipsec0", "linkinfo": {"info_kind": "tun"}}]
    return "\n".join(["6f2c net:[1]", json.dumps([*inside, *({"ifname": name} for name in names)]), "[]", "[]"])


def test_a_capability_too_many_is_told(checkout: Checkout) -> None:
    one = bed(checkout, {"cat /proc/1/status": "CapEff:\t3000\nCapBnd:\t0000000000203000\n"})
    with pytest.raises(Unmet, match=r"exactly the capabilities NET_ADMIN NET_RAW\nseen: +NET_ADMIN NET_RAW SYS_ADMIN"):
        node_hardening.may_exactly(one, one.scenario.nodes["client"], ["NET_ADMIN", "NET_RAW"])


def test_a_capability_that_does_not_exist_is_no_failure_of_the_network(checkout: Checkout) -> None:
    one = bed(checkout, {})
    with pytest.raises(BadInput, match="NET_ADMYN"):
        node_hardening.may_exactly(one, one.scenario.nodes["client"], ["NET_ADMYN"])


def test_a_network_too_many_is_told(checkout: Checkout) -> None:
    one = bed(checkout, {f"sh -ec {host_isolation.LOOK}": links("inside", "outside")})
    with pytest.raises(Unmet, match=r"client has interfaces only in inside\nseen: +in inside and outside"):
        node_hardening.stands_only_in(one, one.scenario.nodes["client"], [one.scenario.networks["inside"]])


def test_an_interface_that_no_scenario_knows_is_one_too_many(checkout: Checkout) -> None:
    one = bed(checkout, {f"sh -ec {host_isolation.LOOK}": links("inside", "eth0")})
    with pytest.raises(Unmet, match=r"client has interfaces only in inside\nseen: +in eth0 and inside"):
        node_hardening.stands_only_in(one, one.scenario.nodes["client"], [one.scenario.networks["inside"]])


def test_a_version_that_the_stack_does_not_give_is_noticed(checkout: Checkout) -> None:
    here = {"ifname": "inside", "addr_info": [{"family": "inet"}, {"family": "inet6", "local": "fe80::1"}]}
    one = bed(checkout, {}, interfaces=[{}, {"ifname": "lo", "addr_info": [{"family": "inet6"}]}, here])
    with pytest.raises(Unmet, match=r"client has addresses of IPv4 on inside\nseen: +IPv6, too"):
        node_hardening.speaks_as_given(one, [one.scenario.nodes["client"]])
    here["addr_info"] = [{"family": "inet"}]
    node_hardening.speaks_as_given(one, [one.scenario.nodes["client"]])


def test_a_node_may_have_what_is_no_network_of_the_testbed(checkout: Checkout) -> None:
    one = bed(checkout, {f"sh -ec {host_isolation.LOOK}": links("inside")})
    node_hardening.stands_only_in(one, one.scenario.nodes["client"], [one.scenario.networks["inside"]])


def test_an_address_twice_is_told_with_both_owners(checkout: Checkout) -> None:
    here = json.dumps([{"ifname": "inside", "addr_info": [{"local": "10.1.0.3"}]}])
    command = "ip -json address show"
    one = bed(checkout, {f"client {command}": here, f"gateway {command}": here})
    with pytest.raises(Unmet, match=r"10.1.0.3 on inside belongs to client and gateway"):
        node_hardening.no_address_twice(one)


def test_the_same_address_on_two_networks_is_well(checkout: Checkout) -> None:
    command = "ip -json address show"
    said = {
        f"{node} {command}": json.dumps([{"ifname": network, "addr_info": [{"local": "10.1.0.3"}]}])
        for node, network in (("client", "inside"), ("server", "outside"))
    }
    node_hardening.no_address_twice(bed(checkout, said))


def test_a_source_that_was_not_refused_is_told(checkout: Checkout) -> None:
    one = bed(checkout, {"cat /proc/net/netstat": NETSTAT.format(7)})
    nodes, networks = one.scenario.nodes, one.scenario.networks
    with pytest.raises(Unmet, match="gateway accepts no packet from client on outside"):
        node_hardening.refuses_source(one, nodes["gateway"], nodes["client"], networks["outside"], 0.0)


def test_a_kernel_that_does_not_count_proves_nothing() -> None:
    assert node_hardening.refused(NETSTAT.format(7)) == 7
    with pytest.raises(TunnelbedError, match="no counter"):
        node_hardening.refused("IpExt: InOctets\nIpExt: 12\n")
