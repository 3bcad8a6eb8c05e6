"""When charon changes keys, asks for signs of life, and what it does after a tunnel's end: as it has loaded it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunnelbed.vpn.strongswan import sas


@dataclass(frozen=True)
class ChildTiming:
    """Of one child: seconds until its keys are changed, and when it is set up again (`trap`, `start` or `none`)."""

    name: str
    rekeyed: int
    after_dead_peer: str
    after_close: str


@dataclass(frozen=True)
class Timing:
    """Of one connection, in seconds: until its keys are changed, and until a silent peer is asked; 0 is never."""

    name: str
    rekeyed: int
    asked: int
    children: tuple[ChildTiming, ...]


def read(raw: str) -> Sequence[Timing]:
    """Of every connection in the output of `swanctl --list-conns --raw`; what is not said there is 0, or `none`."""
    found = []
    for line in raw.splitlines():
        head, _, body = line.partition("event {")
        for name, said in sas.parse(body.rstrip()[:-1]).items() if head.strip() == "list-conn" else ():
            if isinstance(said, dict):
                children = said.get("children", {})
                parts = children.items() if isinstance(children, dict) else ()
                of_children = tuple(_child(child, part) for child, part in parts if isinstance(part, dict))
                found.append(Timing(name, _number(said, "rekey_time"), _number(said, "dpd_delay"), of_children))
    return found


def _child(name: str, said: Mapping[str, object]) -> ChildTiming:
    actions = (str(said.get(key, "none")) for key in ("dpd_action", "close_action"))
    return ChildTiming(name, _number(said, "rekey_time"), *actions)


def _number(said: Mapping[str, object], key: str) -> int:
    return int(str(said.get(key, 0)))
