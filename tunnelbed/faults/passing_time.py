"""Hours that pass in seconds for the daemons of gateways, and for nobody else.

A daemon's clock runs fast while it waits and nothing is under way (compose/images/clock.c), so its timers end one after
another, in their order. At the end the daemons start again by the machine's clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tunnelbed.checks.traffic import Answered, Traffic, kept_up
from tunnelbed.errors import BadInput
from tunnelbed.host import waiting
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.vpn.api import Feature

# In about how many seconds all of it passes, if there is nothing to do meanwhile; and how fast that is at least and at
# most. What is to be done takes its time beside it: a change of keys some 0.1 s, a sign of life some 10 ms.
PACED_SECONDS, LEAST_PACE, MOST_PACE = 20.0, 1800.0, 20_000.0
# The clocks of all gateways go on together, by parts of about a second of real time: so far they are apart at most.
FIRST_PART, PART_SECONDS, MOST_GROWTH = 60.0, 1.0, 4.0


@dataclass(frozen=True)
class Passed:
    """How many seconds passed for the daemons, in how many real ones, and what became of the traffic."""

    seconds: float
    took: float
    answered: Answered | None


@contextlib.contextmanager
def passed(bed: Testbed, seconds: float, said: str, traffic: Traffic | None = None) -> Iterator[Passed]:
    """So many seconds, which a sentence `said` as `24 hours`, have passed for every gateway when the body runs."""
    gateways = [bed.node(gateway) for gateway in bed.gateways()]
    if not gateways:
        raise BadInput("When", bed.scenario.name, "no node that runs a VPN", "one", "remove the sentence")
    for gateway in gateways:
        gateway.able(Feature.CLOCK).awaited()
    began = waiting.now()
    try:
        with kept_up(bed, traffic, f"while {said} pass") as found:
            _let_pass(bed, gateways, seconds)
        yield Passed(seconds, waiting.now() - began, found[0] if found else None)
    finally:
        list(bed.pool.map(lambda gateway: gateway.daemon.set_right(), gateways))


def _let_pass(bed: Testbed, gateways: list[NodeHandle], seconds: float) -> None:
    pace = min(max(seconds / PACED_SECONDS, LEAST_PACE), MOST_PACE)
    left, part = seconds, FIRST_PART
    while left > 0:
        part = min(part, left)
        began = waiting.now()
        list(bed.pool.map(lambda gateway, part=part: gateway.daemon.pass_time(part, pace), gateways))
        took = max(waiting.now() - began, PART_SECONDS / MOST_GROWTH)
        left, part = left - part, part * min(PART_SECONDS / took, MOST_GROWTH)
