"""What charon lists: real answers, kept in data/, and what a person may have named things."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from tests.fake_charon import FakeCharon, FakeHost, as_sent, recorded
from tunnelbed.errors import BadInput, CommandFailed, NodeFailed
from tunnelbed.vpn.api import Connection, Drop, Refusal, Since, Tunnel
from tunnelbed.vpn.strongswan import sas
from tunnelbed.vpn.strongswan.daemon import StrongSwan, first_times, overlay

SITE_A = "C=FI, O=CSE4300, CN=CSE4300 Site A 172.26.26.26"
CLOUD = "C=FI, O=CSE4300, CN=CSE4300 Cloud 172.28.28.28"
IKE = "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384"
CONNECTION = {
    "cloud": {
        "local_addrs": ["192.0.2.1"],
        "remote_addrs": ["192.0.2.2"],
        "local-1": {"id": "C=FI, O=X, CN=Site A", "certs": ["C=FI, O=X, CN=Site A"]},
        "remote-1": {"id": "CN=somebody"},
        "children": {"web": {"mode": "TUNNEL", "local-ts": ["10.1.0.0/16"]}, "mail": {"mode": "TUNNEL"}},
    }
}


def answer(name: str) -> tuple[Tunnel, ...]:
    """The tunnels of one of the answers in data/."""
    return sas.tunnels(recorded(name))


def daemon_of(charon: FakeCharon) -> StrongSwan:
    return StrongSwan(FakeHost(charon))


def test_a_gateway_with_two_peers_has_two_tunnels_the_oldest_first() -> None:
    first, second = answer("established")
    assert (first.name, first.id, second.name, second.id) == ("site-a", "1", "site-b", "2")
    assert (first.state, first.details["version"]) == ("ESTABLISHED", "2")
    assert (first.own, first.peer) == (ip_address("172.28.28.28"), ip_address("172.26.26.26"))
    assert (first.own_port, first.peer_port) == (4500, 4500)


def test_the_oldest_is_first_by_number_and_not_by_letter() -> None:
    found = sas.tunnels([as_sent({"a": {"uniqueid": "10"}}), as_sent({"b": {"uniqueid": "9"}})])
    assert [tunnel.id for tunnel in found] == ["9", "10"]


def test_distinguished_names_are_read_whole() -> None:
    first, _ = answer("established")
    assert (first.own_identity, first.peer_identity) == (CLOUD, SITE_A)


@pytest.mark.parametrize("name", ["O=Foo {Bar} Oy", "O=ACME dept=net", "CN=a]b, O=[x] y=1", "O=Ä & Ö"])
def test_a_name_may_hold_whatever_a_person_writes(name: str) -> None:
    (tunnel,) = sas.tunnels([as_sent({"cloud": {"uniqueid": "1", "remote-id": name, "state": "ESTABLISHED"}})])
    assert (tunnel.peer_identity, tunnel.state) == (name, "ESTABLISHED")


def test_the_proposals_are_written_as_swanctl_writes_them() -> None:
    (tunnel,) = answer("two-children")
    assert tunnel.proposal == IKE
    assert [child.proposal for child in tunnel.children] == ["AES_GCM_16-256", "AES_GCM_16-256/ECP_384"]


def test_each_child_has_its_selectors_and_numbers() -> None:
    (tunnel,) = answer("two-children")
    cloud, other = tunnel.children
    assert (cloud.name, cloud.state, cloud.details["reqid"]) == ("cloud", "INSTALLED", "1")
    assert (cloud.number_in, cloud.number_out) == (0xF79F8DB1, 0xC71E8D02)
    assert {0xF79F8DB1, 0xC71E8D02} < tunnel.numbers
    assert (other.local, other.remote) == (("10.1.0.0/24", "10.1.1.0/24"), ("10.3.0.0/24",))
    first, _ = answer("established")
    assert (first.children[0].bytes_in, first.children[0].bytes_out) == (1748, 1848)


@pytest.mark.parametrize(("mode", "unseen"), [("TUNNEL", False), ("TRANSPORT", True)])
def test_in_transport_mode_the_ends_own_packets_are_seen_nowhere(mode: str, *, unseen: bool) -> None:
    (found,) = sas.tunnels([as_sent({"a": {"uniqueid": "1", "child-sas": {"web-1": {"name": "web", "mode": mode}}}})])
    assert [child.unseen for child in found.children] == [unseen]


def test_a_rekeyed_child_stays_listed_beside_its_successor() -> None:
    (tunnel,) = answer("rekeyed-child")
    assert [(child.state, child.carries, child.replaced) for child in tunnel.children] == [
        ("DELETED", False, True),
        ("INSTALLED", True, False),
    ]
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
def test_a_tunnel_carries_while_it_is_rekeyed_but_not_before_or_after(name: str, state: str, carries: bool) -> None:  # noqa: FBT001 # a table
    tunnel = answer(name)[0]
    assert (tunnel.state, tunnel.carries) == (state, carries)
    assert tunnel.busy is (name != "established")


def test_a_peer_that_has_not_answered_yet_has_no_name_and_no_proposal() -> None:
    (tunnel,) = answer("connecting")
    assert (tunnel.peer_identity, tunnel.proposal, tunnel.children) == ("%any", "", ())


def test_connections_are_read_with_their_addresses_identities_and_selectors() -> None:
    asked = ((("10.1.0.0/16",), ()), ((), ()))
    whose = ("C=FI, O=X, CN=Site A",)
    found = sas.connections([as_sent(CONNECTION)])
    assert found == (Connection("cloud", ("192.0.2.1",), ("192.0.2.2",), ("web", "mail"), whose, asked),)


def test_what_charon_lists_is_read_over_its_own_protocol() -> None:
    charon = FakeCharon(recorded("established"), [as_sent(CONNECTION)])
    daemon = daemon_of(charon)
    assert daemon.tunnels() == answer("established")
    assert [found.name for found in daemon.connections()] == ["cloud"]
    assert daemon.version() == "strongSwan 6.0.1"
    # One conversation for all.
    assert len(charon.opened) == 1


def test_no_tunnels_is_an_empty_answer() -> None:
    assert daemon_of(FakeCharon()).tunnels() == ()


def test_a_charon_that_does_not_answer_is_an_error_and_not_one_without_tunnels() -> None:
    charon = FakeCharon(recorded("established"))
    daemon = daemon_of(charon)
    daemon.tunnels()
    charon.dies()
    with pytest.raises(NodeFailed, match=r"gateway: charon does not answer: .*refused; see `invoke logs`"):
        daemon.tunnels()
    assert not daemon.answers()
    with pytest.raises(NodeFailed, match="gateway: charon does not answer; see"):
        daemon.awaited(seconds=0.0)


def test_a_charon_that_started_again_is_asked_anew() -> None:
    charon = FakeCharon(recorded("established"))
    daemon = daemon_of(charon)
    daemon.tunnels()
    charon.dies()
    charon.listens = True
    assert len(daemon.tunnels()) == 2


def test_a_command_that_charon_refuses_ends_no_conversation() -> None:
    charon = FakeCharon(recorded("established"))
    charon.refuses = {"rekey"}
    daemon = daemon_of(charon)
    tunnel = daemon.tunnels()[0]
    with pytest.raises(CommandFailed, match="`rekey` on gateway"):
        daemon.rekey(tunnel, "IKE")
    assert len(daemon.tunnels()) == 2
    assert len(charon.opened) == 1


def test_a_tunnel_is_ended_by_its_number_beside_the_lasting_conversation() -> None:
    charon = FakeCharon(recorded("established"))
    charon.refuses = {"terminate"}  # it ended by itself meanwhile
    daemon = daemon_of(charon)
    daemon.end(daemon.tunnels()[1])
    assert charon.asked[-1] == ("terminate", {"ike-id": "2", "force": "yes"})
    assert [opened.closed for opened in charon.opened] == [False, True]


def test_a_tunnel_is_initiated_by_its_connection_and_child() -> None:
    charon = FakeCharon(conns=[as_sent(CONNECTION)])
    daemon = daemon_of(charon)
    (connection,) = daemon.connections()
    daemon.start(connection, "web", 2)
    assert charon.asked[-1] == ("initiate", {"ike": "cloud", "child": "web", "timeout": "2000"})


def test_the_keys_that_change_are_those_of_the_tunnel_or_of_its_only_child() -> None:
    charon = FakeCharon(recorded("established"))
    daemon = daemon_of(charon)
    tunnel = daemon.tunnels()[0]
    daemon.rekey(tunnel, "IKE")
    daemon.rekey(tunnel, "ESP")
    assert [asked for asked in charon.asked if asked[0] == "rekey"] == [
        ("rekey", {"ike-id": "1"}),
        ("rekey", {"child-id": tunnel.children[0].id}),
    ]
    with pytest.raises(BadInput, match="found 2 children, expected one"):
        daemon.rekey(answer("two-children")[0], "ESP")


def test_unloading_takes_every_connection() -> None:
    charon = FakeCharon(conns=[as_sent(CONNECTION), as_sent({"second": {}})])
    daemon_of(charon).unload()
    assert charon.asked[1:] == [("unload-conn", {"name": "cloud"}), ("unload-conn", {"name": "second"})]


def test_other_settings_stand_after_a_node_s_own_in_each_connection_and_child() -> None:
    found = sas.connections([as_sent(CONNECTION)])
    expected = (
        "include /run/tunnelbed/swanctl/swanctl.conf connections { cloud { proposals = x children { "
        "web { esp_proposals = y } mail { esp_proposals = y } } } }"
    )
    text = overlay(found, "proposals = x", "esp_proposals = y", "/run/tunnelbed/swanctl/swanctl.conf")
    assert " ".join(text.split()) == expected


SAID = {
    Refusal.REVOKED: "13[CFG] <s|24> certificate was revoked on Nov 23 02:06:45 UTC 2026, reason: unspecified",
    Refusal.UNCHECKED: (
        "13[CFG] <s|27> constraint check failed: RULE_CRL_VALIDATION is FAILED, but requires at least GOOD"
    ),
    Refusal.EXPIRED: "16[CFG] <s|30> subject certificate invalid (valid from Nov 21 2026 to Nov 23 2026)",
    Refusal.UNKNOWN_AUTHORITY: '13[CFG] <s|36> no issuer certificate found for "C=FI, CN=Site A"',
    Refusal.UNKNOWN_IDENTITY: "13[CFG] <39> no matching peer config found",
    Refusal.NO_COMMON_PROPOSAL: "14[IKE] <45> received proposals unacceptable",
}


def logged(*lines: str) -> StrongSwan:
    host = FakeHost(FakeCharon())
    host.said = "\n".join(lines)
    return StrongSwan(host)


@pytest.mark.parametrize("why", Refusal)
def test_a_refusal_is_known_by_charon_s_words_for_it_alone(why: Refusal) -> None:
    assert [said for said in Refusal if logged(SAID[why]).refused(said, Since())] == [why]


def test_a_refusal_before_that_moment_is_none() -> None:
    daemon = logged(SAID[Refusal.REVOKED])
    assert not daemon.refused(Refusal.REVOKED, daemon.mark())


def test_a_notify_is_known_by_its_whole_name() -> None:
    daemon = logged("05[IKE] <a|1> received NO_PROPOSAL_CHOSEN notify error")
    assert daemon.notified("NO_PROPOSAL_CHOSEN", Since())
    assert not daemon.notified("NO_PROPOSAL", Since())


def test_a_complaint_is_the_last_line_that_says_why_without_its_date() -> None:
    line = "2026-11-24T06:01:15.730 10[IKE] <peer|2> received NO_PROPOSAL_CHOSEN notify error"
    assert logged(line, "tunnelbed: ready").complaint() == "<peer|2> received NO_PROPOSAL_CHOSEN notify error"
    assert logged("ready").complaint() == ""


DROPS = {
    Drop.REPLAY: "12[ESP] ESP sequence number verification failed",
    Drop.FORGERY: "12[ESP] ESP decryption or ICV verification failed",
    Drop.NO_TUNNEL: "12[ESP] inbound ESP packet does not belong to an installed SA",
}


@pytest.mark.parametrize("why", Drop)
def test_drops_are_counted_in_the_log_where_charon_does_esp(why: Drop) -> None:
    host = FakeHost(FakeCharon())
    host.answer = lambda command: "user\n" if "data-plane" in command[-1] else ""
    host.said = "\n".join([DROPS[why], *DROPS.values()])
    assert StrongSwan(host).dropped(why, Since()) == 2


def test_drops_are_counted_by_the_kernel_where_it_does_esp() -> None:
    host = FakeHost(FakeCharon())
    counts = iter(["XfrmInStateSeqError 3\nXfrmInNoStates 0\n", "XfrmInStateSeqError 8\n"])

    def answer(command: Any) -> str:  # noqa: ANN401 # a command
        return "kernel\n" if "data-plane" in command[-1] else next(counts)

    host.answer = answer
    daemon = StrongSwan(host)
    assert daemon.dropped(Drop.REPLAY, daemon.mark()) == 5


def test_a_kernel_that_does_not_count_drops_has_not_dropped_none() -> None:
    host = FakeHost(FakeCharon())
    host.answer = lambda command: "kernel\n" if "data-plane" in command[-1] else ""
    daemon = StrongSwan(host)
    with pytest.raises(NodeFailed, match="gateway: its kernel does not count the ESP that it drops"):
        daemon.dropped(Drop.REPLAY, daemon.mark())


@pytest.mark.parametrize(("said", "plane"), [("kernel\n", "kernel"), ("user\n", "user"), ("", ""), ("\n", "")])
def test_who_does_esp_is_not_known_before_the_node_has_found_out(said: str, plane: str) -> None:
    host = FakeHost(FakeCharon())
    host.answer = lambda _: said
    assert StrongSwan(host).plane() == plane


def test_a_child_s_first_time_is_read_from_the_log() -> None:
    line = "2026-11-24T06:01:{}.730 10[IKE] <site-b|1> CHILD_SA site-b{{3}} established with SPIs c1_i c2_o"
    log = "\n".join(line.format(second) for second in (15, 20))
    assert first_times(log) == {("site-b", "site-b"): 1795500075.73}


def test_keys_are_logged_while_they_are_wanted_and_the_log_is_gone_afterwards() -> None:
    host = FakeHost(FakeCharon())
    host.answer = lambda command: "/run/tunnelbed/settings.conf\n" if command[0] == "readlink" else ""
    with StrongSwan(host).keylog():
        assert host.written["/run/tunnelbed/strongswan.conf.new"].startswith("include /run/tunnelbed/settings.conf\n")
    assert [asked[0] for asked in host.charon.asked] == ["reload-settings", "reload-settings"]
    assert host.ran[-1] == ("rm", "-f", "/run/tunnelbed/keys.log")


def test_settings_that_somebody_left_are_not_laid_over_once_more() -> None:
    with (
        pytest.raises(NodeFailed, match="has a configuration that an earlier run changed"),
        daemon_of(FakeCharon()).keylog(),
    ):
        pass
