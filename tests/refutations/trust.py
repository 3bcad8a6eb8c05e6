"""Refutations of the phrases of steps/trust.py."""

from __future__ import annotations

from tests.refutations import impossible, telling, untrue
from tests.refutations.breaks import dropped, overlaid

WEAK = "gateway A offers only IKE aes128-sha256-modp2048"
# Gateway S takes what gateway A offers.
LENIENT = overlaid("gateway-s", of_connection="proposals = aes128-sha256-modp2048")
NO_TUNNEL = ("client A1 asks the server once", "gateway A has no tunnel")
UP = {"expected": "gateway-a has no tunnel", "seen": "cloud is up"}
SELDOM = 'every gateway sets "dpd_delay = 600s" in every connection'
LATER = ("40 minutes pass", "every gateway ends its tunnels", *NO_TUNNEL)

REFUTATIONS = (
    telling("the certificate of gateway A is revoked", given="every gateway ends its tunnels", then=NO_TUNNEL, **UP),
    impossible(
        "the certificate of client A1 is revoked",
        possible="the certificate of gateway A is revoked",
        says="site-to-site: client-a1: found no certificate, expected one of: *gateway-a*",
    ),
    telling("gateway S has no CRL", given="every gateway ends its tunnels", then=NO_TUNNEL, **UP),
    impossible(
        "client A1 has no CRL",
        possible="gateway S has no CRL",
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    telling("gateway S has CRLs that expire after 30 minutes", given=SELDOM, then=LATER, **UP),
    impossible(
        "client A1 has CRLs that expire after 30 minutes",
        possible="gateway S has CRLs that expire after 30 minutes",
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    telling("gateway A presents a certificate that expires after 30 minutes", given=SELDOM, then=LATER, **UP),
    telling("gateway A presents an expired certificate", given="every gateway ends its tunnels", then=NO_TUNNEL, **UP),
    telling(
        "gateway A presents a certificate of another authority",
        given="every gateway ends its tunnels",
        then=NO_TUNNEL,
        **UP,
    ),
    telling(
        "gateway A presents a valid certificate of gateway B",
        given="every gateway ends its tunnels",
        then=NO_TUNNEL,
        **UP,
    ),
    telling(WEAK, given="every gateway ends its tunnels", then=NO_TUNNEL, **UP),
    impossible(
        "gateway A offers only IKE rot13-modp2048",
        possible=WEAK,
        says="*on gateway-a ended with status 22: *invalid value for: proposals*",
    ),
    impossible(
        "client A1 offers only IKE aes128-sha256-modp2048",
        possible=WEAK,
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    untrue(
        "gateway S refuses its peer: no common proposal",
        given="every gateway ends its tunnels",
        when=(WEAK, "client A1 asks the server once"),
        broken=LENIENT,
        expected="gateway-s refuses its peer: no common proposal",
        seen="* other lines",
    ),
    untrue(
        "gateway A receives the notify NO_PROPOSAL_CHOSEN",
        given="every gateway ends its tunnels",
        when=(WEAK, "client A1 asks the server once"),
        broken=LENIENT,
        expected="gateway-a receives the notify NO_PROPOSAL_CHOSEN",
        seen="* other lines",
    ),
    untrue(
        'the log of gateway A has "established with SPIs"',
        given=("client A1 can reach the server", "gateway A ends its tunnel with gateway S"),
        when="client A1 asks the server once",
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected='the log of gateway-a has "established with SPIs"',
        seen="* other lines",
    ),
    untrue(
        'the log of gateway A has "established with SPIs" within 3 s',
        given=("client A1 can reach the server", "gateway A ends its tunnel with gateway S"),
        when="client A1 asks the server once",
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected='the log of gateway-a has "established with SPIs" within 3 s',
        seen="* other lines",
    ),
    untrue(
        "gateway S refuses its peer: certificate not known to be good",
        given="every gateway ends its tunnels",
        when=("gateway S has no CRL", "client A1 asks the server once"),
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected="gateway-s refuses its peer: certificate not known to be good",
        seen="* other lines",
    ),
)
