"""Scenarios on disk: find one by name, read its stack, refuse what cannot hold.

The stack is standard Compose, read as Compose resolves it (`stack`), and the only place that says who is attached
where. Checked here is what Compose cannot know: addresses and their subnets, labels that sentences use, configuration
folders without a node, and what no testbed can have (`limits`).
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunnelbed.errors import BadInput
from tunnelbed.topology import limits, naming, stack, yaml_sections
from tunnelbed.topology.interface_names import interface_names
from tunnelbed.topology.model import Address, Attachment, Interface, Network, Node, Scenario, Subnet
from tunnelbed.topology.yaml_sections import Section, shown

ROLE, SITE, IMAGES = "tunnelbed.role", "tunnelbed.site", "tunnelbed.images"
# A scenario's name begins every name on the engine (Compose's rule for a project's name); an instance's follows `--`.
NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
# What a label may say, so that a sentence can: `every dns-server of site north-2`.
WORD = re.compile(rf"(?=[A-Za-z0-9]){naming.NAME}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# What an image is called that the stack builds and gives no name of its own; those made here begin with OURS.
BUILT, OURS = "tunnelbed-built/{scenario}-{node}", "tunnelbed/"

# How the names end of native files that a node reads of its folder in configs/ (scripts/node).
NATIVE = (".conf", ".rules", ".batch")


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
    return _read(scene)


def nested(scene: Scenario) -> Scenario:
    """The scenario in the form where nodes run containers of their own, as `compose/NAME.nested.yaml` says."""
    path = scene.stack.with_suffix(".nested.yaml")
    if not path.exists():
        raise BadInput("--nested", "", scene.name, f"a scenario with {yaml_sections.shorten(path)}", "omit it")
    overlay = yaml_sections.read(path, "YAML in the Compose format: a mapping with services")
    for name, said in overlay.section("services").sections():
        if name not in scene.nodes:
            raise said.bad(
                "", f"service {name}", f"a node of {scene.name}: {', '.join(scene.nodes)}", "correct the name"
            )
    return _read(replace(scene, overlay=path))


def _read(scene: Scenario) -> Scenario:
    """The scenario, read from its files."""
    read = stack.read(scene.stack, scene.overlay)
    said = read.said
    networks = _networks(said)
    services = dict(said.section("services").sections())
    # First: a node that has no networks of its own has none of those that are looked for below.
    told = {service.key: list(limits.check_service(service)) for service in services.values()}
    nodes = {
        name: _node(scene.name, name, service, networks, [word for word, _ in told[service.key]])
        for name, service in services.items()
    }
    nodes = {name: replace(node, files=_files(scene.configs / name, node.mounts)) for name, node in nodes.items()}
    if not nodes:
        raise said.bad("services", "none", "the scenario's nodes", "write a service for each node")
    # Compose makes no network that no service is in.
    used = {at.network for node in nodes.values() for at in node.attachments}
    networks = {name: network for name, network in networks.items() if name in used}
    _nothing_twice(said, nodes, networks)
    _configs_have_nodes(said, scene.configs, nodes, read.services)
    told |= {
        f"networks.{name}": list(limits.check_network(network))
        for name, network in said.section("networks").sections()
        if name in used
    }
    notes = [f"{said.file}: {key}.{word}: {what}" for key, found in told.items() for word, what in found]
    return replace(scene, networks=networks, nodes=nodes, notes=(*read.warnings, *notes))


def asked_images(said: str) -> Mapping[str, str]:
    """Who shall have which image, by node or role: `gateway=me/vpn:dev,client-a1=...`; raises `BadInput`."""
    asked: dict[str, str] = {}
    for one in said.split(",") if said else ():
        who, _, image = (word.strip() for word in one.partition("="))
        if not who or not image:
            raise BadInput("--image", "", repr(one), "WHO=IMAGE, with commas between several", "correct it")
        if who in asked:
            raise BadInput("--image", "", f"{who} twice", "one image for each", "omit one of them")
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
        nodes[name] = replace(node, image=image, build="") if image else node
    return replace(scene, nodes=nodes)


def _networks(stack: Section) -> dict[str, Network]:
    said = dict(stack.section("networks").sections())
    devices = interface_names(said)
    return {name: _network(name, network, devices[name]) for name, network in said.items()}


def _network(name: str, said: Section, device: str) -> Network:
    ipam = said.section("ipam")
    subnets = tuple(_subnet(pool, ipam) for pool in ipam.items("config"))
    driver = said.said.get("driver")
    return Network(
        name,
        subnets,
        _label(said, ROLE),
        _label(said, SITE),
        driver if isinstance(driver, str) else "",
        device if device != name else "",
    )


def _label(said: Section, label: str) -> str:
    """A label's word, in lower case: sentences may write it as they like."""
    text = said.pairs("labels").get(label, "")
    if text and not WORD.fullmatch(text):
        raise said.bad(f"labels.{label}", repr(text), "a word of letters, digits, - _ and .", "write it as one word")
    return text.lower()


def _subnet(pool: object, ipam: Section) -> Subnet:
    text = pool.get("subnet") if isinstance(pool, Mapping) else None
    try:
        return ipaddress.ip_network(str(text))
    except ValueError as wrong:
        raise ipam.bad("config.subnet", shown(text), "a subnet such as 10.1.0.0/16", f"correct it ({wrong})") from wrong


def _node(scenario: str, name: str, said: Section, networks: Mapping[str, Network], otherwise: Sequence[str]) -> Node:
    build = said.said.get("build")
    context = build.get("context") if isinstance(build, Mapping) else build
    return Node(
        name,
        _attachments(said, networks),
        _label(said, ROLE),
        _label(said, SITE),
        _image(said, BUILT.format(scenario=scenario, node=name.lower()) if build else ""),
        said.words("entrypoint") + said.words("command"),
        said.pairs("environment"),
        said.pairs("sysctls"),
        tuple(str(capability) for capability in said.items("cap_add")),
        bool(said.said.get("privileged", False)),
        _check(said.section("healthcheck")),
        carried=tuple(said.pairs("labels").get(IMAGES, "").split()),
        dropped=tuple(str(capability) for capability in said.items("cap_drop")),
        hostname=str(said.said.get("hostname") or ""),
        entrypoint=said.said.get("entrypoint") is not None,
        mounts=dict(_mounts(said)),
        build=str(context or ""),
        otherwise=tuple(otherwise),
    )


def _image(said: Section, built: str) -> str:
    """The image's name: the stack's, or for what the stack builds one that is not the node image's."""
    image = str(said.said.get("image") or "")
    return built if built and (not image or image.startswith(OURS)) else image


def _mounts(said: Section) -> Iterator[tuple[str, Path]]:
    """Each folder or file of this machine that a service mounts, as Compose resolves it; its own volumes are none."""
    for volume in said.items("volumes"):
        if isinstance(volume, Mapping) and volume.get("type") == "bind":
            yield posixpath.normpath(str(volume.get("target"))), Path(str(volume.get("source")))


def _attachments(said: Section, networks: Mapping[str, Network]) -> tuple[Attachment, ...]:
    joined = said.said.get("networks")
    if isinstance(joined, list):
        joined = dict.fromkeys(map(str, joined), None)
        said = Section(said.file, said.key, {**said.said, "networks": joined}, said.root)
    if not joined:
        expected = "each network that the node has an interface on"
        raise said.bad("networks", shown(joined), expected, "write `NAME: {ipv4_address: ...}`")
    return tuple(_attachment(net, at, networks) for net, at in said.section("networks").sections())


def _attachment(name: str, said: Section, networks: Mapping[str, Network]) -> Attachment:
    if name not in networks:
        listed = ", ".join(networks) or "no network at all"
        raise said.bad("", f"network {name}", f"one of: {listed}", "add it under networks or correct the name")
    words = [word for word in ("ipv4_address", "ipv6_address") if said.said.get(word) is not None]
    mac = str(said.said.get("mac_address") or "").lower().replace("-", ":")
    if mac and not MAC.fullmatch(mac):
        raise said.bad("mac_address", mac, "a MAC such as 02:00:00:00:00:0a", "correct it")
    return Attachment(
        name,
        tuple(_interface(word, said, networks[name]) for word in words),
        tuple(str(alias) for alias in said.items("aliases")),
        mac,
    )


def _interface(word: str, said: Section, network: Network) -> Interface:
    listed = " or ".join(str(subnet) for subnet in network.subnets) or f"a subnet that {network.name} has not"
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


def _nothing_twice(stack: Section, nodes: Mapping[str, Node], networks: Mapping[str, Network]) -> None:
    """No two nodes have the same address or the same MAC on one network."""
    for network in networks:
        seen: dict[Address | str, str] = {}
        for node in nodes.values():
            for at in (at for at in node.attachments if at.network == network):
                for own in (*(interface.ip for interface in at.addresses), *([at.mac] if at.mac else ())):
                    if own in seen:
                        key = f"services.{node.name}.networks.{network}"
                        kind = "MAC" if isinstance(own, str) else "address"
                        expected = f"one that no other node has on {network} ({seen[own]} has it)"
                        raise stack.bad(key, own, expected, f"give each node another {kind}")
                    seen[own] = node.name


def _files(folder: Path, mounts: Mapping[str, Path]) -> frozenset[str]:
    """The names of a node's own files, and the paths in the node of those that the stack mounts, one folder deep."""
    found = {path.name for path in folder.glob("*") if path.exists()}
    for target, source in mounts.items():
        found |= {f"{target}/{path.name}" for path in source.glob("*")} if source.is_dir() else {target}
    return frozenset(found)


def _configs_have_nodes(stack: Section, configs: Path, nodes: Mapping[str, Node], services: frozenset[str]) -> None:
    """Every configuration folder is a node's; one whose service a profile leaves out now may wait for it."""
    for folder in sorted(configs.glob("*/")):
        if folder.name not in nodes and folder.name not in services:
            raise BadInput(
                yaml_sections.shorten(folder),
                "",
                f"configuration for {folder.name}",
                f"a node of {stack.file}: {', '.join(nodes)}",
                "rename the folder or add the service",
            )
        for inner in sorted(folder.iterdir()):
            # A node would boot without it: a firewall that is a folder is no firewall.
            if inner.suffix in NATIVE and inner.is_dir():
                where, expected = yaml_sections.shorten(inner), f"the file {inner.name}"
                raise BadInput(where, "", "a folder", expected, "rename the folder, or move its content here")


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
