"""steps/ports.py refuted: a port that nobody thought of lets packets through, or one that is named does not."""

from __future__ import annotations

from tests.refutations import undecided, untrue
from tests.refutations.breaks import dropped, rules, unseen

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
    undecided(
        NONE,
        broken=unseen("client-a1", "intranet_a"),
        says="client-a1 reaches internet at 203.0.113.10 on no TCP or UDP port: cannot be judged, since "
        "of TCP packets, 65535 left a node and were not seen to come to another; *",
    ),
)
