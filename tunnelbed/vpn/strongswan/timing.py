"""When charon changes keys, asks for signs of life, and what it does after a tunnel's end: as it has loaded it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunnelbed.vpn.api import Again, ChildTiming, Timing
from tunnelbed.vpn.strongswan.vici import Message, number, sections, text

# `dpd_action` and `close_action` in swanctl.conf(5).
AGAIN = {"trap": Again.ON_DEMAND, "start": Again.AT_ONCE, "none": Again.NEVER}


def read(listed: Iterable[Message]) -> Sequence[Timing]:
    """Of every connection in the reply to `list-conns`; what is missing there is 0, or never."""
    return [
        Timing(
            name,
            number(said, "rekey_time"),
            number(said, "dpd_delay"),
            tuple(_child(child, part) for child, part in sections(said, "children").items()),
        )
        for event in listed
        for name, said in sections(event).items()
    ]


def _child(name: str, said: Message) -> ChildTiming:
    dead, closed = (AGAIN.get(text(said, key), Again.NEVER) for key in ("dpd_action", "close_action"))
    return ChildTiming(name, number(said, "rekey_time"), dead, closed)
