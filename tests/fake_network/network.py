"""The wires between the nodes, and the engine that a testbed takes them for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import yaml
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.fake_network import charon, commands, esp, ip
from tests.fake_network.application import serving
from tests.fake_network.clock import LeapingClock
from tests.fake_network.conversation import Conversation
from tests.fake_network.nft_reader import Chain
from tests.fake_network.passing import TUN, Passing
from tests.fake_network.stack import BROADCAST, FakeNode
from tests.fake_network.workers import Workers
from tunnelbed.engines import Plan
from tunnelbed.engines.agents import AGENT
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import CommandFailed, NodeFailed
from tunnelbed.host.shell import Completed
from tunnelbed.topology.model import Address, Scenario

ETHERNET, NONE = 1, 65534  # linux/if_arp.h
HOST, OUTGOING = 0, 4  # linux/if_packet.h
# A node that some frames do not come from or to, for want of a wire.
Frames = Callable[[str, str, bytes], bool]


class FakeNetwork(FakeEngine):
    """An engine on which one scenario is up, and computed.

    `keys` is the folder with each node's certificates; without it a gateway is whoever it says it is.
    `plane` says who does ESP: `user`, where the clear side is the interface ipsec0, or `kernel`. `answers` are asked
    first about each command that a node runs: a test that knows better answers, or returns None.
    """

    def __init__(self, scenario: Scenario, *, plane: str = "user", keys: Path | None = None) -> None:
        super().__init__()
        self.scenario, self.plane, self.keys = scenario, plane, keys
        self.answers: list[Callable[[str, Sequence[str]], Completed | None]] = []
        self.lock = threading.RLock()
        self.clock = LeapingClock(self.quiet, self.lock)
        self.workers = Workers()
        self.logs: dict[str, list[str]] = {name: [] for name in scenario.nodes}
        self._under_way: deque[Callable[[], None]] = deque()
        self._moving = False
        self._number = 0
        self._open: list[Conversation] = []
        self._sas: dict[int, esp.Sa] = {}
        self.nodes = {
            name: FakeNode(self, spec, number) for number, (name, spec) in enumerate(scenario.nodes.items(), 1)
        }
        self.charons = charon.gateways(self)
        for name in self.nodes:
            self.boot(name)

    def boot(self, name: str) -> None:
        """Make a node what its files say, as scripts/node/boot does; its daemon starts."""
        node, files = self.nodes[name], self.scenario.configs / name
        node.reset()
        if (files / "nftables.conf").exists():
            node.rules.read((files / "nftables.conf").read_text(encoding="utf-8"))
        if (files / "ip.batch").exists():
            for line in (files / "ip.batch").read_text(encoding="utf-8").splitlines():
                ip.change(node, line.partition("#")[0].split())
        serving(node)
        if name in self.charons:
            self.charons[name].start()
        self.say(name, "tunnelbed: ready")

    def say(self, node: str, line: str) -> None:
        """A line in a node's log."""
        self.logs[node].append(line)

    # The wires.

    def transmit(self, node: FakeNode, name: str, data: bytes) -> None:
        """A node sends a frame into a network."""
        link = node.links.get(name)
        if link is None or not link.up or not self._leaves(node, name, data):
            return
        self.seen(node, name, data, outgoing=True)
        if link.private:
            return
        receiver = data[:6].hex(":")
        for other in self.nodes.values():
            there = other.links.get(name)
            if other is node or there is None or not there.up or there.private:
                continue
            if receiver in (there.mac, BROADCAST) or receiver in there.groups:
                self.later(partial(self._arrive, other, name, data))

    def _arrive(self, node: FakeNode, name: str, data: bytes) -> None:
        self.seen(node, name, data, outgoing=False)
        node.heard(name, data)

    def _leaves(self, node: FakeNode, name: str, data: bytes) -> bool:
        """Whether the node's own rules for what leaves by a device let a frame pass."""
        return all(_lets(node, chain, data, name) for chain in node.rules.egress(name))

    def seen(self, node: FakeNode, name: str, data: bytes, *, outgoing: bool, like: Packet | None = None) -> None:
        """Whoever watches a node sees a frame; what comes out of a tunnel has a frame that is `like` its carrier's."""
        hardware = ETHERNET
        if name == TUN:
            hardware = NONE
        elif like is not None:
            mac = node.links[name].mac
            data = bytes(Ether(src=BROADCAST, dst=mac, type=0x0800 if data[0] >> 4 == 4 else 0x86DD)) + data
        at = self.clock.tick()
        for conversation in self._open:
            if conversation.node is node:
                conversation.frame(name, OUTGOING if outgoing else HOST, hardware, at, data)

    def traced(self, node: FakeNode, line: str) -> None:
        """A line of `nft monitor trace` on a node."""
        for conversation in self._open:
            if conversation.node is node:
                conversation.traced(line)

    def hang_up(self, node: FakeNode) -> None:
        """A node's charon has ended: whoever talks with it is told."""
        for conversation in self._open:
            if conversation.node is node:
                conversation.hang_up()

    def mac_of(self, address: Address, name: str, asking: FakeNode) -> str | None:
        """Who has an address on a network, as ARP or its successor would find it."""
        for node in self.nodes.values():
            link = node.links.get(name)
            if node is asking or link is None or not link.up or link.private:
                continue
            if any(own.ip == address for own in link.addresses):
                return link.mac
        return None

    def direct(self, node: FakeNode, target: Address) -> bool:
        """Whether a target is on a network of the node's own."""
        return any(target in own.network for name, own in node.addresses() if name != "lo")

    def later(self, action: Callable[[], None]) -> None:
        """Something happens once what happens now is over."""
        self._under_way.append(action)

    def move(self) -> None:
        """Let everything that is under way arrive."""
        with self.lock:
            if self._moving:
                return
            self._moving = True
            try:
                while self._under_way:
                    self._under_way.popleft()()
            finally:
                self._moving = False

    def quiet(self) -> None:
        """Return when everybody has been told all that was seen, and who was sent for has come."""
        self.workers.arrived()
        self.move()
        for conversation in list(self._open):
            conversation.drained()

    def sa(self, spi: int, source: str, target: str, *, null: bool) -> esp.Sa:
        """The security association of an SPI, which both its ends know."""
        return self._sas.setdefault(spi, esp.Sa(spi, source, target, null))

    def next_number(self) -> int:
        """A number that no packet had before."""
        self._number += 1
        return self._number

    # The engine.

    def states(self, project: str) -> dict[str, str]:
        """As `Engine.states`: every node runs."""
        del project
        return dict.fromkeys(self.nodes, "running")

    def run(
        self, project: str, node: str, command: Sequence[str], *, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        """As `Engine.run`."""
        del project, stdin
        with self.lock:
            done = commands.run(self, self.nodes[node], command)
            if not isinstance(done, Completed):
                raise TypeError(f"{command} takes its time: let an agent run it")
            self.move()
        if check and done.status:
            raise CommandFailed(command, done.status, done.output, node)
        return done

    def open(self, project: str, node: str, command: Sequence[str]) -> Conversation:  # type: ignore[override]
        """As `Engine.open`: the agent, and nothing else."""
        del project
        if node not in self.nodes:
            raise NodeFailed(node, "does not run", "bring the testbed up first")
        if tuple(command) != AGENT:
            raise ValueError(f"only the agent is opened here, not {command}")
        conversation = Conversation(self, self.nodes[node])
        self._open.append(conversation)
        return conversation

    def closed(self, conversation: Conversation) -> None:
        """A conversation is over."""
        if conversation in self._open:
            self._open.remove(conversation)

    def log(self, project: str, node: str, since: str = "") -> str:
        """As `Engine.log`."""
        del project
        return "".join(f"{line}\n" for line in self.logs[node][int(since or 0) :])

    def mark(self, project: str, node: str) -> str:
        """As `Engine.mark`."""
        del project
        return str(len(self.logs[node]))

    def machine(self, command: Sequence[str]) -> Completed:
        """As `Engine.machine`: a machine with a network stack of its own, which no node shares."""
        return commands.on_machine(command)

    def restart(self, project: str, node: str) -> None:
        """As `Engine.restart`."""
        del project
        with self.lock:
            for conversation in [one for one in self._open if one.node.name == node]:
                conversation.close()
            self.boot(node)

    def renew(self, plan: Plan, node: str) -> None:
        """As `Engine.renew`: the node may do what its stack says now."""
        stack = yaml.safe_load(plan.scenario.stack.read_text(encoding="utf-8"))
        service, renewed = stack["services"][node], self.nodes[node]
        renewed.more_capabilities = frozenset(service.get("cap_add", ()))
        renewed.sysctls = {key: str(value) for key, value in service.get("sysctls", {}).items()}
        self.restart(plan.project, node)

    def stop(self, project: str, state: Path) -> dict[str, int]:
        """As `Engine.stop`: conversations end."""
        del project, state
        for conversation in list(self._open):
            conversation.close()
        return {"container": len(self.nodes)}


def _lets(node: FakeNode, chain: Chain, data: bytes, name: str) -> bool:
    passing = Passing(node, Ether(data).payload, "", name)
    return node.rules.decide(chain, passing, lambda _: None).verdict == "accept"
