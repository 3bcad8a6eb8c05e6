"""A testbed to make mistakes in: a copy of the scenario's files, and the way from one mutant to the next.

The user's files are never touched: the stack and configurations are copied into a folder of their own, from which a
testbed comes up under its own name. A node sees its folder of configuration as it is on disk, so a mutant is written
there and the node told to read it again, by the least that does it:

    nftables.conf, iptables.rules    the rules are loaded anew
    swanctl.conf                     the connections are loaded anew
    any other file of a node         the node boots anew
    the stack, of one node           the node is made anew
    the stack, anything else         the testbed comes up anew

What would outlive the change (connections known to NAT, addresses of neighbours, tunnels) is forgotten each time, so
that no verdict depends on the mutant before.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunnelbed import vpn
from tunnelbed.engines import Progress
from tunnelbed.engines.agents import Agent
from tunnelbed.errors import DeadlinePassed, NodeFailed, TunnelbedError
from tunnelbed.faults.changes import CREDENTIAL, READ_AGAIN, difference, state, well
from tunnelbed.host import waiting
from tunnelbed.mutation import Mutant
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.readiness import READY
from tunnelbed.testbed.testbed import Testbed, find, open_testbed
from tunnelbed.topology.compose_file import load, named
from tunnelbed.topology.model import Scenario

# How a node reads a file again, by the file's name; a status other than 0 says that the file was refused.
RELOADS = {
    **READ_AGAIN,
    # All else goes, since not every file begins so: a table of the mutant before would stay.
    "nftables.conf": "{ echo flush ruleset; cat /etc/tunnelbed/node/nftables.conf; } | nft -f -",
    "swanctl.conf": "/usr/lib/tunnelbed/load",
}
# What holds while a tunnel is up is read when it comes up: it is enough to know that it can be read.
WHILE_UP = "nft --check --file /etc/tunnelbed/node/{}"
# Forget every connection: IPCTNL_MSG_CT_DELETE without a tuple (linux/netfilter/nfnetlink_conntrack.h), since a node
# has no conntrack(8). The kernel is to acknowledge it.
NETLINK_NETFILTER = 12
FORGET_CONNECTIONS = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0)
FORGET_NEIGHBOURS = "ip neighbour flush all"
# charon ends without a word to its peers, which do the same at that moment, and `vpn` starts it again: it then knows
# nothing but its files.
END_DAEMON = """cd /run/tunnelbed
decided() { until [ -e loaded ] || [ -e refused ]; do sleep 0.03; done; }
decided
rm -f loaded
kill -KILL $(cat /run/charon.pid)
decided"""
READY_SECONDS = 15.0


class Refused(Exception):
    """The testbed does not come up with a mutant: noticed before any feature could."""


@dataclass
class Changes:
    """What must be done to the nodes on the way from one set of files to another."""

    everything: bool = False
    made_anew: set[str] = field(default_factory=set)
    booted: set[str] = field(default_factory=set)
    reloaded: set[tuple[str, str]] = field(default_factory=set)


class Sandbox:
    """The copy, its testbed, and the mutant it has now."""

    def __init__(self, scene: Scenario, folder: Path, options: Options, patience: float, progress: Progress) -> None:
        self.original, self.folder, self.options, self.patience = scene, folder, options, patience
        self.progress = progress
        self.root = scene.stack.parent.parent
        self._copy()
        self.scene = load(scene.name, folder)
        self.bed = self._testbed()
        self._now: dict[Path, str] = {}
        self._broken = False
        self._found: dict[str, frozenset[str]] = {}

    def up(self) -> None:
        """Bring the unmutated testbed up, anew."""
        for path in self._now:
            self._write(path, None)
        self._now = {}
        self.scene = load(self.original.name, self.folder)
        self._anew()
        self._broken = False
        self._found = self._settled()

    def left(self) -> str:
        """What is otherwise than when the unmutated testbed came up: nothing, unless a mutant was not undone whole."""
        return "; ".join(difference(self._found, self._settled())[:5])

    def close(self) -> None:
        """Take everything down and away, wherever an interruption left it."""
        try:
            # Until what is under way has ended: a node that just starts again cannot be removed.
            self.bed.close()
            self.bed = self._testbed()
            self.bed.down()
        finally:
            self.bed.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def become(self, mutant: Mutant | None) -> None:
        """Have this mutant's files and no other changes, or with None the scenario's own.

        Raises `Refused` where a node does not take them; the next call mends that.
        """
        wanted = dict(mutant.changes) if mutant else {}
        differing = {path for path in {*self._now, *wanted} if self._now.get(path) != wanted.get(path)}
        before = self.scene
        for path in differing:
            self._write(path, wanted.get(path))
        self._now = wanted
        try:
            self.scene = load(self.original.name, self.folder)
        except TunnelbedError as refused:
            self._broken = True
            raise Refused(str(refused)) from refused
        changes = self._changes(before, differing)
        if self._broken:
            changes.everything = True
        self._broken = True
        try:
            self._carry_out(changes)
        except (TunnelbedError, OSError) as refused:
            raise Refused(str(refused)) from refused
        self._broken = False

    def _changes(self, before: Scenario, differing: set[Path]) -> Changes:
        """What must be done, since these files differ."""
        changes = Changes()
        for path in differing:
            if path == self.scene.stack.relative_to(self.folder):
                anew = _differing_nodes(before, self.scene)
                changes.everything |= anew is None
                changes.made_anew |= anew or set()
                continue
            node, name = path.parts[2], "/".join(path.parts[3:])
            if name in RELOADS or name.endswith(".nft"):
                changes.reloaded.add((node, name))
            else:
                changes.booted.add(node)
        return changes

    def _carry_out(self, changes: Changes) -> None:
        if changes.everything:
            self._anew()
            # A testbed made anew has credentials of its own.
            for node, lines in state(self.bed).items():
                self._found[node] = self._found[node] - _credentials(self._found[node]) | _credentials(lines)
            return
        self.bed.scenario = self.scene
        anew = changes.made_anew | changes.booted
        marks = {
            node: self.bed.engine.mark(self.bed.project, node) if node not in changes.made_anew else "" for node in anew
        }
        for node in sorted(anew):
            self.bed.agents.forget(node)
        list(self.bed.pool.map(self.bed.renew, sorted(changes.made_anew)))
        booted = sorted(changes.booted - changes.made_anew)
        list(self.bed.pool.map(lambda node: self.bed.engine.restart(self.bed.project, node), booted))
        for node, name in sorted(changes.reloaded):
            if node not in anew:
                self.bed.node(node).run(["sh", "-c", RELOADS.get(name, WHILE_UP.format(name))], check=True)
        if anew:
            waiting.until(lambda: self._unready(marks), READY_SECONDS, "nodes to be ready", good=lambda late: not late)
        self._forget(anew)

    def _anew(self) -> None:
        """The whole testbed anew, with the files as they are."""
        self.bed.close()
        self.bed.down()
        self.bed = self._testbed()
        self.bed.up(self.options, self.progress, check=False)

    def _settled(self) -> dict[str, frozenset[str]]:
        """The nodes' state once the tunnels are up and every node's own check passes."""
        tunnels.start(self.bed)
        well(self.bed)
        return state(self.bed)

    def _testbed(self) -> Testbed:
        bed = open_testbed(self.scene, self.folder, self.options.engine)
        bed.patience, bed.fail_fast = self.patience, True
        bed.captures = self.folder / "captures"
        return bed

    def _forget(self, anew: set[str]) -> None:
        """Let no node know anything from before; of the nodes made anew only the others must forget."""

        def forget(agent: Agent) -> None:
            known = agent.node not in anew
            if known and any((self.scene.configs / agent.node / name).exists() for name in READ_AGAIN):
                agent.ask_kernel(NETLINK_NETFILTER, FORGET_CONNECTIONS)
            ends = known and self.bed.node(agent.node).vpn
            agent.run(["sh", "-c", f"{FORGET_NEIGHBOURS}; {END_DAEMON}" if ends else FORGET_NEIGHBOURS])

        self.bed.agents.each(tuple(self.scene.nodes), forget)
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Let gateways that start their tunnels by themselves do so now that every peer is there to hear it.

        Whoever began a moment earlier spoke to a peer that was gone, or about to go.
        """
        starting = [node for node in self.bed.gateways() if vpn.setup(self.scene, node).starts]
        list(self.bed.pool.map(lambda node: tunnels.load_anew(self.bed, node), starting))

        def pending() -> bool:
            return any(not tunnel.carries for node in starting for tunnel in self.bed.node(node).tunnels())

        with contextlib.suppress(DeadlinePassed):  # with this mistake there may never be one
            waiting.until(pending, self.patience, "tunnels", good=lambda waits: not waits)

    def _unready(self, marks: Mapping[str, str]) -> Sequence[str]:
        """The nodes that have not logged since these marks that they are ready; a node that stopped fails at once."""
        states = self.bed.engine.states(self.bed.project)
        for node in marks:
            if states.get(node) in ("exited", "dead"):
                last = self.bed.engine.log(self.bed.project, node).strip().splitlines()[-2:]
                raise NodeFailed(node, " ".join(last), "see the mutant")
        return [node for node, mark in marks.items() if READY not in self.bed.engine.log(self.bed.project, node, mark)]

    def _copy(self) -> None:
        """The scenario's files, and a folder for each node, since one that is not there cannot be mounted."""
        if self.folder.exists():
            self._clear_away()
        # All beside the stack: what it includes, extends, takes variables from, or mounts.
        for path in (*self.original.stack.parent.rglob("*"), *self.original.configs.rglob("*")):
            target = self.folder / path.relative_to(self.root)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        for node in self.original.nodes:
            (self.folder / self.original.configs.relative_to(self.root) / node).mkdir(parents=True, exist_ok=True)

    def _clear_away(self) -> None:
        """What a run that was killed left behind."""
        for bed in find(self.folder, named):
            bed.down()
            bed.close()
        shutil.rmtree(self.folder)

    def _write(self, path: Path, text: str | None) -> None:
        """A mutant's text, or with None the scenario's own; a file that the scenario lacks is removed."""
        target, original = self.folder / path, self.root / path
        if text is not None:
            target.write_text(text, encoding="utf-8")
        elif original.is_file():
            shutil.copy2(original, target)
        else:
            target.unlink(missing_ok=True)


def _credentials(lines: frozenset[str]) -> frozenset[str]:
    return frozenset(line for line in lines if line.startswith(CREDENTIAL))


def _differing_nodes(before: Scenario, after: Scenario) -> set[str] | None:
    """The nodes that differ in what one container has alone; None where networks or addresses differ."""
    if before.networks != after.networks or list(before.nodes) != list(after.nodes):
        return None
    differing = {name for name, node in after.nodes.items() if node != before.nodes[name]}
    if any(before.nodes[name].attachments != after.nodes[name].attachments for name in differing):
        return None
    return differing
