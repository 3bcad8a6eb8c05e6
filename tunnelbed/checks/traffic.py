"""Traffic that goes on while something else happens, and whether all of it is answered."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunnelbed.checks import application
from tunnelbed.checks.address_selection import address_towards
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.errors import CommandFailed
from tunnelbed.host import waiting
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node

# Packets of one go, and seconds between two, stretched. An exchange of keys takes 50 ms on a busy machine.
PACKETS, INTERVAL = 100, 0.02
# A request is answered in some 10 ms. TCP would repeat one whose first packet was lost after 1 s (RFC 6298, 2.1).
REQUEST_SECONDS = 0.9


@dataclass(frozen=True)
class Traffic:
    """What goes on meanwhile: `pings` or `requests`, by whom, and how to make one go of it.

    What makes it returns how many were sent, and how many of them answered.
    """

    name: str
    source: Node
    make: Callable[[], tuple[int, int]]


@dataclass(frozen=True)
class Answered:
    """How much traffic was sent `during` something (`while keys change`), and how much of it was lost."""

    traffic: str
    sent: int
    lost: int
    during: str
    recording: Recording | None = None


def pings(bed: Testbed, source: Node, target: Node) -> Traffic:
    """A node pings another one."""
    address = address_towards(bed, source, target)
    interval, wait = waiting.stretched(INTERVAL), waiting.stretched(1)
    words = ("ping", "-q", "-c", str(PACKETS), "-i", f"{interval:g}", "-W", f"{wait:g}", str(address))
    return Traffic("pings", source, lambda: counted(bed.node(source).run(words).stdout))


def requests(bed: Testbed, source: Node) -> Traffic:
    """A node's client asks the application's server: one request after another, each with a connection of its own."""
    interval = f"{waiting.stretched(INTERVAL):g}"
    options = ("--count", str(PACKETS), "--interval", interval, "--timeout", str(REQUEST_SECONDS))
    return Traffic("requests", source, lambda: answered(application.ask(bed, source, options).stdout))


def few_lost(bed: Testbed, found: Answered, most: int = 0) -> None:
    """All that was sent was answered, but for so much at most. Raises `Unmet`."""
    if found.lost > most:
        but = f" but {most}" if most else ""
        expected = f"all {found.sent} {found.traffic}{but} are answered {found.during}"
        seen = f"{found.lost} of {found.sent} lost"
        raise unmet(bed, expected, seen, found.recording) if found.recording else Unmet(expected, seen)


@contextlib.contextmanager
def kept_up(bed: Testbed, traffic: Traffic | None, during: str) -> Iterator[list[Answered]]:
    """One go of traffic after another while the body runs; afterwards the list has what became of all."""
    found: list[Answered] = []
    over = threading.Event()

    def keep_up(traffic: Traffic) -> tuple[int, int]:
        sent = received = 0
        while not over.is_set():
            of_one, back = traffic.make()
            sent, received = sent + of_one, received + back
        return sent, received

    going_on = bed.pool.submit(keep_up, traffic) if traffic else None
    try:
        yield found
    finally:
        over.set()
        if going_on and traffic:
            sent, received = going_on.result()
            found.append(Answered(traffic.name, sent, sent - received, during))


def counted(said: str) -> tuple[int, int]:
    """How many packets ping sent and got back, by its summary."""
    match = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if not match:
        raise CommandFailed(["ping"], None, said)
    return int(match[1]), int(match[2])


def answered(said: str) -> tuple[int, int]:
    """How many requests were to be sent, and how many were answered: a line of JSON each."""
    return PACKETS, sum("pong" in json.loads(line) for line in said.splitlines())
