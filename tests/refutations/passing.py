"""Refutations of the phrases of steps/passing.py."""

from __future__ import annotations

from tests.refutations import telling, untrue

SELDOM = 'every gateway sets "dpd_delay = 600s" in every connection'
TUNNEL = "client A1 can reach the server"
CHANGED = "gateway A has changed its ESP keys at least 1 times"

REFUTATIONS = (
    *(
        telling(
            passing,
            given=(SELDOM, TUNNEL),
            then=CHANGED,
            expected="gateway-a has changed its ESP keys at least 1 times",
            seen="0 times",
        )
        for passing in (
            "70 minutes pass",
            "70 minutes pass while client A1 pings the server",
            "70 minutes pass while client A1 asks the server",
        )
    ),
    untrue(
        CHANGED,
        given=(SELDOM, TUNNEL),
        when="70 minutes pass",
        otherwise="30 minutes pass",
        expected="gateway-a has changed its ESP keys at least 1 times",
        seen="0 times",
    ),
    untrue(
        "gateway A has authenticated its peers at least 1 times",
        given=(TUNNEL, "client B1 can reach the server"),
        when=("gateway A ends its tunnel with gateway S", TUNNEL),
        otherwise=("gateway B ends its tunnel with gateway S", TUNNEL),
        expected="gateway-a has authenticated its peers at least 1 times",
        seen="0 times",
    ),
    telling(
        'gateway A sets "dpd_delay = 7s" in every connection',
        then="gateway A asks a silent peer for a sign of life after 7 s",
        expected="gateway-a asks a peer that is silent for a sign of life after 7 s",
        seen="cloud: after 2 s",
    ),
    telling(
        'gateway A sets "rekey_time = 20m" in every child',
        then="gateway A changes its ESP keys after 1200 s",
        expected="gateway-a changes its ESP keys after 1200 s",
        seen="cloud: after 3600 s",
    ),
)
