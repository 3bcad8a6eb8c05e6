"""Settings in a VPN's own words that hold in all of a gateway's connections for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tunnelbed.errors import BadInput, CommandFailed
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node


@contextlib.contextmanager
def set_to(bed: Testbed, gateway: Node, *, own: str = "", of_child: str = "") -> Iterator[None]:
    """A line holds in each connection, or in each child of one. Raises `BadInput` if the VPN refuses it."""
    said = own or of_child
    try:
        with bed.node(gateway).daemon.overlaid(own=own, of_child=of_child):
            yield
    except CommandFailed as refused:
        found = f"it is refused: {refused.output.strip().splitlines()[0] if refused.output.strip() else refused}"
        raise BadInput("Given", said, found, "a line of the VPN's configuration", "correct the sentence") from refused
