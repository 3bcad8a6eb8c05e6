"""Refutations of the phrases of steps/walls.py."""

from __future__ import annotations

from tests.refutations import telling, undecided, untrue
from tests.refutations.breaks import all_of, dropped, firewall_open, rules, told, unseen

REFUTATIONS = (
    untrue(
        "the firewall of gateway A drops ICMP from client A1 to the Internet",
        broken=firewall_open("gateway-a"),
        expected="the firewall of gateway-a drops ICMP from client-a1 to internet",
        seen="accept",
    ),
    undecided(
        "the firewall of gateway A drops ICMP from client A1 to the Internet",
        broken=unseen("client-a1", "intranet_a"),
        says="ping from client-a1 to internet is not seen by the firewall of gateway-a: see the sender's routes",
    ),
    untrue(
        "the firewall of gateway S drops ICMP from a neighbour of the server to the Internet",
        broken=firewall_open("gateway-s"),
        expected="the firewall of gateway-s drops ICMP from a neighbour of server-s1 to internet",
        seen="accept",
    ),
    untrue(
        "the firewall of gateway A drops ICMP from client A1 to a neighbour of the server",
        given="client A1 can reach the server",
        broken=firewall_open("gateway-a"),
        expected="the firewall of gateway-a drops ICMP from client-a1 to a neighbour of server-s1",
        seen="accept",
    ),
    untrue(
        "the firewall of gateway A accepts TCP port 8080 from client A1 to the server",
        broken=dropped("gateway-a", "forward", "tcp dport 8080"),
        expected="the firewall of gateway-a accepts TCP port 8080 from client-a1 to server-s1",
        seen="drop",
    ),
    untrue(
        "client A1 is isolated from client B1",
        broken=all_of(
            firewall_open("gateway-a", "gateway-b"),
            told("router", "ip route add 10.2.0.0/16 via 172.27.27.27", undo="ip route delete 10.2.0.0/16"),
        ),
        expected="client-a1 cannot reach client-b1 by ping",
        seen="it arrived: *client-b1*in*intranet_b*ICMP*",
    ),
    telling(
        "the firewall of gateway A accepts everything",
        then="client A1 can reach the Internet",
        expected="client-a1 reaches internet by ping",
        seen="no answer; the probe was last seen entering gateway-a by intranet_a",
    ),
    untrue(
        "the firewall of gateway A accepts an error from the router about its IKE with gateway S",
        given="client A1 can reach the server",
        broken=dropped("gateway-a", "input", "icmpv6 type packet-too-big"),
        expected="the firewall of gateway-a accepts an error from router about IKE with gateway-s",
        seen="drop",
        scenario="ipv6",
    ),
    untrue(
        "the firewall of gateway A drops an error from the router about nothing that was sent",
        broken=firewall_open("gateway-a"),
        expected="the firewall of gateway-a drops an error from router about nothing that was sent",
        seen="accept",
        scenario="ipv6",
    ),
    untrue(
        "gateway A does not redirect TCP port 8080 from client A1 to 10.1.0.99",
        unbroken=rules("gateway-a", "flush chain ip nat prerouting"),
        expected="gateway-a does not redirect TCP port 8080 from client-a1 to 10.1.0.99",
        seen="*dnat to*",
    ),
)
