"""The mistake behind the others: no tunnel at all, plain routing in its place, and everything seems to work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import nftables, operator, routes, swanctl


@operator("plain-routing")
def plain_routing(files: Sources) -> Iterator[Mutant]:
    """No tunnel: the routers know every private network, the firewalls accept everything in clear."""
    # The gateways still know each other and have no tunnel to offer: charon without any connection does not start.
    changes: dict[Path, str] = {}
    gateways = list(swanctl.everywhere(files))
    for connections in gateways:
        changes |= swanctl.without_children(connections)
    if not changes:
        return
    for node, path, text in files.having(nftables.FILES[0]):
        if any(connections.node == node for connections in gateways):
            changes[path] = _open(text)
    for node, _, text in files.having(nftables.WHILE_UP):
        path = files.file(node, nftables.FILES[0])
        changes[path] = changes.get(path, files.text(path)) + nftables.always(text)
    for leak in routes.route_leaked(files):
        for path, text in leak.changes.items():
            line = text.splitlines()[-1]
            changes[path] = "\n".join([*changes.get(path, files.text(path)).splitlines(), line]) + "\n"
    yield Mutant("plain-routing", "every gateway", "every gateway: plain routing in place of the tunnels", changes)


def _open(text: str) -> str:
    """A gateway's firewall that accepts everything, and leaves private sources as they are."""
    kept = [line.replace("policy drop", "policy accept") for line in text.splitlines() if "masquerade" not in line]
    return "\n".join(line for line in kept if not line.strip().endswith(" drop")) + "\n"
