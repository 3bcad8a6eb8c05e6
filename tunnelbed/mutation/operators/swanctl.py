"""Mistakes in swanctl.conf: selectors, proposals, trust, and what starts a tunnel.

The file is read line by line (swanctl.conf(5)): `section {`, `key = value`, `}`. A value is changed once or, for what
both ends must agree on, at every gateway at once: a mistake at one end alone would only break the tunnel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import operator

FILE = "swanctl.conf"
SELECTORS = ("local_ts", "remote_ts")


@dataclass(frozen=True)
class Setting:
    """One `key = value`: its line from 0, the sections around it, outermost first."""

    line: int
    sections: tuple[str, ...]
    key: str
    value: str

    @property
    def place(self) -> str:
        """As a report names it: `cloud remote revocation`."""
        kept = [name for name in self.sections if name not in ("connections", "children")]
        return " ".join(dict.fromkeys([*kept, self.key]))


class Connections:
    """The lines of one swanctl.conf."""

    def __init__(self, node: str, path: Path, text: str) -> None:
        self.node, self.path, self.lines = node, path, text.splitlines()

    def settings(self, *keys: str) -> Iterator[Setting]:
        """Every setting with one of these keys."""
        blocks: list[str] = []
        for number, line in enumerate(self.lines):
            said = line.split("#")[0].strip()
            if said.endswith("{"):
                blocks.append(said[:-1].strip())
            elif said == "}":
                del blocks[-1:]
            elif "=" in said:
                key, value = (part.strip() for part in said.split("=", 1))
                if key in keys:
                    yield Setting(number, tuple(blocks), key, value)

    def changed(self, changes: dict[int, str | None]) -> str:
        """The text with other lines in place of some; None removes one."""
        kept: list[str] = []
        for number, line in enumerate(self.lines):
            now = changes.get(number, line)
            if now is not None:
                kept.append(now)
        return "\n".join(kept) + "\n"

    def saying(self, setting: Setting, value: str | None) -> str:
        """The text with another value for one setting; None removes it."""
        return self.changed({setting.line: None if value is None else _line(setting, value)})

    def mutant(self, name: str, setting: Setting, value: str | None, sentence: str) -> Mutant:
        """This file with another value for one setting."""
        changes = {self.path: self.saying(setting, value)}
        return Mutant(name, f"{self.node} {setting.place}", f"{self.node}: {sentence}", changes)


@operator("selector-too-wide")
def selector_too_wide(files: Sources) -> Iterator[Mutant]:
    """A traffic selector covers neighbouring networks too."""
    yield from _selectors(files, "selector-too-wide", "takes in its neighbours", _wider)


@operator("selector-too-narrow")
def selector_too_narrow(files: Sources) -> Iterator[Mutant]:
    """A traffic selector covers half of the network."""
    yield from _selectors(files, "selector-too-narrow", "covers only half of it", _narrower)


@operator("esp-unencrypted")
def esp_unencrypted(files: Sources) -> Iterator[Mutant]:
    """ESP authenticates, but encrypts nothing (RFC 2410), at every gateway."""
    yield from _at_every_gateway(files, "esp-unencrypted", "esp_proposals", "null-sha256", "ESP has the null cipher")


@operator("esp-weaker")
def esp_weaker(files: Sources) -> Iterator[Mutant]:
    """ESP uses a weaker proposal, at every gateway."""
    yield from _at_every_gateway(files, "esp-weaker", "esp_proposals", "aes128-sha1", "ESP uses AES-128 and SHA-1")


@operator("esp-without-exchange")
def esp_without_exchange(files: Sources) -> Iterator[Mutant]:
    """A new ESP key comes without a key exchange of its own (no forward secrecy), at every gateway."""
    changes, was = {}, ""
    for connections in everywhere(files):
        lines: dict[int, str | None] = {}
        for setting in connections.settings("esp_proposals"):
            head, _, exchange = setting.value.rpartition("-")
            if head and exchange.startswith(("ecp", "modp", "curve", "x25519", "x448", "mlkem")):
                lines[setting.line], was = _line(setting, head), exchange
        if lines:
            changes[connections.path] = connections.changed(lines)
    if changes:
        sentence = f"every gateway: ESP keys are renewed without {was}"
        yield Mutant("esp-without-exchange", "every gateway", sentence, changes)


@operator("ike-weaker")
def ike_weaker(files: Sources) -> Iterator[Mutant]:
    """IKE uses a weaker proposal, at every gateway."""
    weak = "aes128-sha1-modp2048"
    yield from _at_every_gateway(files, "ike-weaker", "proposals", weak, "IKE uses AES-128, SHA-1 and 2048-bit MODP")


@operator("weaker-offered")
def weaker_offered(files: Sources) -> Iterator[Mutant]:
    """A gateway would also agree on something weaker than what it agrees on today."""
    weak = {"proposals": "aes128-sha256-ecp256", "esp_proposals": "aes128-sha256"}
    for connections in everywhere(files):
        for setting in connections.settings(*weak):
            value = f"{setting.value}, {weak[setting.key]}"
            sentence = f"{setting.place} would also take {weak[setting.key]}"
            yield connections.mutant("weaker-offered", setting, value, sentence)


@operator("revocation-lax")
def revocation_lax(files: Sources) -> Iterator[Mutant]:
    """A peer whose certificate nobody can check for revocation is believed."""
    for connections in everywhere(files):
        for setting in connections.settings("revocation"):
            sentence = f"a peer of {setting.sections[1]} is believed without a CRL"
            yield connections.mutant("revocation-lax", setting, None, sentence)


@operator("any-identity")
def any_identity(files: Sources) -> Iterator[Mutant]:
    """Any certificate of the authority is accepted, whoever it was issued to."""
    for connections in everywhere(files):
        for setting in connections.settings("id"):
            if setting.sections[-1].startswith("remote"):
                sentence = f"the peer of {setting.sections[1]} may be anybody with a certificate"
                yield connections.mutant("any-identity", setting, "%any", sentence)


@operator("any-authority")
def any_authority(files: Sources) -> Iterator[Mutant]:
    """A certificate of any authority the gateway knows is accepted."""
    for connections in everywhere(files):
        for setting in connections.settings("cacerts"):
            sentence = f"the peer of {setting.sections[1]} may come with a certificate of any authority"
            yield connections.mutant("any-authority", setting, None, sentence)


@operator("trigger-missing")
def trigger_missing(files: Sources) -> Iterator[Mutant]:
    """Nothing starts the tunnel."""
    for connections in everywhere(files):
        for setting in connections.settings("start_action"):
            sentence = f"nothing starts the tunnel {setting.sections[-1]} at this end"
            yield connections.mutant("trigger-missing", setting, None, sentence)


@operator("connection-missing")
def connection_missing(files: Sources) -> Iterator[Mutant]:
    """A gateway does not know one of its peers."""
    for connections in everywhere(files):
        for name, first, last in _sections(connections):
            changes: dict[int, str | None] = dict.fromkeys(range(first, last + 1))
            text = {connections.path: connections.changed(changes)}
            sentence = f"{connections.node}: the connection {name} is missing"
            yield Mutant("connection-missing", f"{connections.node} {name}", sentence, text)


def without_children(connections: Connections) -> str:
    """Connections that start no tunnel, and have none to offer."""
    changes: dict[int, str | None] = {}
    for _, first, last in _sections(connections, "children"):
        changes.update(dict.fromkeys(range(first, last + 1)))
    return connections.changed(changes)


def _selectors(files: Sources, name: str, sentence: str, change: Callable[[str], str | None]) -> Iterator[Mutant]:
    for connections in everywhere(files):
        for setting in connections.settings(*SELECTORS):
            first, *others = setting.value.split(",")
            if now := change(first.strip()):
                value = ",".join([now, *others])
                yield connections.mutant(name, setting, value, f"{setting.place} {setting.value} {sentence}")


def _at_every_gateway(files: Sources, name: str, key: str, value: str, sentence: str) -> Iterator[Mutant]:
    """One value at every gateway, in every connection."""
    changes = {}
    for connections in everywhere(files):
        if found := list(connections.settings(key)):
            lines: dict[int, str | None] = {setting.line: _line(setting, value) for setting in found}
            changes[connections.path] = connections.changed(lines)
    if changes:
        yield Mutant(name, "every gateway", f"every gateway: {sentence}", changes)


def _sections(connections: Connections, wanted: str = "") -> Iterator[tuple[str, int, int]]:
    """Each connection's name, and its first and last line; or those of each section of a connection `wanted`."""
    blocks: list[tuple[str, int]] = []
    for number, line in enumerate(connections.lines):
        said = line.split("#")[0].strip()
        if said.endswith("{"):
            blocks.append((said[:-1].strip(), number))
        elif said == "}" and blocks:
            name, first = blocks.pop()
            outside = [block for block, _ in blocks]
            found = len(outside) == 2 and name == wanted if wanted else len(outside) == 1
            if found and outside[0] == "connections":
                yield name, first, number


def everywhere(files: Sources) -> Iterator[Connections]:
    """The connections of every gateway."""
    return (Connections(*found) for found in files.having(FILE))


def _line(setting: Setting, value: str) -> str:
    return f"{'    ' * len(setting.sections)}{setting.key} = {value}"


def _wider(selector: str) -> str | None:
    """The network four times, for IPv6 sixteen times, as large; None for `dynamic` and the like."""
    try:
        net = ipaddress.ip_network(selector)
    except ValueError:
        return None
    return str(net.supernet(new_prefix=max(0, net.prefixlen - (2 if net.version == 4 else 4))))


def _narrower(selector: str) -> str | None:
    """The first half; None where there is only one address, or none named."""
    try:
        net = ipaddress.ip_network(selector)
    except ValueError:
        return None
    return str(next(net.subnets())) if net.num_addresses > 1 else None
