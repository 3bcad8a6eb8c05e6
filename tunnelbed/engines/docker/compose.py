"""The override that fits a scenario's stack to this machine, and the Compose commands that use it.

`docker compose -f compose/X.yaml -f override.yaml` is the whole of it: the stack says what the network is, the override
what this machine adds (underlay subnets, parent links, mounts, the image's tag). Both can be read and run by hand.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from tunnelbed.engines import Plan
from tunnelbed.engines.docker import drivers, links
from tunnelbed.engines.docker.underlay import addresses
from tunnelbed.errors import BadInput, CommandFailed
from tunnelbed.host import shell
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import Network, Node

# Where node scripts are in a node, and what is found without its path there: as compose/images/Dockerfile has both.
SCRIPTS = "/usr/lib/tunnelbed"
PATH = f"{SCRIPTS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What every node has of its own; Docker has files of its own below /etc, too.
CONFIGS = "/etc/tunnelbed"
OWN = ("/etc/hosts", CONFIGS, "/run/tunnelbed", "/var/run/tunnelbed", SCRIPTS)
# What Docker says of a container that the kernel was too busy to end within its 10 s: it ends later.
STILL_ENDING = "did not receive an exit event"
TRIES = 6
HEADER = "# What this machine adds to {stack}; made anew by every `invoke up`.\n"


def render(plan: Plan, subnets: Mapping[str, IPv4Network], parents: Mapping[str, str]) -> str:
    """The override file's text. `parents` names a link for each network; empty where Docker makes what it needs."""
    found = addresses(plan.scenario, subnets)
    document = {
        "services": {name: _service(plan, node, found) for name, node in plan.scenario.nodes.items()},
        "networks": {
            name: {
                # A name that the stack gives would be the same for each instance.
                "name": f"{plan.project}_{name}",
                "driver": drivers.of(plan, network),
                # Nothing a testbed sends leaves the machine, whatever the stack says or forgets.
                "internal": True,
                **_driver_options(plan, network, parents),
                # The node gives itself its IPv6 addresses too, so no engine needs to be configured for IPv6.
                "enable_ipv6": False,
                "ipam": _Override(config=[{"subnet": str(subnets[name])}]),
            }
            for name, network in plan.scenario.networks.items()
        },
    }
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120)
    # Compose reads a dollar as the start of a variable.
    return HEADER.format(stack=plan.scenario.stack.name) + text.replace("$", "$$")


def refuse_mounts(plan: Plan) -> None:
    """Raise `BadInput` for a folder that the stack mounts over what a node has there of its own, or in the midst of it.

    Docker makes the places of further mounts below it, and so would write into it, on this machine; and a node removes
    what it made below /run/tunnelbed itself.
    """
    for node in plan.scenario.nodes.values():
        for target in node.mounts:
            # Above one of them, the same, or below it.
            folder = f"{posixpath.normpath(target).rstrip('/')}/"
            if any(f"{place}/".startswith(folder) or folder.startswith(f"{place}/") for place in OWN):
                where = (yaml_sections.shorten(plan.scenario.stack), f"services.{node.name}.volumes")
                expected = f"a path that nodes do not use themselves ({', '.join(OWN)})"
                raise BadInput(*where, f"a folder at {target}", expected, "mount it elsewhere")


def command(project: str, *words: str, files: Sequence[Path] = ()) -> list[str]:
    """A Compose command for one testbed."""
    chosen = [word for file in files for word in ("-f", str(file))]
    return ["docker", "compose", "--progress", "plain", "-p", project, *chosen, *words]


def down(project: str) -> None:
    """Remove a testbed's containers, networks and volumes; what the machine was too busy to end is tried again."""
    for left in reversed(range(TRIES)):
        try:
            shell.run(command(project, "down", "-t", "0", "--volumes", "--remove-orphans"))
        except CommandFailed as failed:
            if not left or STILL_ENDING not in failed.output:
                raise
        else:
            return


def carried(plan: Plan, node: Node) -> Path:
    """The tar file with the images that a node carries."""
    return plan.state / f"{node.name}.images.tar"


def scripts(plan: Plan) -> Path:
    """The folder of node scripts for images that are not ours."""
    return plan.state / "scripts"


def _service(plan: Plan, node: Node, found: Mapping[tuple[str, str], object]) -> Mapping[str, Any]:
    volumes = []
    configs = plan.scenario.configs / node.name
    if configs.is_dir():
        volumes.append(f"{configs.resolve()}:/etc/tunnelbed/node:ro")
    needs = plan.needed(node.name)
    volumes += [f"{mount.source.resolve()}:/etc/tunnelbed/{mount.name}:ro" for mount in needs.mounts]
    # Somebody else's image becomes a node by our scripts; what it lacks of programs, they say.
    if foreign := node.image not in plan.images:
        volumes.append(f"{scripts(plan).resolve()}:{SCRIPTS}:ro")
    if node.carried:
        volumes.append(f"{carried(plan, node).resolve()}:/etc/tunnelbed/images.tar:ro")
    networks = [plan.scenario.networks[at.network] for at in node.attachments]
    return {
        **({"image": plan.images.get(node.image, node.image)} if node.image else {}),
        # A node sets itself up first, and then becomes whatever it shall be.
        **({"entrypoint": [f"{SCRIPTS}/boot"]} if foreign or node.entrypoint else {}),
        **({"user": "0:0"} if foreign or "user" in node.otherwise else {}),
        **({"command": list(node.command)} if node.entrypoint else {}),
        **({"command": ["rest"]} if foreign and not node.command else {}),
        **({"platform": plan.platform} if plan.platform else {}),
        "hostname": node.hostname or node.name,
        "environment": {
            **({"PATH": PATH} if foreign else {}),
            "TUNNELBED_INTERFACES": "".join(
                " ".join([network.interface, str(found[node.name, at.network]), *map(str, at.addresses)]) + "\n"
                for at, network in zip(node.attachments, networks, strict=True)
            ),
            **plan.environment(node.name),
        },
        "networks": _Override(
            {
                at.network: {
                    "ipv4_address": str(found[node.name, at.network]),
                    **({"mac_address": at.mac} if at.mac else {}),
                }
                for at in node.attachments
            }
        ),
        **({"volumes": volumes} if volumes else {}),
        **({"devices": list(needs.devices)} if needs.devices else {}),
        # `up` runs the check itself, when it wants to know: a testbed at rest is silent on the wire.
        **({"healthcheck": {"disable": True}} if node.check or foreign else {}),
        # Docker asks the machine's name servers on behalf of a node that is in a network which is not internal. Nobody
        # is at this address (RFC 5737).
        **({"dns": ["192.0.2.53"]} if any(drivers.of(plan, network) == "bridge" for network in networks) else {}),
        # The log is read back whatever the engine's default driver is.
        "logging": _Override(driver="local") if "logging" in node.otherwise else {"driver": "local"},
        "labels": {"tunnelbed.node": node.name},
        **{word: INSTEAD[word] for word in node.otherwise if word in INSTEAD},
    }


def _driver_options(plan: Plan, network: Network, parents: Mapping[str, str]) -> Mapping[str, Any]:
    if drivers.of(plan, network) == "bridge":
        return {
            # What an internal bridge may carry Docker limits, by iptables, to the addresses it handed out; and where
            # br_netfilter is loaded, that holds inside the bridge too. Ours lets nothing out anyway (node/parents).
            "internal": False,
            "driver_opts": _Override(
                {
                    links.BRIDGE: parents[network.name],
                    "com.docker.network.bridge.inhibit_ipv4": "true",
                    "com.docker.network.bridge.enable_ip_masquerade": "false",
                }
            ),
        }
    # In place of the stack's, which may name a device of this machine's.
    return {"driver_opts": _Override({links.PARENT: parents[network.name]} if network.name in parents else {})}


class _Override(dict[str, Any]):
    """A mapping that replaces the stack's, instead of being merged into it (Compose's `!override`)."""


class _Reset:
    """Removes a key of the stack (Compose's `!reset`)."""


class _Dumper(yaml.SafeDumper):
    """Writes an `_Override` and a `_Reset` with their tags, and a text of several lines as a block."""


_Dumper.add_representer(_Override, lambda dumper, data: dumper.represent_mapping("!override", data))
_Dumper.add_representer(_Reset, lambda dumper, _: dumper.represent_scalar("!reset", "null"))
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)

# In place of the words of a service that a testbed does otherwise (`topology.limits`).
INSTEAD: Mapping[str, object] = {
    "ports": _Reset(),
    "container_name": _Reset(),
    "depends_on": _Reset(),
    "restart": "no",
}
