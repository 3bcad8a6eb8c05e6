"""The machine and its testbed: what counts as a route into it."""

from __future__ import annotations

from ipaddress import ip_network

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


def test_an_address_or_a_route_in_a_subnet_leads_into_it(stack: host_isolation.Stack) -> None:
    found = host_isolation.into(stack, [ip_network("10.1.0.0/16")])
    assert found == ["address 10.1.0.9/16 of eth0", "route to 10.1.0.9/32 by eth0"]
    assert host_isolation.into(stack, [ip_network("fc00::/16")]) == ["route to fc00:1::/64 by eth0"]


def test_a_route_to_more_than_the_subnet_does_not(stack: host_isolation.Stack) -> None:
    assert host_isolation.into(stack, [ip_network("10.2.0.0/16"), ip_network("fc00:2::/64")]) == []
