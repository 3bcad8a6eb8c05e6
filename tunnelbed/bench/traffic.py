"""Packets between two nodes of a testbed, bounded: how much goes through, and how long an answer takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunnelbed.errors import CommandFailed
from tunnelbed.host import waiting
from tunnelbed.testbed.testbed import Testbed

SECONDS = 5
PINGS = 300
# Seconds between two pings: far enough apart that none waits for another, ESP in user space included.
PING_INTERVAL = "0.01"
PORT_SECONDS = 10.0
RTT = re.compile(r"time=([\d.]+) ms")


@dataclass(frozen=True)
class Transfer:
    """What one TCP connection carried."""

    megabits_per_second: float
    gigabytes: float


def transfer(bed: Testbed, sender: str, receiver: str) -> Transfer:
    """Send TCP as fast as it goes for `SECONDS`, by iperf3, from one node to another's first address."""
    # It ends by itself after one test, and with the testbed if there is none.
    bed.engine.run(bed.project, receiver, ["iperf3", "--server", "--one-off", "--daemon"])
    address = str(bed.scenario.nodes[receiver].addresses[0])
    command = ["iperf3", "--client", address, "--time", str(SECONDS), "--json"]

    def attempt() -> str:
        """Its output, or nothing while the server does not listen yet."""
        done = bed.engine.run(bed.project, sender, command, check=False)
        if done.status and "refused" not in done.output:
            raise CommandFailed(command, done.status, done.output[-300:], sender)
        return "" if done.status else done.stdout

    carried = transferred(json.loads(waiting.until(attempt, PORT_SECONDS, "iperf3 to listen", every=0.1)))
    if not carried.gigabytes:
        raise CommandFailed(command, 0, f"nothing arrived at {receiver}", sender)
    return carried


def transferred(said: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Transfer:
    """iperf3's result in JSON, of what arrived."""
    arrived = said["end"]["sum_received"]
    return Transfer(arrived["bits_per_second"] / 1e6, arrived["bytes"] / 1e9)


def round_trips(bed: Testbed, sender: str, receiver: str) -> Sequence[float]:
    """Ping `PINGS` times; each round trip in ms, the shortest first. Raises `CommandFailed` where no answer came."""
    address = str(bed.scenario.nodes[receiver].addresses[0])
    command = ["ping", "-n", "-c", str(PINGS), "-i", PING_INTERVAL, "-W", "2", address]
    return sorted(map(float, RTT.findall(bed.engine.run(bed.project, sender, command).stdout)))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of some ordered values that `share` percent of them do not exceed (the nearest-rank method)."""
    return ordered[max(math.ceil(share / 100 * len(ordered)), 1) - 1]
