"""Scenarios on disk: find one by name, read its stack, refuse what cannot hold.

The stack is standard Compose and the only place that says who is attached where. Compose itself checks its
grammar when the testbed comes up; here is checked what Compose cannot know: addresses and their subnets, names that
must fit an interface, configuration folders without a node.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tunnelbed.errors import BadInput
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import LONGEST_NAME, Address, Attachment, Interface, Network, Node, Scenario, Subnet
from tunnelbed.topology.yaml_sections import Section, shown

ROLE, SITE, IMAGES = "tunnelbed.role", "tunnelbed.site", "tunnelbed.images"
# A scenario's name begins every name on the engine (Compose's rule for a project's name); an instance's follows `--`.
NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
# Names the kernel gives to interfaces, or to all of them together below /proc/sys/net, and strongSwan to its own.
TAKEN = re.compile(r"lo|all|default|eth\d+|ipsec\d+")


def names(root: Path) -> tuple[str, ...]:
    """The scenarios below a folder that has `compose/`, sorted; `NAME.nested.yaml` belongs to NAME."""
    return tuple(sorted(path.stem for path in (root / "compose").glob("*.yaml") if "." not in path.stem))


def named(name: str, root: Path) -> Scenario:
    """The scenario of that name, its files not read: enough to take down what they may no longer describe."""
    return Scenario(name, root / "compose" / f"{name}.yaml", root / "configs" / name, root / "features", {}, {})


def load(name: str, root: Path) -> Scenario:
    """Read the scenario `name` of the folder `root`, which holds `compose/`, `configs/` and `features/`.

    Raises `BadInput` with the file and key of the first thing wrong.
    """
    known = names(root)
    if name not in known:
        listed = ", ".join(known) or f"none: there is no *.yaml in {root / 'compose'}"
        raise BadInput("--scenario", "", repr(name), f"one of: {listed}", "choose one of them")
    scene = named(name, root)
    path = scene.stack
    if not NAME.fullmatch(name):
        raise BadInput(
            yaml_sections.shorten(path),
            "",
            name,
            "lower-case letters and digits, with single - or _ between",
            "rename the file",
        )
    stack = yaml_sections.read(path, "YAML in the Compose format: a mapping with services and networks")
    for word in ("include", "extends"):
        if word in stack.said:
            raise stack.bad(word, "it", "one file", "put the whole stack there; YAML anchors avoid repetition")
    networks = {name: _network(name, said) for name, said in stack.section("networks").sections()}
    nodes = {name: _node(name, said, networks, path) for name, said in stack.section("services").sections()}
    if not nodes:
        raise stack.bad("services", "none", "the scenario's nodes", "write a service for each node")
    _no_address_twice(stack, nodes, networks)
    _configs_have_nodes(stack, scene.configs, nodes)
    return replace(scene, networks=networks, nodes=nodes)


def nested(scene: Scenario) -> Scenario:
    """The scenario in the form where nodes run containers of their own, as `compose/NAME.nested.yaml` says.

    That file is Compose's to merge; what is read here is what the testbed must know of it.
    """
    path = scene.stack.with_suffix(".nested.yaml")
    if not path.exists():
        raise BadInput("--nested", "", scene.name, f"a scenario with {yaml_sections.shorten(path)}", "leave it away")
    overlay = yaml_sections.read(path, "YAML in the Compose format: a mapping with services")
    nodes = dict(scene.nodes)
    for name, said in overlay.section("services").sections():
        if name not in nodes:
            raise said.bad("", f"service {name}", f"a node of {scene.name}: {', '.join(nodes)}", "correct the name")
        nodes[name] = replace(
            nodes[name],
            image=str(said.said.get("image") or nodes[name].image),
            command=said.words("command") or nodes[name].command,
            privileged=bool(said.said.get("privileged", nodes[name].privileged)),
            carried=tuple(said.pairs("labels").get(IMAGES, "").split()),
        )
    return replace(scene, nodes=nodes, overlay=path)


def asked_images(said: str) -> Mapping[str, str]:
    """Who shall have which image, by node or role: `gateway=me/charon:dev,client-a1=...`; raises `BadInput`."""
    asked: dict[str, str] = {}
    for one in said.split(",") if said else ():
        who, _, image = (word.strip() for word in one.partition("="))
        if not who or not image:
            raise BadInput("--image", "", repr(one), "WHO=IMAGE, with commas between several", "correct it")
        if who in asked:
            raise BadInput("--image", "", f"{who} twice", "one image for each", "leave one away")
        asked[who] = image
    return dict(sorted(asked.items()))


def with_images(scene: Scenario, asked: Mapping[str, str]) -> Scenario:
    """The scenario with other images for some nodes or roles; what is said of a node itself counts.

    A role that is called like a node means that node.
    """
    nodes = dict(scene.nodes)
    roles = {node.role for node in nodes.values() if node.role} - set(nodes)
    if unknown := set(asked) - roles - set(nodes):
        expected = f"one of: {', '.join([*sorted(roles), *nodes])}"
        raise BadInput("--image", "", ", ".join(sorted(unknown)), expected, "correct it")
    for name, node in nodes.items():
        image = asked.get(name) or (asked.get(node.role) if node.role in roles else None)
        nodes[name] = replace(node, image=image or node.image)
    return replace(scene, nodes=nodes)


def _network(name: str, said: Section) -> Network:
    if len(name) > LONGEST_NAME:
        expected = f"at most {LONGEST_NAME}, since it is also the name of an interface"
        raise said.bad("", f"a name of {len(name)} characters", expected, "shorten it")
    if TAKEN.fullmatch(name):
        raise said.bad("", "that name", "one that no interface has by itself", "rename the network")
    ipam = said.section("ipam")
    subnets = tuple(_subnet(pool, ipam) for pool in ipam.items("config"))
    if not subnets:
        raise said.bad("", "no subnet", "ipam: {config: [{subnet: ...}]}", "say the network's subnet")
    labels = said.pairs("labels")
    return Network(name, subnets, labels.get(ROLE, ""), labels.get(SITE, ""))


def _subnet(pool: object, ipam: Section) -> Subnet:
    text = pool.get("subnet") if isinstance(pool, Mapping) else None
    try:
        return ipaddress.ip_network(str(text))
    except ValueError as wrong:
        raise ipam.bad("config.subnet", shown(text), "a subnet such as 10.1.0.0/16", f"correct it ({wrong})") from wrong


def _node(name: str, said: Section, networks: Mapping[str, Network], stack: Path) -> Node:
    if "extends" in said.said:
        raise said.bad("extends", "it", "the whole service", "use a YAML anchor (`<<: *name`) instead")
    joined = said.said.get("networks")
    if not joined or not isinstance(joined, Mapping):
        # Without any, Compose would attach it to a network of its own that leads out of the testbed.
        expected = "each network with this node's address"
        raise said.bad("networks", shown(joined), expected, "write `NAME: {ipv4_address: ...}`")
    labels = said.pairs("labels")
    return Node(
        name,
        tuple(_attachment(net, at, networks) for net, at in said.section("networks").sections()),
        labels.get(ROLE, ""),
        labels.get(SITE, ""),
        str(said.said.get("image") or ""),
        said.words("entrypoint") + said.words("command"),
        said.pairs("environment"),
        said.pairs("sysctls"),
        tuple(str(capability) for capability in said.items("cap_add")),
        bool(said.said.get("privileged", False)),
        _check(said.section("healthcheck")),
        dropped=tuple(str(capability) for capability in said.items("cap_drop")),
        entrypoint="entrypoint" in said.said,
        mounts=dict(_mounts(said, stack.parent)),
    )


def _mounts(said: Section, folder: Path) -> Iterator[tuple[str, Path]]:
    """Each folder or file of this machine that a service mounts; volumes that Compose makes are none."""
    for volume in said.items("volumes"):
        if isinstance(volume, Mapping):
            found = str(volume.get("source", "")), str(volume.get("target", ""))
            is_path = volume.get("type") == "bind"
        else:
            source, _, rest = str(volume).partition(":")
            found = source, rest.partition(":")[0]
            is_path = source.startswith((".", "/", "~"))
        if is_path and all(found):
            yield posixpath.normpath(found[1]), folder / Path(found[0]).expanduser()


def _attachment(name: str, said: Section, networks: Mapping[str, Network]) -> Attachment:
    if name not in networks:
        listed = ", ".join(networks) or "no network at all"
        raise said.bad("", f"network {name}", f"one of: {listed}", "add it under networks or correct the name")
    words = [word for word in ("ipv4_address", "ipv6_address") if word in said.said]
    if not words:
        raise said.bad("", "no address", "ipv4_address or ipv6_address", "say the node's address on this network")
    return Attachment(name, tuple(_interface(word, said, networks[name]) for word in words))


def _interface(word: str, said: Section, network: Network) -> Interface:
    listed = " or ".join(str(subnet) for subnet in network.subnets)
    text = said.said[word]
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError as wrong:
        raise said.bad(word, shown(text), f"an address in {listed}", "correct it") from wrong
    if address.version != (4 if word == "ipv4_address" else 6):
        raise said.bad(word, address, f"an {word.replace('_', ' ')}", "correct the address or the word")
    for subnet in network.subnets:
        if address in subnet:
            ends = (subnet.network_address, subnet.broadcast_address)
            if subnet.version == 4 and subnet.num_addresses > 2 and address in ends:
                raise said.bad(word, address, f"an address that a host of {listed} may have", "choose another")
            return ipaddress.ip_interface(f"{address}/{subnet.prefixlen}")
    raise said.bad(word, address, f"an address in {listed} ({network.name})", "correct the address or the subnet")


def _no_address_twice(stack: Section, nodes: Mapping[str, Node], networks: Mapping[str, Network]) -> None:
    for network in networks:
        seen: dict[Address, str] = {}
        for node in nodes.values():
            for address in (i.ip for at in node.attachments if at.network == network for i in at.addresses):
                if address in seen:
                    key = f"services.{node.name}.networks.{network}"
                    expected = f"an address of its own ({seen[address]} has this one)"
                    raise stack.bad(key, address, expected, "give each node another address")
                seen[address] = node.name


def _configs_have_nodes(stack: Section, configs: Path, nodes: Mapping[str, Node]) -> None:
    for folder in sorted(configs.glob("*/")):
        if folder.name not in nodes:
            raise BadInput(
                yaml_sections.shorten(folder),
                "",
                f"configuration for {folder.name}",
                f"a node of {stack.file}: {', '.join(nodes)}",
                "rename the folder or add the service",
            )


def _check(healthcheck: Section) -> tuple[str, ...]:
    """A Compose healthcheck's test as the command it runs."""
    test = healthcheck.said.get("test")
    if isinstance(test, str):
        return ("sh", "-c", test)
    words = healthcheck.words("test")
    match words[:1]:
        case ("CMD",):
            return words[1:]
        case ("CMD-SHELL",):
            return ("sh", "-c", *words[1:])
        case _:
            return ()
