"""Refutations of the phrases of steps/tunnels.py."""

from __future__ import annotations

from tests.refutations import impossible, telling, undecided, untrue
from tests.refutations.breaks import ANY_PEER, all_of, dropped, initiated, no_tunnel, overlaid, told

TUNNEL = "client A1 can reach the server"
# What both gateways of a tunnel now agree on.
WEAK_IKE, WEAK_ESP = (
    all_of(*(overlaid(node, of_connection, of_child) for node in ("gateway-a", "gateway-s")))
    for of_connection, of_child in (
        ("proposals = aes128-sha256-modp2048", ""),
        ("", "esp_proposals = aes128-sha256"),
    )
)
SUITES = "IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384"

REFUTATIONS = (
    untrue(
        "gateway A has a tunnel",
        given=TUNNEL,
        broken=no_tunnel("gateway-a"),
        expected="gateway-a has a tunnel",
        seen="none",
    ),
    untrue(
        "gateway S has a tunnel with gateway A",
        given="every client can reach the server",
        broken=no_tunnel("gateway-a"),
        expected="gateway-s has a tunnel with gateway-a",
        seen="none",
    ),
    untrue(
        "gateway A has a tunnel with gateway S within 1 s",
        given="every gateway ends its tunnels",
        when="client A1 asks the server once",
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected="gateway-a has a tunnel with gateway-s within 1 s",
        seen="cloud CONNECTING",
    ),
    untrue(
        "gateway S has exactly one tunnel with gateway A",
        # A gateway that starts anew asks its peer to forget its tunnels (INITIAL_CONTACT: RFC 7296, 2.4).
        given=(
            *(f'gateway S sets "{said}" in every connection' for said in ("dpd_delay = 600s", "unique = never")),
            TUNNEL,
        ),
        otherwise=("charon is killed on gateway A", TUNNEL),
        expected="gateway-s has exactly one tunnel with gateway-a",
        seen="site-a ESTABLISHED: site-a INSTALLED; site-a ESTABLISHED: site-a INSTALLED",
    ),
    untrue(
        "gateway A has no tunnel",
        given="every gateway ends its tunnels",
        broken=initiated("gateway-a", "cloud"),
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
    undecided(
        "gateway A has no tunnel",
        given="every gateway ends its tunnels",
        broken=told(
            "gateway-a", "mv /run/charon.vici /run/charon.silent", undo="mv /run/charon.silent /run/charon.vici"
        ),
        says="gateway-a: charon does not answer; see `invoke logs`",
    ),
    untrue(
        "gateway S has no tunnel with gateway A",
        given="every gateway ends its tunnels",
        broken=initiated("gateway-a", "cloud"),
        expected="gateway-s has no tunnel with gateway-a",
        seen="site-a is up",
    ),
    untrue(
        "gateway S has no tunnel with gateway A within 2 s",
        given="every gateway ends its tunnels",
        broken=initiated("gateway-a", "cloud"),
        expected="gateway-s has no tunnel with gateway-a within 2 s",
        seen="site-a is up",
    ),
    untrue(
        f"the tunnels of gateway A use exactly {SUITES}",
        when=TUNNEL,
        broken=WEAK_IKE,
        expected="gateway-a agrees on IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384",
        seen="IKEv2 AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
    ),
    untrue(
        f"the tunnels of gateway A use exactly {SUITES}",
        when=TUNNEL,
        broken=WEAK_ESP,
        expected="gateway-a agrees on ESP AES_GCM_16-256/ECP_384",
        seen="AES_CBC-128/HMAC_SHA2_256_128",
    ),
    untrue(
        "gateway A protects exactly 10.1.0.0/16 towards 10.3.0.0/16",
        when=TUNNEL,
        broken=overlaid("gateway-a", of_child="local_ts = 10.1.0.0/24"),
        expected="gateway-a protects 10.1.0.0/16 === 10.3.0.0/16",
        seen="10.1.0.0/24 === 10.3.0.0/16",
    ),
    untrue(
        'gateway A has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Cloud 172.28.28.28"',
        when=TUNNEL,
        broken=ANY_PEER,
        expected="gateway-a has a peer authenticated as C=FI, O=CSE4300, CN=CSE4300 Cloud 172.28.28.28",
        seen="C=FI, O=CSE4300, CN=CSE4300 Site B 172.27.27.27",
    ),
    telling(
        "every gateway ends its tunnels",
        given=TUNNEL,
        then="gateway A has no tunnel",
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
    impossible(
        "client A1 unloads its connections",
        possible="gateway A unloads its connections",
        says="site-to-site: client-a1: found no swanctl.conf, expected one of: gateway-a, gateway-b, gateway-s; *",
    ),
    telling(
        "gateway A unloads its connections",
        given=TUNNEL,
        then=("client A1 asks the server once", "gateway A has no tunnel"),
        expected="gateway-a has no tunnel",
        seen="cloud is up",
    ),
)
