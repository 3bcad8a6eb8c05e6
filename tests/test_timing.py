"""When charon changes keys and sets tunnels up again, as it lists what it has loaded."""

from __future__ import annotations

from tunnelbed.vpn.strongswan.timing import ChildTiming, Timing, read

LISTED = (
    "list-conn event {cloud {local_addrs=[172.26.26.26] remote_addrs=[172.28.28.28] version=IKEv2 reauth_time=0 "
    "rekey_time=14400 unique=UNIQUE_NO dpd_delay=2 local-1 {id=C=FI, CN=Site A class=public key groups=[]} "
    "remote-1 {id=C=FI, CN=Cloud class=public key} children {cloud {mode=TUNNEL rekey_time=3600 rekey_bytes=0 "
    "dpd_action=trap close_action=start local-ts=[10.1.0.0/16] remote-ts=[10.3.0.0/16]} other {mode=TUNNEL}}}}\n"
    "list-conn event {quiet {version=IKEv2 children {}}}\n"
    "list-conns reply {}\n"
)


def test_what_charon_says_of_times_is_read_for_each_connection_and_child() -> None:
    assert read(LISTED) == [
        Timing(
            "cloud", 14400, 2, (ChildTiming("cloud", 3600, "trap", "start"), ChildTiming("other", 0, "none", "none"))
        ),
        Timing("quiet", 0, 0, ()),
    ]
