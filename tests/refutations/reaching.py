"""Refutations of the phrases of steps/reaching.py."""

from __future__ import annotations

from tests.refutations import impossible, undecided, untrue
from tests.refutations.breaks import PLAIN_ROUTING, dropped, firewall_open, rules, told, unseen

# What the server is asked comes to it as if gateway S had asked.
MASKED = rules("gateway-s", "add rule ip nat postrouting oifname cloud_network_s masquerade")

REFUTATIONS = (
    untrue(
        "client A1 can reach the server",
        broken=dropped("gateway-a", "forward"),
        expected="client-a1 reaches server-s1 by ping",
        seen="no answer; the probe was last seen entering gateway-a by intranet_a",
    ),
    untrue(
        "client A1 can reach the server",
        # Gateway A answers in the server's place.
        broken=rules(
            "gateway-a",
            "add chain ip nat instead { type nat hook prerouting priority dstnat; }",
            "add rule ip nat instead iifname intranet_a ip daddr 10.3.0.3 redirect",
            "insert rule inet filter input iifname intranet_a icmp type echo-request accept",
            "insert rule inet filter output oifname intranet_a icmp type echo-reply accept",
        ),
        expected="client-a1 reaches server-s1 by ping",
        seen="10.3.0.3 answered, and server-s1 did not receive the probe; *",
    ),
    impossible(
        "client A1 can reach client A1",
        possible="client A1 can reach client A2",
        says="Then: client A1: found only client A1, expected another node, too; *",
    ),
    untrue(
        "client A1 can reach the server through the tunnel",
        broken=PLAIN_ROUTING,
        expected="client-a1 reaches server-s1 by ping through the tunnel",
        seen="readable on isp_link_a: *ICMP*",
    ),
    untrue(
        "client A1 can reach the server outside the tunnel",
        unbroken=PLAIN_ROUTING,
        expected="client-a1 reaches server-s1 by ping outside the tunnel",
        seen="the probe went in ESP from gateway-a to gateway-s",
    ),
    untrue(
        "client A1 can reach the server on TCP port 8080",
        broken=dropped("gateway-s", "forward", "tcp dport 8080"),
        expected="client-a1 reaches server-s1 by TCP port 8080",
        seen="no answer; the probe was last seen entering gateway-s by *",
    ),
    untrue(
        "client A1 can reach the server on TCP port 8080 through the tunnel",
        broken=PLAIN_ROUTING,
        expected="client-a1 reaches server-s1 by TCP port 8080 through the tunnel",
        seen="readable on isp_link_a: *TCP*",
    ),
    untrue(
        "client A1 cannot reach the Internet",
        broken=firewall_open("gateway-a"),
        expected="client-a1 cannot reach internet by ping",
        seen="it arrived: *internet*in*internet_link*ICMP*",
    ),
    untrue(
        "client A1 cannot reach the Internet on TCP port 80",
        broken=firewall_open("gateway-a"),
        expected="client-a1 cannot reach internet by TCP port 80",
        seen="it arrived: *internet*in*internet_link*TCP*",
    ),
    untrue(
        "client A1 cannot reach the Internet on UDP port 53",
        broken=firewall_open("gateway-a"),
        expected="client-a1 cannot reach internet by UDP port 53",
        seen="it arrived: *internet*in*internet_link*UDP*",
    ),
    untrue(
        "client A1 gets a pong from the server",
        broken=dropped("gateway-a", "forward"),
        expected="client-a1 gets a pong from server-s1",
        seen="pingpong: 10.1.0.99 port 8080: timed out",
    ),
    untrue(
        "client A1 gets a pong from the server through the tunnel",
        broken=PLAIN_ROUTING,
        expected="client-a1 gets a pong from server-s1 through the tunnel",
        seen="readable on isp_link_a: *TCP*",
    ),
    untrue(
        "client A1 gets no pong from the server",
        given="gateway A unloads its connections",
        broken=PLAIN_ROUTING,
        expected="client-a1 gets no pong from server-s1",
        seen="the answer *'servername': 'server-s1'*",
    ),
    undecided(
        "client A1 gets no pong from the server",
        given="gateway A unloads its connections",
        broken=unseen("client-a1", "intranet_a"),
        says="client-a1 gets no pong from server-s1: cannot be judged, since no request leaves client-a1",
    ),
    untrue(
        "client A1 reaches the server and is seen there as client A1",
        broken=MASKED,
        expected="client-a1 reaches server-s1 by ping and is seen there as client-a1",
        seen="it came from 10.3.0.2 (gateway-s)",
    ),
    untrue(
        "client A1 gets a pong from the server and is seen there as client A1",
        broken=MASKED,
        expected="client-a1 gets a pong from server-s1 and is seen there as client-a1",
        seen="seen as 10.3.0.2 (gateway-s)",
    ),
    untrue(
        "no node has an IPv4 address on any network",
        broken=told(
            "client-a1",
            "ip address add 10.1.0.3/16 dev intranet_a",
            undo="ip address delete 10.1.0.3/16 dev intranet_a",
        ),
        expected="every node has addresses of IPv6 only",
        seen="inet and inet6 on intranet_a of client-a1",
        scenario="ipv6",
    ),
    untrue(
        "the server receives an ICMP error that 198.51.100.1 is unreachable",
        broken=dropped("router", "output", "icmp type destination-unreachable", family="ip"),
        expected="server-s1 receives an ICMP error that 198.51.100.1 is unreachable",
        seen="no ICMP error; the probe was last seen entering router by isp_link_s",
    ),
    untrue(
        "client A1 receives the MTU for packets to the server",
        given="client A1 can reach the server",
        broken=dropped("gateway-a", "output", "icmp type destination-unreachable"),
        expected="client-a1 receives the MTU for packets to server-s1",
        seen="no ICMP error; the probe was last seen entering gateway-a by intranet_a",
    ),
    untrue(
        "the server receives the MTU for answers to client A1",
        given="client A1 can reach the server",
        when="client A1 pings the server",
        broken=dropped("gateway-s", "output", "icmp type destination-unreachable"),
        expected="server-s1 receives the MTU for answers to client-a1",
        seen="no ICMP error; the probe was last seen entering gateway-s by cloud_network_s",
    ),
    untrue(
        "client A1 receives no ICMP error about unsolicited answers to the server",
        given="client A1 can reach the server",
        broken=rules("gateway-a", "insert rule inet filter output icmp type destination-unreachable accept"),
        expected="client-a1 receives no ICMP error about unsolicited answers to server-s1",
        seen="*client-a1*in*intranet_a*dest-unreach*",
    ),
    untrue(
        "client A1 gets a pong from the server to a question longer than a packet",
        broken=dropped("gateway-a", "forward", "meta length > 600"),
        expected="client-a1 gets a pong from server-s1 to a long question through the tunnel",
        seen="*timed out*",
    ),
    untrue(
        "client A1 sees gateway A on its path to the server",
        broken=dropped("gateway-a", "output", "icmpv6 type time-exceeded"),
        expected="client-a1 receives a time exceeded error from gateway-a about packets to server-s1",
        seen="no ICMP error",
        scenario="ipv6",
    ),
    untrue(
        "the server sees gateway A on the path of its answer to client A1",
        given=("client A1 can reach the server", "the firewall of gateway S accepts everything"),
        when="client A1 pings the server",
        broken=dropped("gateway-a", "output", "icmpv6 type time-exceeded"),
        expected="server-s1 receives a time exceeded error from gateway-a about packets to client-a1",
        seen="no ICMP error",
        scenario="ipv6",
    ),
    untrue(
        "client A1 does not see gateway S on the path of unsolicited answers to the server",
        given=("client A1 can reach the server", "the firewall of gateway A accepts everything"),
        broken=rules("gateway-s", "insert rule inet filter output icmpv6 type time-exceeded accept"),
        expected="client-a1 receives no time exceeded error from gateway-s about unsolicited answers to server-s1",
        seen="*client-a1*in*intranet_a*ICMP*",
        scenario="ipv6",
    ),
)
