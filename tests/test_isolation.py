"""The machine and its testbed: what counts as a route into it."""

from __future__ import annotations

import json

import pytest

from tunnelbed.checks import host_isolation

SAID = """\
6f2c net:[4026531833]
[{"ifname":"lo","address":"00:00:00:00:00:00","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},\
{"ifname":"eth0","address":"02:00:00:00:00:01","addr_info":[{"local":"10.1.0.9","prefixlen":16}]},{"ifname":"tun0"}]
[{"dst":"default","dev":"eth0"},{"dst":"10.0.0.0/8","dev":"eth0"},{"type":"local","dst":"10.1.0.9","dev":"eth0"}]
[{"dst":"fc00:1::/64","dev":"eth0"}]
"""


@pytest.fixture
def stack() -> host_isolation.Stack:
    return host_isolation.read(SAID)


def test_a_stack_is_read_with_its_devices_addresses_and_routes(stack: host_isolation.Stack) -> None:
    assert stack.identity == "6f2c net:[4026531833]"
    assert stack.devices == {"lo": "00:00:00:00:00:00", "eth0": "02:00:00:00:00:01", "tun0": ""}
    assert [str(target) for target, _ in stack.routes] == ["10.0.0.0/8", "10.1.0.9/32", "fc00:1::/64"]


def test_an_address_or_a_route_of_a_testbed_s_device_leads_into_it(stack: host_isolation.Stack) -> None:
    found = host_isolation.by(stack, ["eth0"])
    assert found == [
        "address 10.1.0.9/16 of eth0",
        "route to 10.0.0.0/8 by eth0",
        "route to 10.1.0.9/32 by eth0",
        "route to fc00:1::/64 by eth0",
    ]


def test_what_another_device_has_leads_elsewhere_whatever_the_numbers(stack: host_isolation.Stack) -> None:
    assert host_isolation.by(stack, ["tb0123456000"]) == []


def test_a_device_that_stands_on_a_testbed_s_is_one_of_it() -> None:
    said = SAID.replace('{"ifname":"eth0",', '{"ifname":"eth0","link":"tb0123456000",').replace(
        '{"ifname":"tun0"}',
        '{"ifname":"tb0123456000"},{"ifname":"br9","master":"eth0","addr_info":[{"local":"fe80::1",'
        '"prefixlen":64},{"local":"192.0.2.7","prefixlen":32}]}',
    )
    found = host_isolation.by(host_isolation.read(said), ["tb0123456000"])
    assert "address 10.1.0.9/16 of eth0" in found
    assert "address 192.0.2.7/32 of br9" in found
    assert not [line for line in found if "fe80" in line]


def test_a_device_that_leads_somewhere_is_overlooked_by_no_name() -> None:
    said = json.dumps(
        [
            {"ifname": "lo"},
            {"ifname": "intranet_a", "linkinfo": {"info_kind": "macvlan"}},
            {"ifname": "eth0", "linkinfo": {"info_kind": "veth"}},
            {"ifname": "ens3"},
            {"ifname": "ipsec0", "linkinfo": {"info_kind": "tun"}},
            {"ifname": "tunl0", "linkinfo": {"info_kind": "ipip"}},
            {"ifname": "br0", "linkinfo": {"info_kind": "bridge"}},
        ]
    )
    assert host_isolation.read(f"6f2c net:[1]\n{said}\n[]\n[]\n").leading_out == {"intranet_a", "eth0", "ens3"}
