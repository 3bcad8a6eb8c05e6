"""A firewall that accepts everything: if a packet is dropped then, it is not dropped by a filter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tunnelbed.faults.changes import READ_AGAIN
from tunnelbed.observe import nftrace
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node


@contextlib.contextmanager
def opened(bed: Testbed, gateway: Node) -> Iterator[None]:
    """A gateway whose filters accept everything while the body runs; NAT stays.

    Afterwards the files of its rules are read again.
    """

    def nft(*words: str) -> str:
        return bed.node(gateway).run(["nft", *words], check=True).stdout

    try:
        for chain in filters(nft("-j", "list", "chains")):
            nft("flush", "chain", *chain)
            nft("chain", *chain, "{ policy accept; }")
        yield
    finally:
        for file, command in READ_AGAIN.items():
            if (bed.scenario.configs / gateway.name / file).exists():
                bed.node(gateway).run(["sh", "-c", command], check=True)


def filters(listed: str) -> Sequence[tuple[str, str, str]]:
    """The chains that decide what passes, in the output of `nft -j list chains`: family, table, name."""
    found = [chain for chain in nftrace.chains(listed) if chain.get("type") == "filter"]
    return [(chain["family"], chain["table"], chain["name"]) for chain in found]
