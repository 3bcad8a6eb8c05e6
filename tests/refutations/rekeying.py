"""Refutations of the phrases of steps/rekeying.py."""

from __future__ import annotations

from tests.refutations import untrue
from tests.refutations.breaks import all_of, dropped, overlaid

TUNNEL = "client A1 can reach the server"
NEW_ESP = "gateway A changes its ESP keys while client A1 pings the server"
NEW_IKE = "gateway A changes its IKE keys while client A1 pings the server"
# The keys of ESP are derived from those of IKE alone.
NO_EXCHANGE = all_of(
    *(overlaid(node, of_child="esp_proposals = aes256gcm16") for node in ("gateway-a", "gateway-s")),
)
NO_IKE = all_of(*(dropped("gateway-a", chain, "udp dport { 500, 4500 }") for chain in ("input", "output")))

REFUTATIONS = (
    untrue(
        "gateway A and gateway S change their ESP keys at once while client A1 pings the server",
        given=("every gateway ends its tunnels", TUNNEL),
        broken=NO_IKE,
        expected="gateway-a has new ESP keys",
        seen="the old keys",
    ),
    untrue(
        "gateway A and gateway S change their IKE keys at once while client A1 asks the server",
        given=("every gateway ends its tunnels", TUNNEL),
        broken=NO_IKE,
        expected="gateway-a has new IKE keys",
        seen="the old keys",
    ),
    untrue(
        NEW_ESP,
        given=TUNNEL,
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected="gateway-a has new ESP keys",
        seen="the old keys",
    ),
    untrue(
        "gateway A changes its IKE keys while client A1 asks the server",
        given=TUNNEL,
        broken=dropped("gateway-a", "output", "udp dport { 500, 4500 }"),
        expected="gateway-a has new IKE keys",
        seen="the old keys",
    ),
    untrue(
        "no request is lost",
        given=TUNNEL,
        when="gateway A changes its ESP keys while client A1 asks the server",
        broken=dropped("gateway-s", "forward", "tcp flags syn numgen inc mod 20 0"),
        expected="all 100 requests are answered while keys change",
        seen="* of 100 lost",
    ),
    untrue(
        "no ping is lost",
        given=TUNNEL,
        when=NEW_ESP,
        broken=dropped("gateway-s", "forward", "icmp sequence 7"),
        expected="all 100 pings are answered while keys change",
        seen="1 of 100 lost",
    ),
    untrue(
        "at most 1 pings are lost",
        given=TUNNEL,
        when=NEW_ESP,
        broken=dropped("gateway-s", "forward", "icmp sequence { 7, 9 }"),
        expected="all 100 pings but 1 are answered while keys change",
        seen="2 of 100 lost",
    ),
    untrue(
        "ESP with new SPIs crosses the ISP link of site A",
        given=TUNNEL,
        when=NEW_ESP,
        otherwise=NEW_IKE,
        expected="ESP with new SPIs crosses isp_link_a",
        seen="the old SPIs are still in use: *, *",
    ),
    untrue(
        "ESP with new SPIs crosses the ISP link of site B",
        given=(TUNNEL, "client B1 can reach the server"),
        when="gateway B changes its ESP keys while client B1 pings the server",
        otherwise=NEW_ESP,
        expected="ESP with SPIs *, * crosses isp_link_b",
        seen="none",
    ),
    untrue(
        "the new ESP keys come from a key exchange of their own, ecp384",
        given=TUNNEL,
        when=(TUNNEL, NEW_ESP),
        broken=NO_EXCHANGE,
        expected="the new ESP keys come from ECP_384",
        seen="AES_GCM_16-256",
    ),
)
