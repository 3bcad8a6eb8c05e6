"""A network with IPv4 and IPv6: whoever is not to be reached is not to be reached by either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.live.conftest import Person
from tunnelbed.checks.reachability import cannot_reach, reaches
from tunnelbed.checks.unmet import Unmet
from tunnelbed.observe.probes import Ping
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Node

STACK = """
x-node: &node
  image: tunnelbed/node
  cap_drop: [ALL]
  cap_add: [NET_ADMIN, NET_RAW]
  command: [rest]
  sysctls: &six
    net.ipv6.conf.all.disable_ipv6: 0
    net.ipv6.conf.default.disable_ipv6: 0
    net.ipv6.conf.default.accept_dad: 0
services:
  client:
    <<: *node
    networks:
      inside: {ipv4_address: 10.1.0.3, ipv6_address: "fc00:1::3"}
  gateway:
    <<: *node
    sysctls: {<<: *six, net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}
    networks:
      inside: {ipv4_address: 10.1.0.2, ipv6_address: "fc00:1::2"}
      outside: {ipv4_address: 192.0.2.1, ipv6_address: "2001:db8::1"}
  server:
    <<: *node
    networks:
      outside: {ipv4_address: 192.0.2.2, ipv6_address: "2001:db8::2"}
networks:
  inside:
    driver: macvlan
    internal: true
    enable_ipv6: true
    ipam: {config: [{subnet: 10.1.0.0/16}, {subnet: "fc00:1::/64"}]}
  outside:
    driver: macvlan
    internal: true
    enable_ipv6: true
    ipam: {config: [{subnet: 192.0.2.0/24}, {subnet: "2001:db8::/64"}]}
"""
ROUTES = {
    "client": "route replace default via 10.1.0.2\nroute replace default via fc00:1::2\n",
    "server": "route replace default via 192.0.2.1\nroute replace default via 2001:db8::1\n",
}
FIREWALL = """flush ruleset
table inet filter {{
    chain forward {{
        type filter hook forward priority filter;
        {rule}
    }}
}}
"""


@pytest.fixture
def dual(person: Person) -> Iterator[tuple[Bed, Node, Node]]:
    """The testbed, up, whose client reaches its server by both."""
    person.checkout.stack = yaml.safe_load(STACK)
    person.checkout.write()
    for node, lines in ROUTES.items():
        person.checkout.configure(f"{node}/ip.batch", lines)
    answer = person.up()
    assert answer.code == 0, answer
    bed = person.bed()
    bed.scenario = compose_file.load("tiny", person.checkout.root)
    yield bed, bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    bed.close()


def drop(bed: Bed, rule: str) -> None:
    """Let the gateway forward by this rule alone."""
    bed.node("gateway").write("/run/rules", FIREWALL.format(rule=rule))
    bed.node("gateway").run(["nft", "-f", "/run/rules"], check=True)


def test_a_node_that_is_reached_by_ipv6_alone_is_reached(dual: tuple[Bed, Node, Node]) -> None:
    bed, client, server = dual
    reaches(bed, client, server, Ping())
    drop(bed, "meta nfproto ipv4 drop")
    with pytest.raises(Unmet, match=r"(?s)client cannot reach server by ping.*it arrived"):
        cannot_reach(bed, client, server, Ping())
    drop(bed, "meta nfproto ipv6 drop")
    with pytest.raises(Unmet, match=r"(?s)client cannot reach server by ping.*it arrived"):
        cannot_reach(bed, client, server, Ping())
    drop(bed, "drop")
    cannot_reach(bed, client, server, Ping())
