"""What charon says of its tunnels: the answers of `swanctl --raw`, read into values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Section = dict[str, "str | list[str] | Section"]


@dataclass(frozen=True)
class Child:
    """A CHILD_SA: one pair of ESP security associations."""

    name: str
    unique: int
    state: str
    proposal: str
    local: tuple[str, ...]
    remote: tuple[str, ...]
    spi_in: int
    spi_out: int
    bytes_in: int
    bytes_out: int
    reqid: int

    @property
    def carries(self) -> bool:
        """Installed; one that is replaced by a new one still carries."""
        return self.state in ("INSTALLED", "REKEYING")


@dataclass(frozen=True)
class Tunnel:
    """An IKE_SA and its children, as one gateway sees them."""

    name: str
    unique: int
    state: str
    version: int
    proposal: str
    local_id: str
    remote_id: str
    local_host: str
    remote_host: str
    local_port: int
    remote_port: int
    initiator_spi: str
    responder_spi: str
    # Whether a NAT stands before the peer, so that its address is the NAT's.
    hidden: bool
    children: tuple[Child, ...]

    @property
    def carries(self) -> bool:
        """Established, with a child installed; both still carry while they are replaced by new ones."""
        return self.state in ("ESTABLISHED", "REKEYING") and any(child.carries for child in self.children)


@dataclass(frozen=True)
class Connection:
    """A connection that charon has loaded: between which addresses, its children, and what each of them asks for."""

    name: str
    local: tuple[str, ...]
    remote: tuple[str, ...]
    children: tuple[str, ...]
    # As whom it shows itself there.
    identities: tuple[str, ...] = ()
    selectors: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


def tunnels(raw: str) -> tuple[Tunnel, ...]:
    """The tunnels in the output of `swanctl --list-sas --raw`, oldest first."""
    found = [_tunnel(name, said) for name, said in _events(raw, "list-sa")]
    return tuple(sorted(found, key=lambda tunnel: tunnel.unique))


def version(said: str) -> str:
    """Which strongSwan charon is, by `swanctl --version --daemon`: `strongSwan 6.0.1`; empty if it does not say."""
    found = re.search(r"^(strongSwan \S+) ", said, re.MULTILINE)
    return found[1] if found else ""


def connections(raw: str) -> tuple[Connection, ...]:
    """The connections in the output of `swanctl --list-conns --raw`."""
    found = []
    for name, said in _events(raw, "list-conn"):
        children = said.get("children", {})
        sections = children if isinstance(children, dict) else {}
        asked = [
            (_list(child, "local-ts"), _list(child, "remote-ts"))
            for child in sections.values()
            if isinstance(child, dict)
        ]
        local, remote = _list(said, "local_addrs"), _list(said, "remote_addrs")
        ours = (part for key, part in said.items() if key.startswith("local-") and isinstance(part, dict))
        identities = tuple(_text(part, "id") for part in ours)
        found.append(Connection(name, local, remote, tuple(sections), identities, tuple(asked)))
    return tuple(found)


def _events(raw: str, kind: str) -> Iterator[tuple[str, Section]]:
    """The sections that `swanctl --raw` prints, an event a line."""
    for line in raw.splitlines():
        head, _, body = line.partition("event {")
        if head.strip() == kind:
            for name, said in parse(body.rstrip()[:-1]).items():
                if isinstance(said, dict):
                    yield name, said


def parse(text: str) -> Section:
    """A vici message as `swanctl --raw` prints it: `key=value`, `key {...}` and `key=[a b]`, nested.

    A value has no quotes and may hold spaces, so it ends where the next key or bracket begins.
    """
    return _Reader(text).section()


class _Reader:
    """Reads one message from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def section(self) -> Section:
        found: Section = {}
        while True:
            self._skip_space()
            if self.at >= len(self.text):
                return found
            if self.text[self.at] == "}":
                self.at += 1
                return found
            match = _KEY.match(self.text, self.at)
            if not match:
                raise ValueError(f"no key at {self.text[self.at : self.at + 40]!r}")
            key, self.at = match["key"], match.end()
            match match["mark"].strip():
                case "{":
                    found[key] = self.section()
                case "=[":
                    end = self.text.index("]", self.at)
                    found[key] = self.text[self.at : end].split()
                    self.at = end + 1
                case _:
                    found[key] = self._value()

    def _value(self) -> str:
        match = _VALUE_ENDS.search(self.text, self.at)
        end = match.start() if match else len(self.text)
        value, self.at = self.text[self.at : end], end
        return value.strip()

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1


_KEY = re.compile(r"(?P<key>[^\s{}=]+)(?P<mark>=\[|=|\s*\{)")
# vici's own keys are lower-case words; the parts of a DN, which also hold `=`, are not, or follow a comma.
_VALUE_ENDS = re.compile(r"(?<!,)\s+[a-z][a-z0-9_-]*=|\s+[^\s{}=]+\s*\{|\s*\}")


def _tunnel(name: str, said: Section) -> Tunnel:
    children = said.get("child-sas", {})
    return Tunnel(
        name,
        _number(said, "uniqueid"),
        _text(said, "state"),
        _number(said, "version"),
        _proposal(said),
        _text(said, "local-id"),
        _text(said, "remote-id"),
        _text(said, "local-host"),
        _text(said, "remote-host"),
        _number(said, "local-port"),
        _number(said, "remote-port"),
        _text(said, "initiator-spi"),
        _text(said, "responder-spi"),
        _text(said, "nat-remote") == "yes",
        tuple(_child(child) for child in children.values() if isinstance(child, dict))
        if isinstance(children, dict)
        else (),
    )


def _child(said: Section) -> Child:
    return Child(
        _text(said, "name"),
        _number(said, "uniqueid"),
        _text(said, "state"),
        _proposal(said),
        _list(said, "local-ts"),
        _list(said, "remote-ts"),
        int(_text(said, "spi-in") or "0", 16),
        int(_text(said, "spi-out") or "0", 16),
        _number(said, "bytes-in"),
        _number(said, "bytes-out"),
        _number(said, "reqid"),
    )


def _proposal(said: Mapping[str, object]) -> str:
    """The algorithms agreed, as swanctl itself writes them: AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384."""
    cipher, size = said.get("encr-alg"), said.get("encr-keysize")
    parts = [f"{cipher}-{size}" if cipher and size else cipher]
    parts += [said.get("integ-alg"), said.get("prf-alg"), said.get("dh-group")]
    return "/".join(str(part) for part in parts if part)


def _text(said: Section, key: str) -> str:
    value = said.get(key, "")
    return value if isinstance(value, str) else ""


def _number(said: Section, key: str) -> int:
    return int(_text(said, key) or 0)


def _list(said: Section, key: str) -> tuple[str, ...]:
    value = said.get(key, [])
    return tuple(value) if isinstance(value, list) else ()
