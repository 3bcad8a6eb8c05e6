"""What a failed expectation tells: what was expected, what was seen, and where the evidence lies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scapy.packet import Packet

from tunnelbed.observe.packets import is_esp, is_neighbour_discovery
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed

LAST_PACKETS = 12
LAST_LOG_LINES = 6


class Unmet(AssertionError):
    """An expectation that does not hold: the network misbehaves, the testbed is well."""

    def __init__(self, expected: str, seen: str, evidence: Sequence[str] = ()) -> None:
        self.expected, self.seen, self.evidence = expected, seen, evidence
        super().__init__("\n".join([f"expected: {expected}", f"seen:     {seen}", *evidence]))


def unmet(
    bed: Testbed,
    expected: str,
    seen: str,
    recording: Recording | None = None,
    nodes: Iterable[str] = (),
    about: Callable[[Packet], bool] = lambda _: False,
) -> Unmet:
    """The failure, with the last packets, the path of a pcapng of all nodes, and the tails of these nodes' logs.

    Of the packets, those that `about` knows and the ESP around them are told first.
    """
    evidence: list[str] = []
    if recording is not None:
        evidence += ["last packets:", *(f"  {line}" for line in last_packets(recording.sightings, about))]
        evidence.append(f"capture:  {recording.save(_capture_path(bed, expected))}")
    for node in dict.fromkeys(nodes):
        lines = bed.engine.log(bed.project, node).strip().splitlines()[-LAST_LOG_LINES:]
        evidence += [f"log of {node}:", *(f"  {line}" for line in lines)]
    return Unmet(expected, seen, evidence)


def last_packets(sightings: Sequence[Sighting], about: Callable[[Packet], bool]) -> Sequence[str]:
    """One line a packet: those asked for and ESP, or else all but neighbour discovery."""
    telling = [seen for seen in sightings if about(seen.packet)]
    if telling:
        telling = [seen for seen in sightings if about(seen.packet) or is_esp(seen.packet)]
    telling = telling or [seen for seen in sightings if not is_neighbour_discovery(seen.packet)]
    return [str(seen) for seen in telling[-LAST_PACKETS:]] or ["none"]


def _capture_path(bed: Testbed, expected: str) -> Path:
    what = re.sub(r"[^a-z0-9]+", "-", expected.casefold()).strip("-")[:60]
    return bed.captures / f"{bed.name}-{time.strftime('%H%M%S')}-{what}.pcapng"
