"""Scenarios on disk: find one by name, read its stack, refuse what cannot hold.

The stack is standard Compose and the only place that says who is attached where. Compose itself checks its
grammar when the testbed comes up; here is checked what Compose cannot know: addresses and their subnets, names that
must fit an interface, configuration folders without a node.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tunnelbed.errors import BadInput
from tunnelbed.model import LONGEST_NAME, Address, Attachment, Interface, Network, Node, Scenario, Subnet

ROLE, SITE = "tunnelbed.role", "tunnelbed.site"


def names(root: Path) -> tuple[str, ...]:
    """The scenarios below a folder that has `compose/`, sorted."""
    return tuple(sorted(path.stem for path in (root / "compose").glob("*.yaml")))


def load(name: str, root: Path) -> Scenario:
    """Read the scenario `name` of the folder `root`, which holds `compose/`, `configs/` and `features/`.

    Raises `BadInput` with the file and key of the first thing wrong.
    """
    known = names(root)
    if name not in known:
        listed = ", ".join(known) or f"none: there is no *.yaml in {root / 'compose'}"
        raise BadInput("--scenario", "", repr(name), f"one of: {listed}", "choose one of them")
    return _Stack(root / "compose" / f"{name}.yaml").scenario(name, root)


class _Stack:
    """One Compose file while it is read; every complaint names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = _shorten(path)

    def scenario(self, name: str, root: Path) -> Scenario:
        document = self._document()
        if include := {"include", "extends"} & document.keys():
            raise self._bad(include.pop(), "it", "one file", "put the whole stack there; YAML anchors avoid repetition")
        networks = {
            key: self._network(key, value or {})
            for key, value in self._mapping(document, "networks", "networks").items()
        }
        nodes = {
            key: self._node(key, self._mapping({key: value}, key, f"services.{key}"), networks)
            for key, value in self._mapping(document, "services", "services").items()
        }
        self._no_address_twice(nodes, networks)
        configs = root / "configs" / name
        self._configs_have_nodes(configs, nodes)
        return Scenario(name, self.path, configs, root / "features", networks, nodes)

    def _document(self) -> Mapping[str, Any]:
        try:
            document = yaml.load(self.path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 # it is a SafeLoader
        except (yaml.YAMLError, UnicodeDecodeError) as wrong:
            reason = " ".join(str(wrong).split())
            raise BadInput(self.shown, "", reason, "YAML in the Compose format", "correct that line") from wrong
        if not isinstance(document, Mapping):
            raise self._bad("", f"a {type(document).__name__}", "a mapping with services and networks", "write a stack")
        return document

    def _network(self, name: str, said: Mapping[str, Any]) -> Network:
        key = f"networks.{name}"
        if len(name) > LONGEST_NAME:
            raise self._bad(
                key,
                f"a name of {len(name)} characters",
                f"at most {LONGEST_NAME}, since it is also the name of an interface",
                "shorten it",
            )
        pools = self._mapping(said, "ipam", f"{key}.ipam").get("config") or []
        subnets = tuple(self._subnet(pool, f"{key}.ipam.config") for pool in pools)
        if not subnets:
            raise self._bad(key, "no subnet", "ipam: {config: [{subnet: ...}]}", "say the network's subnet")
        labels = _labels(said)
        return Network(name, subnets, labels.get(ROLE, ""), labels.get(SITE, ""), bool(said.get("internal", False)))

    def _subnet(self, pool: object, key: str) -> Subnet:
        text = pool.get("subnet") if isinstance(pool, Mapping) else None
        try:
            return ipaddress.ip_network(str(text))
        except ValueError as wrong:
            raise self._bad(f"{key}.subnet", text, "a subnet such as 10.1.0.0/16", "correct it") from wrong

    def _node(self, name: str, said: Mapping[str, Any], networks: Mapping[str, Network]) -> Node:
        key = f"services.{name}"
        if "extends" in said:
            raise self._bad(f"{key}.extends", "it", "the whole service", "use a YAML anchor (`<<: *name`) instead")
        joined = said.get("networks") or {}
        if not isinstance(joined, Mapping):
            raise self._bad(
                f"{key}.networks", joined, "each network with this node's address", "write `NAME: {ipv4_address: ...}`"
            )
        labels = _labels(said)
        check = self._mapping(said, "healthcheck", f"{key}.healthcheck").get("test") or []
        return Node(
            name,
            tuple(self._attachment(f"{key}.networks.{net}", net, at or {}, networks) for net, at in joined.items()),
            labels.get(ROLE, ""),
            labels.get(SITE, ""),
            str(said.get("image") or ""),
            _words(said.get("command")),
            _pairs(said.get("environment")),
            _pairs(said.get("sysctls")),
            tuple(str(capability) for capability in said.get("cap_add") or ()),
            bool(said.get("privileged", False)),
            _check(check),
        )

    def _attachment(self, key: str, name: str, said: Mapping[str, Any], networks: Mapping[str, Network]) -> Attachment:
        if name not in networks:
            raise self._bad(
                key, f"network {name}", f"one of: {', '.join(networks)}", "add it under networks or correct the name"
            )
        addresses = tuple(
            self._interface(said[word], f"{key}.{word}", networks[name])
            for word in ("ipv4_address", "ipv6_address")
            if word in said
        )
        if not addresses:
            raise self._bad(key, "no address", "ipv4_address or ipv6_address", "say the node's address on this network")
        return Attachment(name, addresses)

    def _interface(self, text: object, key: str, network: Network) -> Interface:
        listed = " or ".join(str(subnet) for subnet in network.subnets)
        try:
            address = ipaddress.ip_address(str(text))
        except ValueError as wrong:
            raise self._bad(key, text, f"an address in {listed}", "correct it") from wrong
        for subnet in network.subnets:
            if address in subnet:
                return ipaddress.ip_interface(f"{address}/{subnet.prefixlen}")
        raise self._bad(key, address, f"an address in {listed} ({network.name})", "correct the address or the subnet")

    def _no_address_twice(self, nodes: Mapping[str, Node], networks: Mapping[str, Network]) -> None:
        for network in networks:
            seen: dict[Address, str] = {}
            for node in nodes.values():
                for address in (i.ip for at in node.attachments if at.network == network for i in at.addresses):
                    if address in seen:
                        raise self._bad(
                            f"services.{node.name}.networks.{network}",
                            address,
                            f"an address of its own ({seen[address]} has this one)",
                            "give each node another address",
                        )
                    seen[address] = node.name

    def _configs_have_nodes(self, configs: Path, nodes: Mapping[str, Node]) -> None:
        for folder in sorted(configs.glob("*/")):
            if folder.name not in nodes:
                raise BadInput(
                    _shorten(folder),
                    "",
                    f"configuration for {folder.name}",
                    f"a node of {self.shown}: {', '.join(nodes)}",
                    "rename the folder or add the service",
                )

    def _mapping(self, parent: Mapping[str, Any], word: str, key: str) -> Mapping[str, Any]:
        value = parent.get(word)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._bad(key, repr(value), "a mapping", "see the Compose file reference")
        return value

    def _bad(self, key: str, found: object, expected: str, advice: str) -> BadInput:
        return BadInput(self.shown, key, found, expected, advice)


class _Loader(yaml.CSafeLoader):
    """Refuses a key said twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """As the parent, after a look at the keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _shorten(path: Path) -> str:
    """The path as a person would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _labels(said: Mapping[str, Any]) -> Mapping[str, str]:
    return _pairs(said.get("labels"))


def _pairs(said: object) -> Mapping[str, str]:
    """A Compose mapping, which may also be written as a list of NAME=VALUE."""
    if isinstance(said, Mapping):
        return {str(key): "" if value is None else str(value) for key, value in said.items()}
    if isinstance(said, Sequence) and not isinstance(said, str):
        return {key: value for key, _, value in (str(item).partition("=") for item in said)}
    return {}


def _words(said: object) -> tuple[str, ...]:
    """A Compose command: a list, or a line to be split as a shell would."""
    if said is None:
        return ()
    return tuple(shlex.split(said)) if isinstance(said, str) else tuple(str(word) for word in said)  # type: ignore[attr-defined]


def _check(test: object) -> tuple[str, ...]:
    """A Compose healthcheck's test as the command it runs."""
    if isinstance(test, str):
        return ("sh", "-c", test)
    words = _words(test)
    match words[:1]:
        case ("CMD",):
            return words[1:]
        case ("CMD-SHELL",):
            return ("sh", "-c", *words[1:])
        case _:
            return ()
