"""What a fake charon says of itself: the sections that vici has, and swanctl prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.fake_network.charon import IKE_PORT, FakeCharon
from tests.fake_network.sas import ChildSa, IkeSa

# A message of vici: sections, lists and values.
Message = Mapping[str, object]

NAMES = {
    "aes128": ("AES_CBC", "128"),
    "aes256": ("AES_CBC", "256"),
    "aes256gcm16": ("AES_GCM_16", "256"),
    "aes128gcm16": ("AES_GCM_16", "128"),
    "null": ("NULL", ""),
}
INTEGRITY = {"sha1": "HMAC_SHA1_96", "sha256": "HMAC_SHA2_256_128", "sha384": "HMAC_SHA2_384_192"}
PRFS = {"prfsha256": "PRF_HMAC_SHA2_256", "prfsha384": "PRF_HMAC_SHA2_384", "prfsha512": "PRF_HMAC_SHA2_512"}
GROUPS = {"ecp256": "ECP_256", "ecp384": "ECP_384", "modp2048": "MODP_2048", "modp3072": "MODP_3072"}


def tunnels(charon: FakeCharon) -> Iterator[Message]:
    """A message for each IKE_SA."""
    for sa in charon.sas:
        yield {sa.name: _ike(sa)}


def connections(charon: FakeCharon) -> Iterator[Message]:
    """A message for each connection."""
    for one in charon.connections.values():
        children = {
            child.name: {
                "mode": "TUNNEL",
                "rekey_time": str(child.rekeyed),
                "dpd_action": child.dead,
                "close_action": child.closed,
                "local-ts": _many(child.local),
                "remote-ts": _many(child.remote),
            }
            for child in one.children
        }
        yield {
            one.name: {
                "local_addrs": list(one.local),
                "remote_addrs": list(one.remote),
                "version": "IKEv2",
                "rekey_time": str(one.rekeyed),
                "dpd_delay": str(one.asked),
                "local-1": {"class": "public key", "id": one.identity},
                "remote-1": {"class": "public key", "id": one.peer},
                "children": children,
            }
        }


def _ike(sa: IkeSa) -> Message:
    return {
        "uniqueid": str(sa.unique),
        "version": "2",
        "state": sa.state,
        "local-host": str(sa.local),
        "local-port": str(IKE_PORT),
        "local-id": sa.local_id,
        "remote-host": str(sa.remote),
        "remote-port": str(IKE_PORT),
        "remote-id": sa.remote_id,
        "initiator-spi": sa.spis[0].hex(),
        "responder-spi": sa.spis[1].hex(),
        **_algorithms(sa.proposal, prf=True),
        "child-sas": {f"{child.name}-{child.unique}": _child(child) for child in sa.children},
    }


def _child(child: ChildSa) -> Message:
    return {
        "name": child.name,
        "uniqueid": str(child.unique),
        "reqid": "1",
        "state": child.state,
        "spi-in": f"{child.inbound.spi:08x}",
        "spi-out": f"{child.outbound.spi:08x}",
        "bytes-in": str(child.inbound.bytes),
        "bytes-out": str(child.outbound.bytes),
        **_algorithms(child.proposal),
        "local-ts": _many(child.local),
        "remote-ts": _many(child.remote),
    }


def _algorithms(proposal: str, *, prf: bool = False) -> Mapping[str, str]:
    """A proposal as charon reports it."""
    said: dict[str, str] = {}
    for word in proposal.split("-") if proposal else ():
        if word in NAMES:
            name, size = NAMES[word]
            said |= {"encr-alg": name, **({"encr-keysize": size} if size else {})}
        elif word in INTEGRITY:
            said["integ-alg"] = INTEGRITY[word]
            if prf:
                said["prf-alg"] = "PRF_" + INTEGRITY[word].rpartition("_")[0]
        elif word in PRFS:
            said["prf-alg"] = PRFS[word]
        elif word in GROUPS:
            said["dh-group"] = GROUPS[word]
    return said


def _many(values: Sequence[object]) -> list[str]:
    return [str(value) for value in values]
