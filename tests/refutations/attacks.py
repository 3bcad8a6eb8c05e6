"""Refutations of the phrases of steps/attacks.py."""

from __future__ import annotations

from tests.refutations import impossible, telling, untrue
from tests.refutations.breaks import dropped, forgotten

NO_ESP = "no ESP from gateway-a was seen on isp_link_s: there is no packet to send again"

REFUTATIONS = (
    impossible(
        "ESP from gateway A to gateway S is recorded and sent again",
        broken=forgotten("gateway-a"),
        says=NO_ESP,
    ),
    impossible(
        "ESP from gateway A to gateway S is forged for their tunnel",
        broken=forgotten("gateway-a"),
        says=NO_ESP,
    ),
    impossible(
        "ESP from gateway A to gateway S is forged for no tunnel",
        broken=forgotten("gateway-a"),
        says=NO_ESP,
    ),
    untrue(
        "gateway S drops it as a replay",
        given="client A1 can reach the server",
        when="ESP from gateway A to gateway S is recorded and sent again",
        broken=dropped("gateway-s", "input", "meta l4proto esp"),
        expected="gateway-s drops * packets as a replay",
        seen="0 packets",
    ),
    untrue(
        "gateway S drops it as a forgery",
        when="ESP from gateway A to gateway S is forged for their tunnel",
        otherwise="ESP from gateway A to gateway S is forged for no tunnel",
        expected="gateway-s drops * packets as a forgery",
        seen="0 packets",
    ),
    telling(
        "the router poses as gateway S",
        given="every gateway ends its tunnels",
        then=("client A1 asks the server once", "gateway A has no tunnel"),
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
    impossible(
        "gateway B poses as gateway S",
        possible="the router poses as gateway S",
        says="site-to-site: gateway-b: found a gateway, expected a node that runs no VPN of its own; *",
    ),
    impossible(
        "the router poses as client A1",
        possible="the router poses as gateway S",
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    telling(
        "the router initiates a tunnel with gateway A",
        given="the router poses as gateway S",
        then="gateway A refuses its peer: certificate of an unknown authority",
        expected="gateway-a refuses its peer: certificate of an unknown authority",
        seen="* other lines",
    ),
    impossible(
        "the router initiates a tunnel with gateway A",
        possible=("the router poses as gateway S", "the router initiates a tunnel with gateway A"),
        says="site-to-site: router: found no rogue gateway there, expected one that poses as a gateway; *",
    ),
)
