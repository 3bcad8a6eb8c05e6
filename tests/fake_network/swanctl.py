"""swanctl on a fake node: what a fake charon is told, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.fake_network.charon import IKE_PORT, FakeCharon
from tests.fake_network.sas import ChildSa, IkeSa

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


def run(charon: FakeCharon, words: Sequence[str]) -> str:
    """What swanctl prints. Raises `ValueError` where it ends with an error."""
    if not charon.answers:
        raise ValueError("loading: connecting to 'unix:///run/charon.vici' failed: Connection refused")
    told = dict(zip(words[1::2], words[2::2], strict=False))
    match words[0]:
        case "--list-sas":
            return "\n".join([*map(_ike, charon.sas), "list-sas reply {}\n"])
        case "--list-conns":
            return "\n".join([*_connections(charon), "list-conns reply {}\n"])
        case "--load-conns":
            charon.load(told.get("--file", charon.own))
        case "--terminate":
            charon.terminate(int(told["--ike-id"]))
        case "--initiate":
            charon.initiate(told["--ike"], told["--child"])
        case "--rekey":
            layer = "IKE" if "--ike-id" in told else "ESP"
            charon.rekey(int(told.get("--ike-id") or told["--child-id"]), layer)
        case "--load-creds" | "--flush-certs" | "--reload-settings":
            pass
        case _:
            raise ValueError(f"swanctl {words}")
    return ""


def _ike(sa: IkeSa) -> str:
    said = {
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
        **algorithms(sa.proposal, prf=True),
    }
    children = " ".join(f"{child.name}-{child.unique} {{{_child(child)}}}" for child in sa.children)
    return f"list-sa event {{{sa.name} {{{_pairs(said)} child-sas {{{children}}}}}}}"


def _child(child: ChildSa) -> str:
    said = {
        "name": child.name,
        "uniqueid": str(child.unique),
        "reqid": "1",
        "state": child.state,
        "spi-in": f"{child.inbound.spi:08x}",
        "spi-out": f"{child.outbound.spi:08x}",
        "bytes-in": str(child.inbound.bytes),
        "bytes-out": str(child.outbound.bytes),
        **algorithms(child.proposal),
    }
    return f"{_pairs(said)} local-ts=[{_many(child.local)}] remote-ts=[{_many(child.remote)}]"


def _connections(charon: FakeCharon) -> Iterator[str]:
    for one in charon.connections.values():
        children = " ".join(
            f"{child.name} {{mode=TUNNEL local-ts=[{_many(child.local)}] remote-ts=[{_many(child.remote)}]}}"
            for child in one.children
        )
        addresses = f"local_addrs=[{_many(one.local)}] remote_addrs=[{_many(one.remote)}]"
        ends = f"local-1 {{class=public key id={one.identity}}} remote-1 {{class=public key id={one.peer}}}"
        yield f"list-conn event {{{one.name} {{{addresses} version=IKEv2 {ends} children {{{children}}}}}}}"


def algorithms(proposal: str, *, prf: bool = False) -> Mapping[str, str]:
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


def _pairs(said: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in said.items())


def _many(values: Sequence[object]) -> str:
    return " ".join(map(str, values))
