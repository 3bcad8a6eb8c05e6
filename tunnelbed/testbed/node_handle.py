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
from typing import Any

from tunnelbed.engines.agents import ANSWER_SECONDS, Agent, Agents
from tunnelbed.shell import Completed
from tunnelbed.topology.model import Interface, Node


@dataclass(frozen=True)
class NodeHandle:
    """What a node can be asked; `node` is what the stack says of it."""

    node: Node
    agents: Agents

    @property
    def name(self) -> str:
        """Its name in the stack."""
        return self.node.name

    @property
    def agent(self) -> Agent:
        """The conversation with it now. Whoever keeps it must not outlive a restart of the node."""
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
