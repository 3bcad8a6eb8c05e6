"""The clock of a fake charon (scripts/node/clock), and the timers that end by it: rekey_time of swanctl.conf(5).

A timer ends at the second: the real charon takes up to a tenth off, by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.fake_network.sas import ChildSa, IkeSa
from tunnelbed.host.shell import Completed

if TYPE_CHECKING:
    from tests.fake_network.charon import FakeCharon

LACKS = "no daemon of this node reads a clock of ours\n"
Step = float | Completed


class DaemonClock:
    """How far a charon's clock is `ahead` of the network's, and when by it what it has was made."""

    def __init__(self, charon: FakeCharon) -> None:
        self.charon = charon
        self.ahead = 0.0
        self._made: dict[int, float] = {}

    def now(self) -> datetime:
        """The date by it."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def run(self, words: Sequence[str]) -> str | Completed | Iterator[Step]:
        """What `clock` does with these words, or od(1) with its own."""
        match words:
            case ["-A", *_]:  # od(1), of the file that the clock is in
                return f" {round(self.ahead * 1_000_000_000)}\n"
            case _ if not self.charon.answers:
                return Completed(("clock", *words), 1, "", LACKS)
            case ["right"]:
                self.ahead = 0.0
                self._made = {}
                self.charon.start()
                return ""
            case ["pass", seconds, pace, _, _]:
                return self._passing(float(seconds), float(pace))
        raise ValueError(f"clock {words}")

    def _passing(self, seconds: float, pace: float) -> Iterator[Step]:
        goal = self.ahead + seconds
        due = self._next()
        while due and due[0] <= goal:
            yield max(0.0, due[0] - self.ahead) / pace
            self.ahead = max(self.ahead, due[0])
            if not self.charon.answers:
                yield Completed(("clock",), 1, "", LACKS)
                return
            self._renew(due[1], due[2])
            due = self._next()
        yield (goal - self.ahead) / pace
        self.ahead = goal
        yield Completed(("clock",), 0, "", "")

    def _next(self) -> tuple[float, IkeSa, ChildSa | None] | None:
        """When the next timer ends, and whose: an IKE_SA's own, or that of a child of it."""
        found: list[tuple[float, IkeSa, ChildSa | None]] = []
        for sa in self.charon.sas:
            conf = self.charon.connections.get(sa.name)
            if sa.state != "ESTABLISHED" or conf is None:
                continue
            rekeyed = {child.name: child.rekeyed for child in conf.children}
            for one, after in ((None, conf.rekeyed), *((child, rekeyed[child.name]) for child in sa.children)):
                made = self._made.setdefault(one.unique if one else sa.unique, self.ahead)
                if after:
                    found.append((made + after, sa, one))
        return min(found, key=lambda one: one[0], default=None)

    def _renew(self, sa: IkeSa, child: ChildSa | None) -> None:
        """Ask the peer for new keys; one that does not answer is given up, and its tunnel with it."""
        charon = self.charon
        charon.rekey(child.unique if child else sa.unique, "ESP" if child else "IKE")
        charon.network.move()
        if child in sa.children if child else sa in charon.sas:
            charon.say("IKE", f"<{sa.name}|{sa.unique}> giving up after 5 retransmits")
            charon.sas.remove(sa)
