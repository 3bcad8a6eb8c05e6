"""Refutations of the phrases of steps/faults.py."""

from __future__ import annotations

from tests.refutations import impossible, telling, untrue
from tests.refutations.breaks import PLAIN_ROUTING, dropped

TUNNEL = "client A1 can reach the server"

REFUTATIONS = (
    telling(
        "gateway A restarts",
        given=TUNNEL,
        then="gateway A has no tunnel",
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
    impossible(
        "gateway Z restarts",
        possible="gateway A restarts",
        says="site-to-site: found 'gateway Z', expected a node: *",
    ),
    telling(
        "charon is killed on gateway A",
        given="the ISP link of site A comes back at gateway A",
        then='the log of gateway A has "starting it again"',
        expected='the log of gateway-a has "starting it again"',
        seen="*",
    ),
    impossible(
        "pluto is killed on gateway A",
        possible="charon is killed on gateway A",
        says="gateway-a: pluto: found no such process, expected one that runs there; *",
    ),
    telling(
        "the ISP link of site A goes down at gateway A",
        given=TUNNEL,
        then=("client A1 asks the server once", "no ESP crosses the ISP link of site A"),
        expected="no ESP crosses isp_link_a",
        seen="*gateway-a*out*isp_link_a*",
    ),
    impossible(
        "internet_link goes down at gateway A",
        possible="the ISP link of site A goes down at gateway A",
        says="gateway-a: internet_link: found no interface on it, expected one of: *",
    ),
    telling(
        "the ISP link of site A comes back at gateway A",
        given="the ISP link of site A goes down at gateway A",
        then="client A1 gets a pong from the server within 3 s",
        expected="client-a1 gets a pong from server-s1 within 3 s",
        seen="after *: pingpong: 10.1.0.99 port 8080: timed out (answered: no node before it)",
    ),
    impossible(
        "internet_link comes back at gateway A",
        possible="the ISP link of site A comes back at gateway A",
        says="gateway-a: internet_link: found no interface on it, expected one of: *",
    ),
    telling(
        "the ISP link of site A loses one packet in 1",
        given=TUNNEL,
        then=("client A1 asks the server once", "no ESP crosses the ISP link of site A"),
        expected="no ESP crosses isp_link_a",
        seen="*gateway-a*out*isp_link_a*",
    ),
    impossible(
        "the ISP link of site A loses one packet in 0",
        possible="the ISP link of site A loses one packet in 1",
        says="isp_link_a: found one packet in 0, expected one in 1 or more; *",
    ),
    telling(
        "the ISP link of site A silently drops packets larger than 100 bytes",
        given=TUNNEL,
        then=("client A1 asks the server once", "no ESP crosses the ISP link of site A"),
        expected="no ESP crosses isp_link_a",
        seen="*gateway-a*out*isp_link_a*",
    ),
    impossible(
        "the ISP link of site X silently drops packets larger than 100 bytes",
        possible="the ISP link of site A silently drops packets larger than 100 bytes",
        says="site-to-site: found 'the ISP link of site X', expected one of: isp_link_a (isp_link), *",
    ),
    telling(
        "gateway A ends its tunnel with gateway S",
        given=TUNNEL,
        then="gateway A has no tunnel",
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
    impossible(
        "gateway A ends its tunnel with gateway S",
        given="every gateway ends its tunnels",
        possible=(TUNNEL, "gateway A ends its tunnel with gateway S"),
        says="site-to-site: gateway-a: found none, expected a tunnel with gateway-s; *",
    ),
    impossible(
        "client A1 ends its tunnel with gateway S",
        possible=(TUNNEL, "gateway A ends its tunnel with gateway S"),
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    untrue(
        "every client of site A gets a pong from the server within 1 s",
        broken=dropped("gateway-a", "forward", "ip saddr 10.1.0.4"),
        expected="client-a2 gets a pong from server-s1 within 1 s",
        seen="after *: pingpong: 10.1.0.99 port 8080: timed out (answered: client-a1 after * s)",
    ),
    untrue(
        "client A1 gets a pong from the server through the tunnel within 5 s",
        broken=PLAIN_ROUTING,
        expected="client-a1 gets a pong from server-s1 through the tunnel within 5 s",
        seen="after *: readable on isp_link_a: *",
    ),
)
