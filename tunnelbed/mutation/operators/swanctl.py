"""Mistakes in swanctl.conf: selectors, proposals, trust, what starts a tunnel, and what only time shows.

The file is read as strongSwan reads it, with all it includes, and changed where a setting stands. A value is changed
once or, for what both ends must agree on, at every gateway at once: a mistake at one end alone would only break the
tunnel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import operator
from tunnelbed.vpn.strongswan import swanctl_conf
from tunnelbed.vpn.strongswan.swanctl_conf import Conf, Place, Section, Setting

FILE = "swanctl.conf"
SELECTORS = ("local_ts", "remote_ts")
EXCHANGES = ("ecp", "modp", "curve", "x25519", "x448", "mlkem")


@dataclass(frozen=True)
class Edit:
    """Another text in place of some characters of a file."""

    place: Place
    text: str


class Connections:
    """A node's swanctl.conf and what it includes, to be changed."""

    def __init__(self, files: Sources, node: str, path: Path, conf: Conf) -> None:
        self.files, self.node, self.path, self.conf = files, node, path, conf

    def settings(self, *keys: str) -> Iterator[Setting]:
        """Every setting of a connection with one of these keys, each once, however often its file is included."""
        found = (setting for setting in self.conf.settings(*keys) if setting.sections[:1] == ("connections",))
        return iter({setting.place: setting for setting in found}.values())

    def changed(self, edits: Sequence[Edit]) -> dict[Path, str]:
        """The whole new text of each file that these edits are in."""
        texts: dict[Path, str] = {}
        for edit in sorted(edits, key=lambda edit: edit.place.start, reverse=True):
            path = edit.place.file.relative_to(self.files.root)
            text = texts.get(path, self.files.text(path))
            texts[path] = text[: edit.place.start] + edit.text + text[edit.place.end :]
        return texts

    def without(self, place: Place) -> Edit:
        """Nothing where something stood, and no empty lines where it had lines of its own."""
        text = self.files.text(place.file.relative_to(self.files.root))
        begin = text.rfind("\n", 0, place.start) + 1
        newline = text.find("\n", place.end)
        end = len(text) if newline < 0 else newline + 1
        if text[begin : place.start].strip() or text[place.end : end].strip():
            return Edit(place, "")
        return Edit(Place(place.file, begin, end), "")

    def with_setting(self, section: Section, key: str, value: str) -> Edit:
        """A setting more, the first of a section; or another value for the one that is there."""
        for setting in self.settings(key):
            if setting.sections == section.path:
                return Edit(setting.place, value)
        text = self.files.text(section.body.file.relative_to(self.files.root))
        alone = text[section.body.start : section.body.end].partition("\n")[0].partition("#")[0].strip() == ""
        indent = "    " * len(section.path)
        place = Place(section.body.file, section.body.start, section.body.start)
        return Edit(place, f"\n{indent}{key} = {value}{'' if alone else chr(10)}")

    def mutant(self, name: str, setting: Setting, value: str | None, sentence: str, detail: str = "") -> Mutant:
        """These files with another value for one setting; None removes it."""
        edit = self.without(setting.whole) if value is None else Edit(setting.place, value)
        place = f"{self.node} {where(setting)}{f' ({detail})' if detail else ''}"
        return Mutant(name, place, f"{self.node}: {sentence}", self.changed([edit]))


def where(found: Setting | Section) -> str:
    """A setting or section as a report names it: `cloud remote revocation`."""
    path = (*found.sections, found.key) if isinstance(found, Setting) else found.path
    return " ".join(dict.fromkeys(name for name in path if name not in ("connections", "children")))


@operator("selector-too-wide")
def selector_too_wide(files: Sources) -> Iterator[Mutant]:
    """A traffic selector covers neighbouring networks too."""
    yield from _selectors(files, "selector-too-wide", "takes in its neighbours", _wider)


@operator("selector-too-narrow")
def selector_too_narrow(files: Sources) -> Iterator[Mutant]:
    """A traffic selector covers half of the network."""
    yield from _selectors(files, "selector-too-narrow", "covers only half of it", _narrower)


@operator("selector-added")
def selector_added(files: Sources) -> Iterator[Mutant]:
    """A traffic selector is followed by another one: the network beside it, or everything."""
    for connections in everywhere(files):
        for setting in connections.settings(*SELECTORS):
            for added in _others(setting.value.split(",")[0].strip()):
                sentence = f"{where(setting)} {setting.value} and {added}, too"
                value = f"{setting.value}, {added}"
                yield connections.mutant("selector-added", setting, value, sentence, added)


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
        edits = []
        for setting in connections.settings("esp_proposals"):
            head, _, exchange = setting.value.rpartition("-")
            if head and exchange.startswith(EXCHANGES):
                edits.append(Edit(setting.place, head))
                was = exchange
        changes.update(connections.changed(edits))
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
            sentence = f"{where(setting)} also accepts {weak[setting.key]}"
            yield connections.mutant("weaker-offered", setting, value, sentence)


@operator("revocation-lax")
def revocation_lax(files: Sources) -> Iterator[Mutant]:
    """A peer is accepted though no CRL shows that its certificate is not revoked."""
    for connections in everywhere(files):
        for setting in connections.settings("revocation"):
            sentence = f"a peer of {setting.sections[1]} is accepted without a CRL"
            yield connections.mutant("revocation-lax", setting, None, sentence)


@operator("any-identity")
def any_identity(files: Sources) -> Iterator[Mutant]:
    """Any certificate of the authority is accepted, whatever its subject."""
    for connections in everywhere(files):
        for setting in connections.settings("id"):
            if setting.sections[-1].startswith("remote"):
                sentence = f"the peer of {setting.sections[1]} may be any node with a certificate"
                yield connections.mutant("any-identity", setting, "%any", sentence)


@operator("any-authority")
def any_authority(files: Sources) -> Iterator[Mutant]:
    """A certificate of any authority the gateway knows is accepted."""
    for connections in everywhere(files):
        for setting in connections.settings("cacerts"):
            sentence = f"the peer of {setting.sections[1]} may have a certificate of any authority"
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
    """A connection of a gateway is missing."""
    for connections in everywhere(files):
        for section in connections.conf.sections("connections"):
            changes = connections.changed([connections.without(section.place)])
            sentence = f"{connections.node}: the connection {section.name} is missing"
            yield Mutant("connection-missing", f"{connections.node} {section.name}", sentence, changes)


@operator("retries-few")
def retries_few(files: Sources) -> Iterator[Mutant]:
    """A gateway that tries for ever to set its tunnel up gives up after one attempt."""
    for connections in everywhere(files):
        for setting in connections.settings("keyingtries"):
            if setting.value == "0":
                sentence = f"the tunnel {setting.sections[1]} is given up after one attempt"
                yield connections.mutant("retries-few", setting, "1", sentence)


@operator("liveness-ignored")
def liveness_ignored(files: Sources) -> Iterator[Mutant]:
    """A peer that does not answer any more is never noticed (no dead peer detection)."""
    for connections in everywhere(files):
        for setting in connections.settings("dpd_delay"):
            sentence = f"the peer of {setting.sections[1]} is never checked for liveness (DPD)"
            yield connections.mutant("liveness-ignored", setting, "0s", sentence)


@operator("end-accepted")
def end_accepted(files: Sources) -> Iterator[Mutant]:
    """A tunnel whose peer is dead, or has ended it, is not set up again."""
    for connections in everywhere(files):
        for setting in connections.settings("dpd_action", "close_action"):
            idle = {"dpd_action": "clear", "close_action": "none"}[setting.key]
            sentence = f"the tunnel {setting.sections[-1]} has {setting.key} {idle}"
            yield connections.mutant("end-accepted", setting, idle, sentence)


@operator("keys-kept")
def keys_kept(files: Sources) -> Iterator[Mutant]:
    """The keys of a tunnel are never changed: of IKE, or of ESP."""
    for connections in everywhere(files):
        for section in connections.conf.sections("connections"):
            children = connections.conf.sections("connections", section.name, "children")
            for layer, one in (("IKE", section), *(("ESP", child) for child in children)):
                changes = connections.changed([connections.with_setting(one, "rekey_time", "0s")])
                sentence = f"{connections.node}: the {layer} keys of {one.name} are never changed"
                yield Mutant("keys-kept", f"{connections.node} {where(one)} {layer}", sentence, changes)


def without_children(connections: Connections) -> Mapping[Path, str]:
    """Connections that start no tunnel, and have none to offer."""
    conf = connections.conf
    found = (child for one in conf.sections("connections") for child in conf.sections("connections", one.name))
    edits = {child.place: connections.without(child.place) for child in found if child.name == "children"}
    return connections.changed(list(edits.values()))


def _selectors(files: Sources, name: str, sentence: str, change: Callable[[str], str | None]) -> Iterator[Mutant]:
    for connections in everywhere(files):
        for setting in connections.settings(*SELECTORS):
            first, *others = setting.value.split(",")
            if now := change(first.strip()):
                value = ",".join([now, *others])
                yield connections.mutant(name, setting, value, f"{where(setting)} {setting.value} {sentence}")


def _at_every_gateway(files: Sources, name: str, key: str, value: str, sentence: str) -> Iterator[Mutant]:
    """One value at every gateway, in every connection."""
    changes: dict[Path, str] = {}
    for connections in everywhere(files):
        changes |= connections.changed([Edit(setting.place, value) for setting in connections.settings(key)])
    if changes:
        yield Mutant(name, "every gateway", f"every gateway: {sentence}", changes)


def everywhere(files: Sources) -> Iterator[Connections]:
    """The connections of every gateway. Raises `BadInput` where strongSwan would refuse the file."""
    for node, path, _ in files.having(FILE):
        yield Connections(files, node, path, swanctl_conf.read(files.root / path))


def _wider(selector: str) -> str | None:
    """The network four times, for IPv6 sixteen times, as large; None for `dynamic` and the like."""
    net = _network(selector)
    return str(net.supernet(new_prefix=max(0, net.prefixlen - (2 if net.version == 4 else 4)))) if net else None


def _narrower(selector: str) -> str | None:
    """The first half; None where there is only one address, or none named."""
    net = _network(selector)
    return str(next(net.subnets())) if net and net.num_addresses > 1 else None


def _others(selector: str) -> Sequence[str]:
    """The network of the same size beside it, and everything; none for `dynamic` and the like."""
    net = _network(selector)
    if net is None or not net.prefixlen:
        return ()
    beside = next(half for half in net.supernet().subnets() if half != net)
    return (str(beside), "0.0.0.0/0" if net.version == 4 else "::/0")


def _network(selector: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(selector)
    except ValueError:
        return None
