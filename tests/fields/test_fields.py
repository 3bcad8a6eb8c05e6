"""Networks that others write: for each, which sentences hold, which fail, and in which words.

Each folder here is a checkout of its own: compose/, configs/ and features/ of small scenarios after public bug reports
and Compose files. A test copies one, so that what is kept of it goes with the test, and proves it by `invoke verify`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fields.field import HOLDS, Field, copied, does, fit, fits, kernel_does, kernel_does_esp, verified

IN_NULL = "readable on uplink, inside a packet that claims to be encrypted: *"

FIELDS = (
    Field(
        "dual_stack",
        "branch",
        {
            "desk A can reach desk B through the tunnel by IPv4": HOLDS,
            "desk A can reach desk B outside the tunnel by IPv6": HOLDS,
            "desk A can reach desk B through the tunnel": "readable on uplink by IPv6: *ICMPv6*",
            "desk A can reach desk B through the tunnel by IPv6": "readable on uplink by IPv6: *ICMPv6*",
        },
    ),
    Field(
        "leased_line",
        "depots",
        {
            # The leased line and the second uplink are idle meanwhile.
            "meter A can reach till B through the tunnel": HOLDS,
            "till A can reach till B outside the tunnel": HOLDS,
            "till A can reach till B through the tunnel": "readable on leased: *172.22.1.5 > 172.22.2.5*",
            "till A pings till B": HOLDS,
            "no private address is seen beyond a gateway": "*west*out leased*172.22.1.5 > 172.22.2.5*",
            "meter A pings till B": HOLDS,
            "only IKE and ESP cross uplink": HOLDS,
            "nothing crosses backup": HOLDS,
        },
    ),
    Field(
        "null_cipher",
        "plainly",
        {
            "bench A can reach bench B": HOLDS,
            "west has a tunnel with east": HOLDS,
            "bench A can reach bench B through the tunnel": IN_NULL,
            "bench A can reach bench B on TCP port 8080 through the tunnel": IN_NULL,
            "bench A pings bench B": HOLDS,
            "no private address is seen beyond a gateway": "*west*out uplink*198.51.100.1 > 198.51.100.2*",
        },
    ),
    Field(
        "no_vpn",
        "office",
        {
            "the desk can reach the web on TCP port 80": HOLDS,
            "the desk cannot reach the web on TCP port 22": HOLDS,
            "the desk cannot reach the web": HOLDS,
            "the web cannot reach the desk": HOLDS,
            "the firewall of the wall drops TCP port 22 from the web to the desk": HOLDS,
            "the desk can reach the web on TCP port 22": "no answer; the probe was last seen entering wall by lan",
            "the desk can reach the web on TCP port 80 through the tunnel": "readable on lan: *10.9.1.10*10.9.2.80*",
        },
        {
            "the desk can reach the web on TCP port 22": (
                "dropped by the firewall of wall: inet filter forward: policy drop"
            )
        },
    ),
    Field(
        "no_labels",
        "bare",
        {
            "ann can reach bob through the tunnel": HOLDS,
            "west can reach bob through the tunnel": HOLDS,
            "bob can reach 172.24.1.1 through the tunnel": HOLDS,
            "west cannot reach bob": "it arrived: *bob*in*right*172.24.1.1 > 172.24.2.5*",
            "ann can reach amy outside the tunnel": HOLDS,
            "ann can reach amy through the tunnel": "readable on left: *",
            "west can reach 198.51.100.2 through the tunnel": "readable on wan: *",
        },
    ),
    Field(
        "two_interfaces",
        "desk",
        {
            "box can reach screen": HOLDS,
            "box reaches screen and is seen there as 172.25.6.13": HOLDS,
            "box can reach printer": HOLDS,
            "box cannot reach screen": "it arrived: *172.25.6.13 > 172.25.7.2*",
            "box cannot reach 172.25.7.99": HOLDS,
            "box can reach 172.25.7.99": "no answer; the probe was last seen entering core by floor",
        },
    ),
    Field(
        "roaming",
        "tour",
        {
            "every tablet can reach the store through the tunnel": HOLDS,
            "the store can reach tablet 2 through the tunnel": HOLDS,
            "tablet 1 can reach tablet 2 through the tunnel": HOLDS,
            "tablet 2 reaches tablet 1 and is seen there as tablet 2": HOLDS,
            "tablet 1 cannot reach tablet 2": "it arrived: *tablet-2*ICMP*",
            "every tablet has addresses only of the IP versions its stack gives": "IPv6, too",
            "tablet 1 pings the store": HOLDS,
            "only IKE and ESP cross uplink": HOLDS,
        },
    ),
    Field(
        "same_addresses",
        "twins",
        {
            "desk A can reach 172.31.2.2 through the tunnel": HOLDS,
            "desk B can reach 172.31.1.2 through the tunnel": HOLDS,
            "desk A reaches 172.31.2.2 and is seen there as 172.31.1.2": HOLDS,
            "desk A reaches 172.31.2.2 and is seen there as 172.26.0.2": "it came from 172.31.1.2",
            "desk A cannot reach 172.31.2.2": "it arrived: *desk-b*in*lan_b*172.31.1.2 > 172.26.0.2*",
        },
    ),
    Field(
        "any_compose",
        "bench",
        {
            "the PLC_7 can reach Core.Router": HOLDS,
            "every dns can reach PLC 7": HOLDS,
            "Core.Router has interfaces only in production_floor_south and default": HOLDS,
            "PLC_7 has interfaces only in production_floor_south and dev": HOLDS,
            "no two nodes have the same address": HOLDS,
        },
    ),
    Field(
        "three_children",
        "mill",
        {
            "desk can reach loom through the tunnel": HOLDS,
            "desk can reach scale through the tunnel": HOLDS,
            "west protects exactly 172.20.1.0/24 towards 172.20.2.0/24": HOLDS,
            "west protects exactly 172.20.1.0/24 towards 172.20.3.0/24": HOLDS,
            "desk pings 172.20.4.5": HOLDS,
            "west receives the notify NO_PROPOSAL_CHOSEN": HOLDS,
            "west initiates a tunnel with east": HOLDS,
            'the log of west has "received NO_PROPOSAL_CHOSEN notify"': HOLDS,
            "desk can reach 172.20.4.5 through the tunnel": "no answer; the probe was last seen * west by *",
            "desk cannot reach safe": "it arrived: *safe*in*works*172.20.1.5 > 172.20.2.6*",
            "desk can reach safe through the tunnel": "no answer; the probe was last seen entering safe by works",
            "desk receives the MTU for packets to loom": "no ICMP error; *",
            "desk gets a pong from loom to a question longer than a packet": "*timed out*",
            "uplink silently drops packets larger than 1200 bytes": HOLDS,
            "desk can reach loom": HOLDS,
            "desk gets a pong from loom": HOLDS,
            "desk gets a pong from loom to a question longer than a packet (again)": "*timed out*",
            "uplink goes down at east": HOLDS,
            "west has no tunnel with east within 30 s": HOLDS,
            "uplink comes back at east": HOLDS,
            "west has a tunnel with east within 30 s": HOLDS,
            "loom can reach desk through the tunnel": HOLDS,
            "scale can reach desk through the tunnel": HOLDS,
        },
        causes={
            "desk can reach 172.20.4.5 through the tunnel": (
                "west has no tunnel for 172.20.1.5 > 172.20.4.5, its VPN logged: *NO_PROPOSAL_CHOSEN*"
            ),
            "desk can reach safe through the tunnel": "it arrived, and safe does not answer; *",
        },
    ),
    Field(
        "identities",
        "bank",
        {
            "west can reach the depot through the tunnel": HOLDS,
            'west has a peer authenticated as "hub.bank.example"': HOLDS,
            "south can reach the depot through the tunnel": "no answer; *",
            'south has a peer authenticated as "hub.shop.example"': "none",
            "north can reach the depot through the tunnel": "no answer; *",
            "north initiates a tunnel with the hub": HOLDS,
            "north receives the notify AUTHENTICATION_FAILED": HOLDS,
            'the log of hub has "no shared key found"': HOLDS,
        },
        causes={
            "south can reach the depot through the tunnel": "south has no tunnel, its VPN logged: *hub.shop.example*",
            "north can reach the depot through the tunnel": (
                "north has no tunnel, its VPN logged: *AUTHENTICATION_FAILED*"
            ),
        },
    ),
    Field(
        "lan_pool",
        "clinic",
        {
            "the nurse can reach the files through the tunnel": HOLDS,
            "the files can reach the nurse through the tunnel": HOLDS,
            "the nurse reaches the files and is seen there as the nurse": HOLDS,
            "the nurse pings the files": HOLDS,
            "no private address is seen beyond a gateway": HOLDS,
        },
    ),
    Field(
        "host_network",
        "shared",
        says="*shared.yaml:6: services.guest.network_mode: found 'host', expected networks*",
    ),
)


SERVICE: Mapping[str, str] = {
    "west has a tunnel with east within 10 s": HOLDS,
    "the kiosk can reach the till on TCP port 8443 through the tunnel": HOLDS,
    "west protects exactly 172.21.1.0/24[tcp] towards 172.21.2.0/24[tcp/8443]": HOLDS,
    "the tunnels of every gateway use exactly IKE aes256-sha256-modp2048 and ESP aes256-sha256": HOLDS,
    "the tunnels of every gateway use exactly IKE aes256-sha256-prfsha256-modp2048 and ESP aes256-sha256": HOLDS,
    "the tunnels of every gateway use exactly IKE aes256-sha256-prfsha384-modp2048 and ESP aes256-sha256": (
        "IKEv2 *PRF_HMAC_SHA2_256*"
    ),
    "the kiosk Z can reach the till": "error",
}
NOBODY = "*kiosk: found 'the kiosk Z', expected a node: west, east, kiosk, till; *"
# What no traffic selector takes, the kernel sends in clear, and ESP in user space drops.
IN_CLEAR = {
    "the kiosk can reach the till outside the tunnel": HOLDS,
    "the kiosk cannot reach the till": "it arrived: *",
}
DROPPED = {
    "the kiosk can reach the till outside the tunnel": "no answer; the probe was last seen leaving west by ipsec0",
    "the kiosk cannot reach the till": HOLDS,
}
DROPPED_BY = {
    "the kiosk can reach the till outside the tunnel": (
        "west has no tunnel for ICMP from 172.21.1.5 to 172.21.2.5; it has tunnels for "
        "172.21.1.0/24[tcp] === 172.21.2.0/24[tcp/8443], and ipsec0 drops what none of them takes; *"
    ),
}
# The kernel encrypts the ends' own packets where no capture sees them in clear.
TRANSPORT = {
    "west can reach east through the tunnel": "error: *in transport mode, where no capture sees them*",
    "west has a tunnel with east within 5 s": HOLDS,
}
RELAY = {"the desk can reach the crane through the tunnel": HOLDS, **TRANSPORT}


@pytest.mark.parametrize("wanted", FIELDS, ids=lambda wanted: f"{wanted.folder}-{wanted.scenario}")
def test_each_sentence_ends_as_it_should(wanted: Field, tmp_path: Path) -> None:
    proven(wanted, tmp_path)


def test_what_no_traffic_selector_takes_goes_as_the_data_plane_has_it(tmp_path: Path) -> None:
    if kernel_does_esp():
        proven(Field("selectors", "kiosk", {**SERVICE, **IN_CLEAR}, says=NOBODY), tmp_path)
    else:
        proven(Field("selectors", "kiosk", {**SERVICE, **DROPPED}, DROPPED_BY, NOBODY), tmp_path)


@pytest.mark.parametrize("scenario", ["relay", "direct"])
def test_transport_mode_holds_where_the_kernel_can_and_is_one_line_elsewhere(scenario: str, tmp_path: Path) -> None:
    limit = "" if kernel_does_esp() else "ESP in user space has tunnel mode alone, and swanctl.conf has *"
    if scenario == "relay" and not kernel_does("link", "add", "x0", "type", "gre", "remote", "192.0.2.2"):
        limit = "this kernel makes no gre device, which line 1 of ip.batch asks for; *"
    if not limit:
        proven(Field("transport", scenario, RELAY if scenario == "relay" else TRANSPORT), tmp_path)
        return
    done = does("up", "--scenario", scenario, "--path", str(copied("transport", tmp_path)), folder=tmp_path)
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    # Both gateways have the limit; the first that is asked has it told.
    assert any(fits(line, f"tunnelbed: {gateway}: {limit}--engine qemu *") for gateway in ("west", "east")), line
    assert done.returncode == 2


def test_whatever_a_stack_names_can_be_said_and_a_copy_is_up_beside_it(tmp_path: Path) -> None:
    """The copy proves what `describe` wrote of the first one, which has the container's name and the host's port."""
    root = copied("names", tmp_path)
    place = ("--scenario", "yard", "--path", str(root))
    up = does("up", *place, folder=tmp_path)
    try:
        assert up.returncode == 0, up.stderr
        status = does("status", *place, folder=tmp_path).stdout
        assert re.search(r"Core_Switch\.Turku +fd00:100::7/32 +running", status), status
        assert re.search(r"PC_02 +fd00:100:8::2/32 +running", status), status
        described = does("describe", *place, folder=tmp_path).stdout
        assert described.count("Then ") + described.count("And ") >= 7, described
        (root / "features" / "yard" / "described.feature").write_text(described, encoding="utf-8")
        copy = does("verify", *place, "--instance", "2", folder=tmp_path)
    finally:
        down = does("down", *place, folder=tmp_path)
    assert copy.returncode == 0, copy.stdout + copy.stderr
    assert " 0 fail, 0 could not be judged" in copy.stdout
    assert down.returncode == 0, down.stderr


def proven(wanted: Field, tmp_path: Path) -> None:
    """Each sentence of a scenario ends as it should, and so does the command."""
    done, found, causes = verified(wanted, tmp_path)
    told = done.stdout + done.stderr
    assert {sentence: fit(found.get(sentence, ""), words) for sentence, words in wanted.sentences.items()} == dict(
        wanted.sentences
    ), told
    assert found.keys() == wanted.sentences.keys(), told
    assert {sentence: fit(causes.get(sentence, ""), words) for sentence, words in wanted.causes.items()} == dict(
        wanted.causes
    ), told
    assert done.returncode == wanted.code, told
    if wanted.says:
        assert any(fits(line, wanted.says) for line in told.splitlines()), told
    assert "Traceback" not in told
