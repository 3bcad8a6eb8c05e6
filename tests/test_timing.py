"""When charon changes keys and sets tunnels up again, as it lists what it has loaded."""

from __future__ import annotations

from tests.fake_charon import as_sent
from tunnelbed.vpn.api import Again, ChildTiming, Timing
from tunnelbed.vpn.strongswan.timing import read

CHILDREN = {
    "cloud": {"mode": "TUNNEL", "rekey_time": "3600", "dpd_action": "trap", "close_action": "start"},
    "other": {"mode": "TUNNEL"},
}
LISTED = [
    as_sent({"cloud": {"version": "IKEv2", "rekey_time": "14400", "dpd_delay": "2", "children": CHILDREN}}),
    as_sent({"quiet": {"version": "IKEv2", "children": {}}}),
]


def test_what_charon_says_of_times_is_read_for_each_connection_and_child() -> None:
    cloud = ChildTiming("cloud", 3600, Again.ON_DEMAND, Again.AT_ONCE)
    other = ChildTiming("other", 0, Again.NEVER, Again.NEVER)
    assert read(LISTED) == [Timing("cloud", 14400, 2, (cloud, other)), Timing("quiet", 0, 0, ())]
