"""Testbeds on a fake network, as a test wants them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.fake_network.network import FakeNetwork
from tunnelbed.faults.changes import Changes
from tunnelbed.host import waiting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Scenario


class Fresh(Changes):
    """Changes of a testbed that nobody uses again, so that nothing of them need be undone and proven undone."""

    def undo(self) -> None:
        """Take the changes back, and look no further."""
        self.abandon()


@contextlib.contextmanager
def brought_up(
    scenario: Scenario, root: Path, *, plane: str = "user", keys: Path | None = None
) -> Iterator[tuple[Testbed, FakeNetwork]]:
    """A testbed that is up below `root`, and its network; seconds are counted by the network's clock meanwhile.

    `keys` is a folder of certificates to begin with; without it, gateways believe each other.
    """
    own = root / ".tunnelbed" / scenario.name / "pki"
    if keys is not None:
        shutil.copytree(keys, own)
    network = FakeNetwork(scenario, plane=plane, keys=own if keys is not None else None)
    bed = Testbed(scenario, root, network)
    bed.pool.shutdown()
    bed.pool = network.workers
    bed.captures = root / "captures"
    with waiting.measured_by(network.clock):
        try:
            yield bed, network
        finally:
            bed.close()
            network.stop("", root)
