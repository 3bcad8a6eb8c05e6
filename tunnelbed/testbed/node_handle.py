"""A node of a testbed, to ask and to act on: `bed.node("client-a1").run(["ip", "route"])`.

Each call uses the node's conversation of that moment, which is opened when first needed, and opened anew after the node
restarted: a handle stays good.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tunnelbed import vpn
from tunnelbed.engines import Engine
from tunnelbed.engines.agents import ANSWER_SECONDS, Agent, Agents, NodeSocket
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.host.shell import Completed
from tunnelbed.testbed.daemons import Daemons
from tunnelbed.topology.model import Interface, Node, Scenario
from tunnelbed.vpn.api import Daemon, Feature, Tunnel, Vpn


@dataclass(frozen=True)
class NodeHandle:
    """The handle of a node; `node` is its part of the stack, `project` the testbed's name on the engine."""

    node: Node
    scenario: Scenario
    engine: Engine
    project: str
    agents: Agents
    daemons: Daemons

    @property
    def name(self) -> str:
        """Its name in the stack."""
        return self.node.name

    @property
    def agent(self) -> Agent:
        """The connection to its agent now. Do not keep it beyond a restart of the node."""
        return self.agents.on(self.name)

    def run(self, command: Sequence[str], *, timeout: float = ANSWER_SECONDS, check: bool = False) -> Completed:
        """Run a command to its end, `timeout` in seconds; with `check`, a bad status raises `CommandFailed`."""
        return self.agent.run(command, timeout=timeout, check=check)

    def listen(self, command: Sequence[str]) -> contextlib.AbstractContextManager[list[str]]:
        """The lines that a command writes while the body runs, a growing list; afterwards it is ended."""
        return self.agent.listen(command)

    def write(self, path: str, text: str) -> None:
        """Write a file on the node. Raises `CommandFailed`."""
        self.agent.write(path, text)

    def send_frame(self, network: str, data: bytes) -> None:
        """Send a frame as it is into a network, past the node's own firewall."""
        self.agent.send_frame(network, data)

    def send_packet(self, data: bytes) -> None:
        """Send an IP packet where the node's routes lead; raises `CommandFailed` if they lead nowhere."""
        self.agent.send_packet(data)

    def connect(self, path: str) -> NodeSocket:
        """Open a UNIX stream socket of the node. Raises `CommandFailed` if no process listens there."""
        return self.agent.connect(path)

    def log(self, since: str = "") -> str:
        """What it has logged so far, or since a `mark`."""
        return self.engine.log(self.project, self.name, since)

    def mark(self) -> str:
        """Where its log ends now."""
        return self.engine.mark(self.project, self.name)

    @property
    def vpn(self) -> Vpn | None:
        """The VPN that it runs, by its own files; None: it runs none."""
        return vpn.of(self.node)

    @property
    def daemon(self) -> Daemon:
        """Its VPN's daemon. Raises `BadInput` where it runs no VPN."""
        if found := self.daemons.on(self.node):
            return found
        names = dict.fromkeys(PurePosixPath(file).name for kind in vpn.every() for file in kind.files)
        listed = ", ".join(node.name for node in self.scenario.nodes.values() if vpn.of(node))
        raise BadInput(
            self.scenario.name, self.name, f"no {' or '.join(names)}", f"one of: {listed}", "name another node"
        )

    def able(self, feature: Feature) -> Daemon:
        """Its daemon, of a VPN that has this; raises `BadInput` where it has no such thing, or the node no VPN."""
        daemon = self.daemon
        if self.vpn and feature not in self.vpn.features:
            found = f"{self.vpn.name}, which has no {feature.value}"
            raise BadInput(self.scenario.name, self.name, found, "a VPN that has them", "remove the sentence")
        return daemon

    def tunnels(self, peer: NodeHandle | None = None) -> tuple[Tunnel, ...]:
        """Its tunnels as its daemon lists them now, half-open ones too: with `peer`, or with all peers.

        Raises `NodeFailed` where the daemon does not answer, and `BadInput` where the node runs no VPN.
        """
        _ = self.daemon
        return tuple(tunnel for tunnel in self.daemons.tunnels(self.node) if peer is None or peer.is_end_of(tunnel))

    def is_end_of(self, tunnel: Tunnel) -> bool:
        """Whether the node is a tunnel's other end: there is its address, or from behind a NAT it proved its identity.

        Raises `NodeFailed` where it may be that, and has no identity by which one could know.
        """
        if not tunnel.behind_nat:
            return tunnel.peer in self.node.addresses
        if self.vpn is None:
            return False
        shown = {name for known in self.daemon.connections() for name in known.identities}
        if shown <= {"", "%any"}:
            raise NodeFailed(self.name, "has no connection with an id of its own", "give its `local` section one")
        return tunnel.peer_identity in shown

    def mac(self, network: str) -> str:
        """The MAC of its interface in a network."""
        return self.run(
            ["cat", f"/sys/class/net/{self.agents.interfaces.get(network, network)}/address"]
        ).stdout.strip()

    def interfaces(self, *words: str) -> Sequence[dict[str, Any]]:
        """Its interfaces with their addresses, as `ip -json address show` prints them; `words` are for `ip`.

        An interface on a network of the stack has the network's name here, whatever it is called in the node.
        """
        found: list[dict[str, Any]] = json.loads(
            self.run(["ip", "-json", "address", "show", *words], check=True).stdout
        )
        networks = {interface: network for network, interface in self.agents.interfaces.items()}
        return [{**link, "ifname": networks.get(link["ifname"], link["ifname"])} for link in found if link]

    def addresses(self, network: str = "") -> Sequence[Interface]:
        """The addresses that its interfaces have now, or those of one interface: the stack's, and lent ones."""
        return [
            ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}")
            for link in self.interfaces()
            for address in link.get("addr_info", ())
            if "local" in address and network in ("", link["ifname"])
        ]
