"""Isolation of the host from the testbed: routes, devices, privileges (the paper's sections 2.2 and 5.3)."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tunnelbed.checks.unmet import Unmet
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import capabilities
from tunnelbed.topology.model import Interface, Node, Subnet

# Which kernel, which network stack of it, then addresses with their devices, and routes.
LOOK = """
echo "$(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/net)"
ip -j -d address
ip -j -4 route show table all
ip -j -6 route show table all
"""
# Kinds of devices (ip-link(8)) that lead to no network of their own: what comes by them has come by another one, too.
WITHIN = {
    *("tun", "xfrm", "vti", "vti6", "wireguard", "ipip", "sit", "ip6tnl", "gre", "gretap", "erspan", "ip6gre"),
    *("ip6gretap", "ip6erspan", "geneve", "vxlan", "l2tp", "bridge", "bond", "team", "vrf", "vlan", "dummy", "ifb"),
}
# Devices that a kernel with those modules puts into every network stack by itself (ip-sysctl.rst,
# fb_tunnels_only_for_init_net); they lead nowhere.
FALLBACK = {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}


@dataclass(frozen=True)
class Stack:
    """One network stack: which it is, its devices by name and MAC, its addresses, and its routes.

    `kinds` has the kind of those devices that the kernel made by request; `above` the devices that each stands on, or
    is a port of, in this stack.
    """

    identity: str
    devices: Mapping[str, str]
    addresses: tuple[tuple[Interface, str], ...]
    routes: tuple[tuple[Subnet, str], ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    above: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def leading_out(self) -> set[str]:
        """The devices that lead to a network; not lo, nor tunnels, bridges and bonds on top of other devices."""
        return {name for name in self.devices if name != "lo" and self.kinds.get(name, "") not in WITHIN}


def machine(bed: Testbed) -> Stack:
    """The stack of the machine that runs the nodes."""
    return read(bed.engine.machine(["sh", "-ec", LOOK]).stdout)


def of(bed: Testbed, node: Node) -> Stack:
    """A node's stack."""
    return read(bed.node(node).run(["sh", "-ec", LOOK], check=True).stdout)


def read(text: str) -> Stack:
    """Read the output of `LOOK`."""
    identity, addresses, *routes = [line for line in text.splitlines() if line.strip()]
    links = json.loads(addresses)
    return Stack(
        identity,
        {link["ifname"]: link.get("address", "") for link in links},
        tuple(
            (ipaddress.ip_interface(f"{at['local']}/{at['prefixlen']}"), link["ifname"])
            for link in links
            for at in link.get("addr_info", ())
        ),
        tuple(
            (ipaddress.ip_network(route["dst"]), route.get("dev", ""))
            for line in routes
            for route in json.loads(line)
            if route["dst"] != "default"
        ),
        {link["ifname"]: link["linkinfo"]["info_kind"] for link in links if "info_kind" in link.get("linkinfo", {})},
        {link["ifname"]: frozenset(link[key] for key in ("link", "master") if link.get(key)) for link in links},
    )


def no_route_into(bed: Testbed) -> None:
    """The machine has no address on a device of the testbed's networks, and no route by one. Raises `Unmet`.

    What it has elsewhere leads elsewhere, whatever the numbers: another testbed's bridge, a VPN's route to 10.0.0.0/8.
    """
    if found := by(machine(bed), bed.engine.devices(bed.project)):
        raise Unmet("the host has no address in the testbed and no route into it", "; ".join(found))


def by(stack: Stack, devices: Iterable[str]) -> Sequence[str]:
    """The addresses and routes of a stack on these devices, or on others that stand on them, in words.

    Neither what a kernel gives every device (RFC 4291: link-local addresses, groups) nor lo.
    """
    ours = set(devices)
    while more := {name for name, below in stack.above.items() if below & ours} - ours:
        ours |= more
    found = [f"address {at} of {device}" for at, device in stack.addresses if device in ours and not _every(at.network)]
    found += [
        f"route to {target} by {device}" for target, device in stack.routes if device in ours and not _every(target)
    ]
    return found


def _every(subnet: Subnet) -> bool:
    return subnet.is_link_local or subnet.is_multicast


def devices_hidden(bed: Testbed) -> None:
    """No node has a device of the machine, lo aside, nor the machine's network stack itself. Raises `Unmet`."""
    ours = machine(bed)
    for node, stack in _stacks(bed):
        if stack.identity == ours.identity:
            raise Unmet(f"{node.name} has a network stack of its own", "it has the host's")
        if shared := sorted(_known(stack) & _known(ours)):
            told = ", ".join(f"{name} ({mac})" if mac else name for name, mac in shared)
            raise Unmet(f"no device of the host is visible in {node.name}", told)


def only_own_networks(bed: Testbed, nodes: Iterable[Node]) -> None:
    """A node has a device for each of its networks, lo, and no other that leads anywhere. Raises `Unmet`.

    A node that runs containers has devices towards these, too.
    """
    for node in nodes:
        found = of(bed, node).leading_out | {"lo"}
        wanted = {"lo", *(bed.scenario.networks[at.network].interface for at in node.attachments)}
        if wanted - found or (found - wanted and not node.privileged):
            expected = f"{node.name} has exactly {', '.join(sorted(wanted))}"
            raise Unmet(expected, ", ".join(sorted(found)))


def capabilities_exact(bed: Testbed, nodes: Iterable[Node]) -> None:
    """A node's first process has exactly the capabilities the stack gives, and can get no others. Raises `Unmet`."""
    for node in nodes:
        effective, bounding = _capabilities(bed, node)
        wanted = capabilities.given(node)
        if not node.privileged and (effective != wanted or bounding != wanted):
            told = ", ".join(sorted(effective | bounding)) or "none"
            raise Unmet(f"{node.name} has exactly {', '.join(sorted(wanted)) or 'no capability'}", told)


def unprivileged(bed: Testbed, nodes: Iterable[Node]) -> None:
    """A node is unprivileged: by its stack, and without SYS_ADMIN. Raises `Unmet`."""
    for node in nodes:
        _, bounding = _capabilities(bed, node)
        if node.privileged or "SYS_ADMIN" in bounding:
            raise Unmet(f"{node.name} is unprivileged", "privileged" if node.privileged else "it has SYS_ADMIN")


def _capabilities(bed: Testbed, node: Node) -> tuple[frozenset[str], frozenset[str]]:
    return capabilities.held(bed.node(node).run(["cat", "/proc/1/status"], check=True).stdout)


def _stacks(bed: Testbed) -> Sequence[tuple[Node, Stack]]:
    return list(bed.pool.map(lambda node: (node, of(bed, node)), bed.scenario.nodes.values()))


def _known(stack: Stack) -> set[tuple[str, str]]:
    """Devices by name and MAC; a machine's and a node's may have the same name, as docker0 in a nested node."""
    return {(name, mac) for name, mac in stack.devices.items() if name != "lo" and name not in FALLBACK}
