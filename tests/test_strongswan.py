"""What charon says of its tunnels: real answers, kept in data/, and any answer of that form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.vpn.strongswan.sas import Section, Tunnel, parse, tunnels

DATA = Path(__file__).parent / "data"
SITE_A = "C=FI, O=CSE4300, CN=CSE4300 Site A 172.26.26.26"
CLOUD = "C=FI, O=CSE4300, CN=CSE4300 Cloud 172.28.28.28"
IKE = "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384"


def answer(name: str) -> tuple[Tunnel, ...]:
    """The tunnels of one of the answers in data/."""
    return tunnels((DATA / f"{name}.txt").read_text())


def test_a_gateway_with_two_peers_has_two_tunnels_the_oldest_first() -> None:
    first, second = answer("established")
    assert (first.name, first.unique, second.name, second.unique) == ("site-a", 1, "site-b", 2)
    assert first.state == "ESTABLISHED"
    assert first.version == 2
    assert (first.local_host, first.remote_host) == ("172.28.28.28", "172.26.26.26")
    assert (first.local_port, first.remote_port) == (4500, 4500)


def test_distinguished_names_are_read_whole() -> None:
    first, _ = answer("established")
    assert (first.local_id, first.remote_id) == (CLOUD, SITE_A)


def test_the_proposals_are_written_as_swanctl_writes_them() -> None:
    (tunnel,) = answer("two-children")
    assert tunnel.proposal == IKE
    assert [child.proposal for child in tunnel.children] == ["AES_GCM_16-256", "AES_GCM_16-256/ECP_384"]


def test_each_child_has_its_selectors_and_numbers() -> None:
    cloud, other = answer("two-children")[0].children
    assert (cloud.name, cloud.state, cloud.reqid) == ("cloud", "INSTALLED", 1)
    assert (cloud.spi_in, cloud.spi_out) == (0xF79F8DB1, 0xC71E8D02)
    assert (other.local, other.remote) == (("10.1.0.0/24", "10.1.1.0/24"), ("10.3.0.0/24",))
    first, _ = answer("established")
    assert (first.children[0].bytes_in, first.children[0].bytes_out) == (1748, 1848)


def test_a_rekeyed_child_stays_listed_beside_its_successor() -> None:
    (tunnel,) = answer("rekeyed-child")
    assert [child.state for child in tunnel.children] == ["DELETED", "INSTALLED"]
    assert tunnel.carries


@pytest.mark.parametrize(
    ("name", "state", "carries"),
    [
        ("established", "ESTABLISHED", True),
        ("rekeying-child", "ESTABLISHED", True),
        ("rekeying-ike", "REKEYING", True),
        ("connecting", "CONNECTING", False),
        ("deleting", "DELETING", False),
    ],
)
def test_a_tunnel_carries_while_it_is_rekeyed_but_not_before_or_after(name: str, state: str, carries: bool) -> None:  # noqa: FBT001
    tunnel = answer(name)[0]
    assert (tunnel.state, tunnel.carries) == (state, carries)


def test_a_peer_that_has_not_answered_yet_has_no_name_and_no_proposal() -> None:
    (tunnel,) = answer("connecting")
    assert (tunnel.remote_id, tunnel.proposal, tunnel.children) == ("%any", "", ())


def test_no_tunnels_is_an_empty_answer() -> None:
    assert tunnels("list-sas reply {}\n") == ()
    assert tunnels("") == ()


def test_other_lines_and_events_are_passed_over() -> None:
    raw = "plugin 'x': failed to load\nlist-conn event {cloud {version=IKEv2}}\nlist-sas reply {}\n"
    assert tunnels(raw) == ()


def test_a_key_with_an_underscore_ends_the_value_before_it() -> None:
    said = "local-1 {class=public key groups=[]} children {cloud {mode=TUNNEL rekey_time=3600 dpd_action=none}}"
    assert parse(said) == {
        "local-1": {"class": "public key", "groups": []},
        "children": {"cloud": {"mode": "TUNNEL", "rekey_time": "3600", "dpd_action": "none"}},
    }


def test_a_name_s_part_in_small_letters_is_not_taken_for_a_key() -> None:
    assert parse("id=C=FI, title=Sir, CN=a state=UP") == {"id": "C=FI, title=Sir, CN=a", "state": "UP"}


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="no key at"):
        parse("cloud {{}}")


KEY = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
PLAIN = st.from_regex(r"[A-Za-z0-9.:%/_-]{1,12}", fullmatch=True)
WORDS = st.lists(st.from_regex(r"[A-Za-z0-9.]{1,6}", fullmatch=True), min_size=1, max_size=4).map(" ".join)
NAMES = st.lists(st.tuples(st.sampled_from(["C", "O", "OU", "CN", "DC", "title"]), WORDS), min_size=1, max_size=4).map(
    lambda parts: ", ".join(f"{kind}={value}" for kind, value in parts)
)
MESSAGES: st.SearchStrategy[Section] = st.recursive(
    st.dictionaries(KEY, PLAIN | WORDS | NAMES | st.lists(PLAIN, max_size=3), max_size=4),
    lambda inner: st.dictionaries(KEY, PLAIN | NAMES | st.lists(PLAIN, max_size=3) | inner, max_size=4),
    max_leaves=12,
)


def written(message: Mapping[str, object]) -> str:
    """A message as `swanctl --raw` prints it (libvici's `vici_dump`, not pretty)."""
    said = []
    for key, value in message.items():
        if isinstance(value, dict):
            said.append(f"{key} {{{written(value)}}}")
        elif isinstance(value, list):
            said.append(f"{key}=[{' '.join(value)}]")
        else:
            said.append(f"{key}={value}")
    return " ".join(said)


@given(MESSAGES)
def test_every_message_is_read_as_it_was_meant(message: Section) -> None:
    assert parse(written(message)) == message
