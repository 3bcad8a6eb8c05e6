"""A failed expectation: what was expected, what was seen, the cause, and the evidence."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scapy.packet import Packet

from tunnelbed.errors import TunnelbedError
from tunnelbed.observe import evidence_text
from tunnelbed.observe.carried import Classify, Kind
from tunnelbed.observe.evidence import CaptureFile, Evidence, LogTail, PacketPath, Packets, SeenPacket
from tunnelbed.observe.packets import claims_to_be_sealed, is_neighbour_discovery
from tunnelbed.observe.probes import Probe
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.node_state import log_tail
from tunnelbed.testbed.testbed import Testbed

LAST_PACKETS = 12
# Of these, so many may claim to be sealed and come after the last that was asked for: ESP that crosses two links.
SEALED_AFTER = 4
LAST_LOG_LINES = 6


class Unmet(AssertionError):
    """An expectation that does not hold: the network misbehaves, the testbed is well.

    `recording` is what all nodes saw meanwhile, where anything was recorded, and `probe` what was sent: a further check
    may look into it.
    """

    probe: Probe | None = None

    def __init__(
        self, expected: str, seen: str, evidence: Iterable[Evidence] = (), recording: Recording | None = None
    ) -> None:
        self.expected, self.seen, self.evidence, self.recording = expected, seen, tuple(evidence), recording
        cause = [f"cause:    {self.cause}"] if self.cause else []
        shown = [f"expected: {expected}", f"seen:     {seen}", *cause, *evidence_text.lines(self.evidence)]
        super().__init__("\n".join(shown))

    @property
    def cause(self) -> str:
        """Why it does not hold, where a packet's path shows that; else nothing."""
        return next((found.cause for found in self.evidence if isinstance(found, PacketPath) and found.cause), "")


def unmet(
    bed: Testbed,
    expected: str,
    seen: str,
    recording: Recording | None = None,
    nodes: Iterable[str] = (),
    about: Callable[[Packet], bool] = lambda _: False,
    probe: Probe | None = None,
) -> Unmet:
    """The failure, with the last packets, a pcapng of all nodes, and the tails of these nodes' logs.

    Of the packets, those that `about` knows, or the `probe`, and what claims to be sealed around them come
    first. All is read now: what a scenario changed is undone after it.
    """
    evidence: list[Evidence] = []
    if recording is not None:
        evidence.append(Packets(last_packets(recording.sightings, probe.shows if probe else about, bed.classify)))
        evidence.append(CaptureFile(recording.save(_capture_path(bed, expected))))
    logs = {node: bed.engine.log(bed.project, node) for node in dict.fromkeys(nodes)}
    evidence.extend(LogTail(node, log_tail(said, LAST_LOG_LINES)) for node, said in logs.items())
    failed = Unmet(expected, seen, evidence, recording)
    failed.probe = probe
    return failed


def last_packets(
    sightings: Sequence[Sighting], about: Callable[[Packet], bool], classify: Classify
) -> tuple[SeenPacket, ...]:
    """The last of those asked for and of what claims to be sealed, or else of all but neighbour discovery.

    Gateways go on with signs of life, which claim to be sealed: those long after a packet tell nothing of it.
    """

    def is_data(packet: Packet) -> bool:
        # A failure that is told already does not wait for a daemon that is silent.
        with contextlib.suppress(TunnelbedError):
            carried = classify(packet)
            return carried is not None and carried.kind is Kind.DATA
        return False

    own = {id(seen) for seen in sightings if about(seen.packet)}
    telling = [seen for seen in sightings if id(seen) in own or claims_to_be_sealed(seen.packet)] if own else []
    if telling:
        last = max(index for index, seen in enumerate(telling) if id(seen) in own)
        telling = telling[: last + 1 + SEALED_AFTER]
    telling = telling or [seen for seen in sightings if not is_neighbour_discovery(seen.packet)]
    return tuple(SeenPacket.of(seen, sealed=is_data(seen.packet)) for seen in telling[-LAST_PACKETS:])


def _capture_path(bed: Testbed, expected: str) -> Path:
    what = re.sub(r"[^a-z0-9]+", "-", expected.casefold()).strip("-")[:60]
    return bed.captures / f"{bed.name}-{time.strftime('%H%M%S')}-{what}.pcapng"
