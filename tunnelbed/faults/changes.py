"""Changes to a testbed that a test makes, each undone at its end, and the proof that nothing is left of them.

changes = Changes(bed)
changes.make(trust.revoked(bed, gateway))  # any context manager: entered now, left by `undo`
changes.undo()                             # raises if the testbed is not as it was found
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import TypeVar

from tunnelbed import vpn
from tunnelbed.errors import DeadlinePassed, NodeFailed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node

T = TypeVar("T")
# With its tunnels up, a testbed answers at once.
WELL_SECONDS = 15.0

# What of a node outlives a test: addresses, routes, firewall, credentials, and what its VPN adds. By few processes,
# since every node is asked again and again.
STATE = r"""
set -e
echo '== address'; ip -o address show scope global
echo '== route'; ip -o -4 route show; ip -o -6 route show
set +e
echo '== firewall'; nft -s list ruleset 2>/dev/null
echo '== credential'; set -- /etc/tunnelbed/keys/*/*; [ ! -e "$1" ] || sha256sum "$@"
"""
# Numbers that the kernel counts up (indexes of interfaces, lifetimes of addresses and routes) and what it says or not.
COUNTED = re.compile(r"^\d+: |\\ +valid_lft .*| pref medium| expires \d+sec")
CREDENTIAL = "credential "
# Docker's own resolver, whose rules in a node's firewall come with ports of their own in each new container.
RESOLVER = "127.0.0.11"
# How a node reads its rules again, by the file they are in; a status other than 0 says that the file was refused.
READ_AGAIN = {
    "nftables.conf": "nft -f /etc/tunnelbed/node/nftables.conf",
    "iptables.rules": "iptables-restore /etc/tunnelbed/node/iptables.rules",
    "ip6tables.rules": "ip6tables-restore /etc/tunnelbed/node/ip6tables.rules",
}


class Changes:
    """The changes to one testbed, made and undone test by test."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._made = contextlib.ExitStack()
        self._found: Mapping[str, frozenset[str]] = {}
        self._changed = False

    @property
    def pending(self) -> bool:
        """Whether anything is changed that is not undone yet."""
        return self._changed

    def make(self, change: contextlib.AbstractContextManager[T]) -> T:
        """Make a change, to be undone by `undo`; before the first one, the testbed's state is written down."""
        self._found = self._found or state(self._bed)
        self._changed = True
        return self._made.enter_context(change)

    def undo(self) -> None:
        """Undo all changes, the last one first; then every node's check passes and its state is as it was before.

        Raises `TunnelbedError` if it is not.
        """
        if not self._changed:
            return
        self._changed = False
        self._made.close()
        tunnels.settled(self._bed)
        tunnels.start(self._bed)
        well(self._bed, self._bed.patience if self._bed.fail_fast else WELL_SECONDS)
        if left := difference(self._found, state(self._bed)):
            told = "; ".join(left[:5])
            raise TunnelbedError(
                f"{self._bed.name} is not in the state it was in before: {told}; take it down, then bring it up again"
            )

    def abandon(self) -> None:
        """Undo all changes and look no further: for a testbed that is not proven again before it begins anew."""
        self._changed = False
        self._made.close()


def well(bed: Testbed, seconds: float = WELL_SECONDS) -> None:
    """Every node's own check passes, or will within `seconds`, those aside that never did. Raises `NodeFailed`."""

    def is_well(node: Node) -> None:
        def attempt() -> str:
            done = bed.node(node).run(node.check)
            return (done.output.strip() or f"it ends with {done.status}") if done.status else ""

        try:
            waiting.until(attempt, seconds, "the check", good=lambda complaint: not complaint)
        except DeadlinePassed as late:
            raise NodeFailed(node.name, f"its check does not pass: {late.last}", "see `invoke logs`") from late

    failing = set(bed.failing)
    list(
        bed.pool.map(is_well, [node for node in bed.scenario.nodes.values() if node.check and node.name not in failing])
    )


def state(bed: Testbed) -> dict[str, frozenset[str]]:
    """What of each node outlives a test, as lines."""
    names = list(bed.scenario.nodes)
    # A rogue gateway's would be left on a node that runs no VPN of its own.
    asked = "".join([STATE, *(kind.state for kind in vpn.every()), "exit 0"])
    said = bed.pool.map(lambda name: bed.node(name).run(["sh", "-c", asked], check=True).stdout, names)
    found = {name: lines(text) for name, text in zip(names, said, strict=True)}
    # What a gateway lends may be another address the next time.
    return {
        name: _own(bed.scenario.node(name), told) if bed.setup(bed.scenario.node(name)).borrows else told
        for name, told in found.items()
    }


def _own(node: Node, told: frozenset[str]) -> frozenset[str]:
    """A node's state without the addresses that the stack does not give it."""
    own = [f" {interface} " for attachment in node.attachments for interface in attachment.addresses]
    return frozenset(line for line in told if not line.startswith("address ") or any(word in line for word in own))


def lines(text: str) -> frozenset[str]:
    """The output of `STATE`, each line with its heading, without counters of the kernel."""
    found, heading = set(), ""
    for line in text.splitlines():
        if line.startswith("== "):
            heading = line[3:]
        elif RESOLVER not in line:
            found.add(f"{heading} {COUNTED.sub('', line) if heading in ('address', 'route') else line}")
    return frozenset(found)


def difference(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> list[str]:
    """What was lost and what was added, a line each.

    Rules that a tunnel adds to a firewall while it is up are no difference: it may have been down before.
    """
    found = []
    for node, lines in before.items():
        found += [f"{node} lost {line}" for line in sorted(lines - after[node])]
        added = sorted(after[node] - lines)
        found += [f"{node} has more: {line}" for line in added if not line.startswith("firewall ")]
    return found
