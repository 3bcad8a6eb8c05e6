"""Refutations of the phrases of steps/ports.py."""

from __future__ import annotations

from tests.refutations import undecided, untrue
from tests.refutations.breaks import dropped, rules, told, unseen

NONE = "client A1 reaches the Internet on no TCP or UDP port"
ONE = "client A1 reaches the server on no TCP or UDP port but TCP port 8080"

REFUTATIONS = (
    untrue(
        NONE,
        broken=rules("gateway-a", "insert rule inet filter forward udp dport 31337 accept"),
        expected="client-a1 reaches internet at 203.0.113.10 on no TCP or UDP port",
        seen="reached: UDP port 31337",
    ),
    untrue(
        "the router reaches gateway A on no TCP or UDP port",
        # Nobody listens there: what counts is that the firewall lets the packet in.
        broken=rules("gateway-a", "insert rule inet filter input tcp dport { 1, 31337 } accept"),
        expected="router reaches gateway-a at 172.26.26.26 on no TCP or UDP port",
        seen="reached: TCP ports 1, 31337",
    ),
    untrue(
        ONE,
        broken=dropped("gateway-a", "forward", "tcp dport 8080"),
        expected="client-a1 reaches server-s1 at 10.3.0.3 on no TCP or UDP port but TCP port 8080",
        seen="not reached: TCP port 8080",
    ),
    untrue(
        ONE,
        broken=rules("gateway-a", "insert rule inet filter into_tunnel udp dport 65535 goto only_tunnel_out"),
        when="the firewall of gateway S accepts everything",
        expected="client-a1 reaches server-s1 at 10.3.0.3 on no TCP or UDP port but TCP port 8080",
        seen="reached: UDP port 65535",
    ),
    untrue(
        "the firewall of gateway S drops every TCP and UDP port from the server to client A1",
        # Gateway A's firewall drops them, too.
        broken=rules("gateway-s", "insert rule inet filter forward tcp dport 443 accept"),
        expected="the firewall of gateway-s drops every TCP and UDP port from server-s1 to client-a1 at 10.1.0.3",
        seen="let through: TCP port 443",
        given="client A1 can reach the server",
    ),
    untrue(
        "the firewall of gateway A drops every TCP and UDP port from gateway A to the Internet",
        broken=rules("gateway-a", "insert rule inet filter output udp dport 123 accept"),
        expected="the firewall of gateway-a drops every TCP and UDP port from gateway-a to internet at 203.0.113.10",
        seen="let through: UDP port 123",
    ),
    untrue(
        "the firewall of gateway A drops every TCP and UDP port but TCP port 8080 from client A1 to the server",
        given="client A1 can reach the server",
        broken=rules("gateway-a", "insert rule inet filter into_tunnel udp dport 53 goto only_tunnel_out"),
        expected="the firewall of gateway-a drops every TCP and UDP port but TCP port 8080 "
        "from client-a1 to server-s1 at 10.3.0.3",
        seen="let through: UDP port 53",
    ),
    undecided(
        "the firewall of gateway A drops every TCP and UDP port from client A1 to the Internet",
        # They go to its neighbour instead, which forwards nothing.
        broken=told("client-a1", "ip route replace default via 10.1.0.4", undo="ip route replace default via 10.1.0.2"),
        says="the firewall of gateway-a drops every TCP and UDP port from client-a1 to internet at 203.0.113.10: "
        "cannot be judged, since of TCP packets, 65535 did not come to gateway-a; *",
    ),
    undecided(
        NONE,
        broken=unseen("client-a1", "intranet_a"),
        says="client-a1 reaches internet at 203.0.113.10 on no TCP or UDP port: cannot be judged, since "
        "of TCP packets, 65535 left a node and were not seen to come to another; *",
    ),
)
