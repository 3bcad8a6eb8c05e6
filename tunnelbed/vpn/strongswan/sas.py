"""charon's lists, read into values: its tunnels (IKE_SAs and CHILD_SAs) and its connections."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

from tunnelbed.topology.model import Address
from tunnelbed.vpn.api import Child, Connection, Tunnel
from tunnelbed.vpn.strongswan.vici import Message, number, sections, text, texts

# Of the states of a CHILD_SA (child_sa.h), those in which packets pass, and the one of one that nothing is replacing.
CARRY, CURRENT = ("INSTALLED", "REKEYING"), "INSTALLED"


def tunnels(listed: Iterable[Message]) -> tuple[Tunnel, ...]:
    """The tunnels in the reply to `list-sas`, oldest first."""
    found = [_tunnel(name, said) for event in listed for name, said in sections(event).items()]
    return tuple(sorted(found, key=lambda tunnel: int(tunnel.id)))


def connections(listed: Iterable[Message]) -> tuple[Connection, ...]:
    """The connections in the reply to `list-conns`."""
    return tuple(_connection(name, said) for event in listed for name, said in sections(event).items())


def _tunnel(name: str, said: Message) -> Tunnel:
    children = tuple(_child(child) for child in sections(said, "child-sas").values())
    state = text(said, "state")
    return Tunnel(
        name,
        text(said, "uniqueid"),
        state,
        # Established, with a child installed; both still carry while they are replaced by new ones.
        state in ("ESTABLISHED", "REKEYING") and any(child.carries for child in children),
        _address(text(said, "local-host")),
        _address(text(said, "remote-host")),
        number(said, "local-port"),
        number(said, "remote-port"),
        text(said, "local-id"),
        text(said, "remote-id"),
        text(said, "nat-remote") == "yes",
        children,
        {
            "version": text(said, "version"),
            "proposal": _proposal(said),
            "initiator_spi": text(said, "initiator-spi"),
            "responder_spi": text(said, "responder-spi"),
        },
        bool(texts(said, "tasks-active")),
    )


def _child(said: Message) -> Child:
    state = text(said, "state")
    return Child(
        text(said, "name"),
        text(said, "uniqueid"),
        state,
        state in CARRY,
        selectors(said, "local-ts"),
        selectors(said, "remote-ts"),
        number(said, "spi-in", 16),
        number(said, "spi-out", 16),
        state != CURRENT,
        text(said, "mode") == "TRANSPORT",
        number(said, "bytes-in"),
        number(said, "bytes-out"),
        {"proposal": _proposal(said), "reqid": text(said, "reqid")},
    )


def _connection(name: str, said: Message) -> Connection:
    children = sections(said, "children")
    ours = [part for key, part in sections(said).items() if key.startswith("local-")]
    return Connection(
        name,
        texts(said, "local_addrs"),
        texts(said, "remote_addrs"),
        tuple(children),
        tuple(text(part, "id") for part in ours),
        tuple((selectors(child, "local-ts"), selectors(child, "remote-ts")) for child in children.values()),
    )


def selectors(said: Message, key: str) -> tuple[str, ...]:
    """Traffic selectors with ports as numbers, as files have them: charon writes the name of a service instead."""
    return tuple(re.sub(r"(?<=\[)(\w+)/([a-z][\w.-]*)(?=\])", _by_number, found) for found in texts(said, key))


def _by_number(match: re.Match[str]) -> str:
    try:
        return f"{match[1]}/{socket.getservbyname(match[2], match[1])}"
    except OSError:  # a name that this machine does not know
        return match[0]


def _address(said: str) -> Address | None:
    """An address without the interface that a link-local one may carry; None for `%any`."""
    try:
        return ipaddress.ip_address(said.partition("%")[0])
    except ValueError:
        return None


def _proposal(said: Mapping[str, object]) -> str:
    """The algorithms agreed on, as swanctl itself writes them: AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384."""
    cipher, size = text(said, "encr-alg"), text(said, "encr-keysize")
    parts = [f"{cipher}-{size}" if cipher and size else cipher]
    parts += [text(said, key) for key in ("integ-alg", "prf-alg", "dh-group")]
    return "/".join(part for part in parts if part)
