"""swanctl.conf as a fake charon reads it: sections in sections, of which the later one wins."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunnelbed.topology.model import Subnet

WORD = re.compile(r'"[^"]*"|[{}=]|\n|[^\s{}="]+')
Tree = dict[str, Any]


@dataclass(frozen=True)
class Child:
    """A child of a connection, as its settings have it."""

    name: str
    local: tuple[Subnet, ...]
    remote: tuple[Subnet, ...]
    proposals: tuple[str, ...]
    action: str
    rekeyed: int
    dead: str
    closed: str


@dataclass(frozen=True)
class Connection:
    """A connection, as its settings have it."""

    name: str
    local: tuple[str, ...]
    remote: tuple[str, ...]
    proposals: tuple[str, ...]
    identity: str
    certificate: str
    peer: str
    strict: bool
    rekeyed: int
    asked: int
    children: tuple[Child, ...]


def read(text: str, included: Callable[[str], str]) -> Tree:
    """The tree of a file's settings."""
    tree: Tree = {}
    _into(tree, WORD.findall(re.sub(r"#[^\n]*", "", text)), included)
    return tree


def _into(tree: Tree, words: list[str], included: Callable[[str], str]) -> None:
    while words:
        word = words.pop(0)
        if word == "}":
            return
        if word == "\n":
            continue
        if word == "include":
            _into(tree, WORD.findall(re.sub(r"#[^\n]*", "", included(words.pop(0)))), included)
            continue
        while words[:1] == ["\n"]:
            words.pop(0)
        mark = words.pop(0)
        if mark == "{":
            _into(tree.setdefault(word, {}), words, included)
        elif mark == "=":
            value: list[str] = []
            while words and words[0] not in ("\n", "}"):
                value.append(words.pop(0).strip('"'))
            tree[word] = " ".join(value) if "=" not in value else "".join(value)


def connections(tree: Tree) -> Mapping[str, Connection]:
    """The connections of a tree."""
    return {name: _connection(name, section) for name, section in tree.get("connections", {}).items()}


def _connection(name: str, section: Tree) -> Connection:
    ours = next((part for key, part in section.items() if key.startswith("local") and isinstance(part, dict)), {})
    theirs = next((part for key, part in section.items() if key.startswith("remote") and isinstance(part, dict)), {})
    local = _list(section.get("local_addrs", "%any"))
    return Connection(
        name,
        local,
        _list(section.get("remote_addrs", "%any")),
        _list(section.get("proposals", "default")),
        ours.get("id", local[0]),
        ours.get("certs", ""),
        theirs.get("id", "%any"),
        theirs.get("revocation") == "strict",
        _seconds(section.get("rekey_time", "4h")),
        _seconds(section.get("dpd_delay", "0s")),
        tuple(_child(key, part) for key, part in section.get("children", {}).items()),
    )


def _child(name: str, section: Tree) -> Child:
    return Child(
        name,
        tuple(map(ipaddress.ip_network, _list(section["local_ts"]))),
        tuple(map(ipaddress.ip_network, _list(section["remote_ts"]))),
        _list(section.get("esp_proposals", "default")),
        section.get("start_action", "none"),
        _seconds(section.get("rekey_time", "1h")),
        _action(section.get("dpd_action", "none")),
        _action(section.get("close_action", "none")),
    )


def _seconds(said: str) -> int:
    return int(said.rstrip("smhd")) * {"m": 60, "h": 3600, "d": 86400}.get(said[-1], 1)


def _action(said: str) -> str:
    """As charon reports it, which has one word for the old ones."""
    return {"clear": "none", "hold": "trap", "restart": "start"}.get(said, said)


def _list(said: str) -> tuple[str, ...]:
    return tuple(said.replace(",", " ").split())
