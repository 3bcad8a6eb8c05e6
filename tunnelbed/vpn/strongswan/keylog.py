"""The keys that gateways agree on, read from charon's log, and written for Wireshark.

    with daemon.keylog():
        ...                                    # tunnels are made
        found = daemon.keys()
    found.write(folder)                        # WIRESHARK_CONFIG_DIR=folder wireshark ...

At its highest level charon logs every secret, whoever does ESP. Only what is agreed on while the log is kept is in it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunnelbed.vpn.api import Tunnel

FILE = "/run/tunnelbed/keys.log"
# What each subsystem says at these levels (strongswan.conf(5), "Logger configuration"): ike and chd the secrets, enc
# who asked whom, cfg the proposals.
SETTINGS = f"""
charon {{ filelog {{ tunnelbed-keys {{
    path = {FILE}
    append = no
    flush_line = yes
    ike_name = yes
    default = -1
    ike = 4
    chd = 4
    enc = 1
    cfg = 1
}} }} }}
"""

# Wireshark's names for what strongSwan calls otherwise: its ESP SAs, and its table for decrypting IKEv2.
ESP_CIPHERS = {
    "AES_CBC": "AES-CBC [RFC3602]",
    "AES_CTR": "AES-CTR [RFC3686]",
    "AES_GCM_8": "AES-GCM with 8 octet ICV [RFC4106]",
    "AES_GCM_12": "AES-GCM with 12 octet ICV [RFC4106]",
    "AES_GCM_16": "AES-GCM with 16 octet ICV [RFC4106]",
    "3DES_CBC": "TripleDES-CBC [RFC2451]",
    "NULL": "NULL",
}
ESP_HASHES = {
    "": "NULL",
    "HMAC_SHA1_96": "HMAC-SHA-1-96 [RFC2404]",
    "HMAC_SHA2_256_128": "HMAC-SHA-256-128 [RFC4868]",
    "HMAC_SHA2_384_192": "HMAC-SHA-384-192 [RFC4868]",
    "HMAC_SHA2_512_256": "HMAC-SHA-512-256 [RFC4868]",
}
IKE_CIPHERS = {
    **{f"AES_CBC_{bits}": f"AES-CBC-{bits} [RFC3602]" for bits in (128, 192, 256)},
    **{
        f"AES_GCM_{icv}_{bits}": f"AES-GCM-{bits} with {icv} octet ICV [RFC5282]"
        for icv in (8, 12, 16)
        for bits in (128, 192, 256)
    },
    "3DES_CBC": "3DES [RFC2451]",
}
IKE_HASHES = {
    "": "NONE [RFC4306]",
    "HMAC_SHA1_96": "HMAC_SHA1_96 [RFC2404]",
    "HMAC_SHA2_256_128": "HMAC_SHA2_256_128 [RFC4868]",
    "HMAC_SHA2_384_192": "HMAC_SHA2_384_192 [RFC4868]",
    "HMAC_SHA2_512_256": "HMAC_SHA2_512_256 [RFC4868]",
}


@dataclass(frozen=True)
class EspKey:
    """One direction of a CHILD_SA: from which gateway to which, and in strongSwan's names how it is protected.

    The key of an AEAD cipher has the salt at its end (RFC 4106, 8.1); `hash_key` is empty there.
    """

    spi: int
    source: str
    target: str
    cipher: str
    key: bytes
    hash: str = ""
    hash_key: bytes = b""


@dataclass(frozen=True)
class IkeKeys:
    """What protects an IKE_SA: its SPIs in hexadecimal, and SK_e and SK_a of each side (RFC 7296, 2.14)."""

    initiator_spi: str
    responder_spi: str
    cipher: str
    hash: str
    initiator: bytes
    responder: bytes
    initiator_hash: bytes = b""
    responder_hash: bytes = b""


@dataclass(frozen=True)
class Keys:
    """All that became known."""

    esp: tuple[EspKey, ...] = ()
    ike: tuple[IkeKeys, ...] = ()

    def __add__(self, other: Keys) -> Keys:
        """Those of both, each once: two gateways know the keys of the tunnel between them."""
        return Keys(tuple(dict.fromkeys(self.esp + other.esp)), tuple(dict.fromkeys(self.ike + other.ike)))

    def __str__(self) -> str:
        """How many there are."""
        return f"{len(self.ike)} keys of IKE and {len(self.esp)} of ESP"

    def write(self, folder: Path) -> Sequence[str]:
        """Make a folder of Wireshark's settings in which it has them; the ciphers that it has no name for."""
        return write(self, folder)


def keys(said: str, tunnels: Iterable[Tunnel] = ()) -> Keys:
    """The keys in a log of charon's.

    `tunnels` are those there are now: an IKE_SA that took another's place does not log its SPIs.
    """
    esp: list[EspKey] = []
    agreements: dict[str, _Agreement] = {}
    threads: dict[str, _Child] = {}
    for line in _lines(said):
        child = threads.setdefault(line.thread, _Child())
        agreements.setdefault(line.unique, _Agreement()).hear(line)
        if found := child.hear(line):
            esp.append(found)
    for tunnel in tunnels:
        if known := agreements.get(tunnel.id):
            known.spis = known.spis or (tunnel.details["initiator_spi"], tunnel.details["responder_spi"])
            known.proposal = known.proposal or tunnel.proposal.replace("-", "_")
    ike = [made for known in agreements.values() if (made := known.keys())]
    return Keys(tuple(dict.fromkeys(esp)), tuple(ike))


def write(found: Keys, folder: Path) -> Sequence[str]:
    """Make a folder of Wireshark's settings in which it has these keys; the ciphers that it has no name for."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "preferences").write_text("esp.enable_encryption_decode: TRUE\n", encoding="utf-8")
    esp = [_esp_row(key) for key in found.esp if not _unnamed(key, ESP_CIPHERS, ESP_HASHES)]
    ike = [_ike_row(key) for key in found.ike if not _unnamed(key, IKE_CIPHERS, IKE_HASHES)]
    for name, rows in (("esp_sa", esp), ("ikev2_decryption_table", ike)):
        table = folder / name
        table.touch(mode=0o600)
        table.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    unnamed = [_unnamed(key, ESP_CIPHERS, ESP_HASHES) for key in found.esp]
    unnamed += [_unnamed(key, IKE_CIPHERS, IKE_HASHES) for key in found.ike]
    return sorted(set().union(*unnamed))


@dataclass(frozen=True)
class _Line:
    """One entry of the log: whose thread, about which IKE_SA (empty: about none), what, and the bytes it shows."""

    thread: str
    unique: str
    text: str
    data: bytes = b""


@dataclass
class _Agreement:
    """What the log has about one IKE_SA."""

    spis: tuple[str, str] | tuple[()] = ()
    proposal: str = ""
    secrets: dict[str, bytes] = field(default_factory=dict)

    def hear(self, line: _Line) -> None:
        # What NAT detection hashes begins with both SPIs (RFC 7296, 2.23), the responder's being zero at first.
        if line.text.startswith("natd_chunk") and any(line.data[8:16]):
            self.spis = (line.data[:8].hex(), line.data[8:16].hex())
        elif found := re.match(r"selected proposal: IKE:(\S+)", line.text):
            self.proposal = found[1]
        elif found := re.match(r"Sk_([ae][ir]) secret", line.text):
            self.secrets[found[1]] = line.data

    def keys(self) -> IkeKeys | None:
        if not self.spis or not {"ei", "er"} <= set(self.secrets):
            return None
        cipher, *others = self.proposal.split("/")
        hashed = others[0] if others and not others[0].startswith("PRF_") else ""
        secret = [self.secrets.get(name, b"") for name in ("ei", "er", "ai", "ar")]
        return IkeKeys(*self.spis, cipher, hashed, *secret)


@dataclass
class _Child:
    """What one thread of charon's is telling of the CHILD_SA that it makes."""

    # Whether we asked for it: the message that it answers to was the peer's answer.
    asked: bool = False
    used: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    inbound: bool = False

    def hear(self, line: _Line) -> EspKey | None:
        if found := re.match(r"parsed \S+ (request|response)", line.text):
            self.asked = found[1] == "response"
        elif found := re.match(r" +using (\S+) for (encryption|integrity)", line.text):
            if found[2] == "encryption":
                self.used, self.secrets = {}, {}
            self.used[found[2]] = found[1]
        elif found := re.match(r"((?:encryption|integrity) (?:initiator|responder)) key", line.text):
            self.secrets[found[1]] = line.data
        elif found := re.match(r"(?:adding|registering) (in|out)bound ESP SA", line.text):
            self.inbound = found[1] == "in"
        elif found := re.match(r" +SPI 0x([0-9a-f]+), src (\S+) dst (\S+)", line.text):
            return self._key(int(found[1], 16), found[2], found[3])
        return None

    def _key(self, spi: int, source: str, target: str) -> EspKey | None:
        """A direction's key: the initiator's, where who asked sends."""
        whose = "responder" if self.asked == self.inbound else "initiator"
        key = self.secrets.get(f"encryption {whose}", b"")
        hash_key = self.secrets.get(f"integrity {whose}", b"")
        if not key and not hash_key:
            return None
        used = self.used
        return EspKey(spi, source, target, used.get("encryption", ""), key, used.get("integrity", ""), hash_key)


def _lines(said: str) -> Iterator[_Line]:
    """The entries of a log, each with the bytes that follow it in rows of sixteen."""
    entry = re.compile(r"(?P<thread>\d+)\[\w+\] (?:<(?:[^|>]*\|)?(?P<unique>\d+)> )?(?P<text>.*)")
    head: _Line | None = None
    left = 0
    data = b""
    for line in said.splitlines():
        if not (found := entry.match(line)):
            continue
        if head and left > 0:
            row = found["text"].partition(": ")[2]
            data += bytes.fromhex(row[: 3 * min(left, 16)])
            left -= 16
            if left <= 0:
                yield _Line(head.thread, head.unique, head.text, data)
            continue
        head = _Line(found["thread"], found["unique"] or "", found["text"])
        sized = re.search(r" => (\d+) bytes @ ", head.text)
        left, data = int(sized[1]) if sized else 0, b""
        if not left:
            yield head


def _unnamed(key: EspKey | IkeKeys, ciphers: Container[str], hashes: Container[str]) -> set[str]:
    """What protects it that Wireshark has no name for."""
    return {name for name, known in ((key.cipher, ciphers), (key.hash, hashes)) if name not in known}


def _esp_row(key: EspKey) -> str:
    """A row of Wireshark's ESP SAs: every column is text."""
    ends = ("IPv6" if ":" in key.target else "IPv4", key.source, key.target, f"0x{key.spi:08x}")
    secrets = (ESP_CIPHERS[key.cipher], _hex(key.key), ESP_HASHES[key.hash], _hex(key.hash_key))
    return ",".join(f'"{word}"' for word in (*ends, *secrets))


def _ike_row(key: IkeKeys) -> str:
    """A row of Wireshark's table for IKEv2: algorithms are text, all else is hexadecimal."""
    cipher, hashed = f'"{IKE_CIPHERS[key.cipher]}"', f'"{IKE_HASHES[key.hash]}"'
    secrets = (key.initiator.hex(), key.responder.hex(), cipher, key.initiator_hash.hex(), key.responder_hash.hex())
    return ",".join((key.initiator_spi, key.responder_spi, *secrets, hashed))


def _hex(key: bytes) -> str:
    return f"0x{key.hex()}" if key else ""
