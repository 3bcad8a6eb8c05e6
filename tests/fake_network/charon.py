"""A fake charon: loads connections, speaks IKE with its peers through the network, and seals what they agreed on.

IKE's messages have a true header (RFC 7296, 3.1) and a body that is plain JSON: firewalls and recordings see them, and
what a gateway drops on its way never arrives.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.packet import Packet, Raw

from tests.fake_network import esp, settings, trust
from tests.fake_network.daemon_clock import DaemonClock
from tests.fake_network.parts import Policy, Sealer
from tests.fake_network.sas import KNOWN, ChildSa, IkeSa, bare, narrowed, new_number, new_spi, texts
from tests.fake_network.settings import Child, Connection
from tests.fake_network.stack import FakeNode
from tunnelbed.topology.model import Address, Subnet

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork

IKE_PORT, NAT_T = 500, 4500
INIT, AUTH, CREATE_CHILD, INFORMATIONAL = 34, 35, 36, 37
HEADER = struct.Struct("!8s8sBBBBII")
OWN = "/run/tunnelbed/swanctl/swanctl.conf"


class FakeCharon(Sealer):
    """The daemon of one node."""

    def __init__(self, network: FakeNetwork, node: FakeNode) -> None:
        self.network, self.node, self.plane = network, node, network.plane
        self.connections: Mapping[str, Connection] = {}
        self.sas: list[IkeSa] = []
        self.answers = self.null = False
        # SAs whose successors are there: what is under way is still opened.
        self.old: dict[int, esp.Sa] = {}
        self.counters = {"XfrmInStateSeqError": 0, "XfrmInStateProtoError": 0, "XfrmInNoStates": 0}
        self._numbers = itertools.count(1)
        self.clock = DaemonClock(self)
        # An impostor's settings and credentials come from elsewhere, and it listens on another port.
        self.own, self.home, self.port = OWN, "", IKE_PORT

    def start(self) -> None:
        """Begin anew, with the connections of its own file."""
        self.network.hang_up(self.node)
        self.sas, self.old, self.answers = [], {}, True
        self.node.sealer = self
        self.node.processes.add("charon")
        self.load(self.own)

    def load(self, path: str) -> None:
        """Load the connections of a file, and forget those that are not in it. Raises `ValueError`."""
        found = settings.connections(settings.read(self.text(path), self.text))
        for connection in found.values():
            for one in (*connection.proposals, *(word for child in connection.children for word in child.proposals)):
                unknown = [word for word in one.split("-") if word not in KNOWN and one != "default"]
                if unknown:
                    raise ValueError("loading connection failed: invalid value for: proposals, config discarded")
        self.connections = found
        for one in found:
            self.say("CFG", f"added vici connection: {one}")
        for connection in found.values():
            for child in connection.children:
                if "start" in child.action:
                    self.initiate(connection.name, child.name)

    def text(self, path: str) -> str:
        """A file as the node has it: written since, or its own in configs/."""
        if path in self.node.files:
            return self.node.files[path]
        own = self.network.scenario.configs / self.node.name / "swanctl.conf"
        return own.read_text(encoding="utf-8") if path.endswith("/swanctl.conf") and own.exists() else ""

    # What is sealed.

    def policies(self) -> Sequence[Policy]:
        if not self.answers:
            return ()
        trapped = [
            Policy(child.local, child.remote)
            for connection in self.connections.values()
            for child in connection.children
            if child.action != "none"
        ]
        return [*trapped, *(Policy(child.local, child.remote) for _, child in self._installed())]

    def seal(self, packet: Packet) -> Packet | None:
        source, target = ipaddress.ip_address(packet.src), ipaddress.ip_address(packet.dst)
        for _, child in reversed(list(self._installed())):
            if Policy(child.local, child.remote).covers(source, target):
                return esp.seal(child.outbound, bytes(packet))
        for connection in self.connections.values():
            for wanted in connection.children:
                if Policy(wanted.local, wanted.remote).covers(source, target):
                    self.initiate(connection.name, wanted.name)
        return None

    def open(self, packet: Packet) -> bytes | None:
        found = packet.getlayer(ESP)
        known = {child.inbound.spi: child.inbound for _, child in self._installed()} | self.old
        if found is None or found.spi not in known:
            self.say("ESP", "inbound ESP packet does not belong to an installed SA")
            self.counters["XfrmInNoStates"] += 1
            return None
        try:
            return esp.opened(known[found.spi], found)
        except esp.Refused as refused:
            self.say("ESP", str(refused))
            self.counters[refused.counter] += 1
            return None

    def _installed(self) -> Iterator[tuple[IkeSa, ChildSa]]:
        for sa in self.sas:
            for child in sa.children:
                if child.state == "INSTALLED":
                    yield sa, child

    # What it is told to do.

    def initiate(self, connection: str, child: str) -> None:
        """Ask the peer for a tunnel, unless that is under way."""
        conf = self.connections[connection]
        if any(sa.name == connection and sa.state == "CONNECTING" for sa in self.sas):
            return
        local, remote = conf.local[0], conf.remote[0]
        if "%" in remote:
            return
        own = ipaddress.ip_address(local) if "%" not in local else self.node.source_for(ipaddress.ip_address(remote))
        if own is None:
            return
        sa = IkeSa(connection, next(self._numbers), own, ipaddress.ip_address(remote), new_spi(), initiator=True)
        sa.local_id, sa.wanted = conf.identity, child
        self.sas.append(sa)
        self.say("IKE", f"<{sa.name}|{sa.unique}> initiating IKE_SA {sa.name}[{sa.unique}] to {sa.remote}")
        self._tell(sa, INIT, {"proposals": conf.proposals})

    def terminate(self, unique: int) -> None:
        """End a tunnel, and let the peer know."""
        for sa in [one for one in self.sas if one.unique == unique]:
            self.sas.remove(sa)
            if sa.state == "ESTABLISHED":
                self._tell(sa, INFORMATIONAL, {"delete": "IKE"})

    def rekey(self, unique: int, layer: str) -> None:
        """Ask the peer for new keys: `unique` is an IKE_SA's number, or a CHILD_SA's."""
        for sa in self.sas:
            if layer == "IKE" and sa.unique == unique:
                self._tell(sa, CREATE_CHILD, {"rekey": "IKE", "spi": new_spi().hex()})
            for child in sa.children:
                if layer == "ESP" and child.unique == unique:
                    conf = next(one for one in self.connections[sa.name].children if one.name == child.name)
                    body = {"rekey": "ESP", "spi": new_number(), "old": child.outbound.spi, "esp": conf.proposals}
                    self._tell(sa, CREATE_CHILD, body)

    def say(self, group: str, text: str) -> None:
        """A line in the node's log, as charon writes it."""
        self.network.say(self.node.name, f"2026-01-01T00:00:00.000 07[{group}] {text}")

    # IKE.

    def hear(self, packet: Packet) -> None:
        """A message of IKE has come."""
        if not self.answers:
            return
        data = bytes(packet[UDP].payload).removeprefix(b"\0\0\0\0")
        if len(data) < HEADER.size or not self.answers:
            return
        first, second, _, _, exchange, flags, _, length = HEADER.unpack_from(data)
        if length != len(data):
            return
        try:
            said = json.loads(data[HEADER.size :])
        except ValueError:
            return
        us, them = ipaddress.ip_address(packet.dst), ipaddress.ip_address(packet.src)
        answer = bool(flags & 0x20)
        sa = next((one for one in self.sas if one.own_spi in (first, second)), None)
        if exchange == INIT and not answer:
            self._asked_init(us, them, first, said)
        elif sa is not None:
            step = {INIT: self._init, AUTH: self._auth, CREATE_CHILD: self._child, INFORMATIONAL: self._informed}
            step[exchange](sa, said, second if sa.initiator else first, answer)

    def _asked_init(self, us: Address, them: Address, spi: bytes, said: Mapping[str, Any]) -> None:
        sa = IkeSa("", next(self._numbers), us, them, new_spi(), initiator=False, peer_spi=spi)
        fitting = [
            one
            for one in self.connections.values()
            if (str(us) in one.local or "%any" in one.local) and (str(them) in one.remote or "%any" in one.remote)
        ]
        if not fitting:
            self.say("IKE", f"no IKE config found for {us}...{them}, sending NO_PROPOSAL_CHOSEN")
            self._tell(sa, INIT, {"notify": "NO_PROPOSAL_CHOSEN"}, answer=True)
            return
        chosen = next((one for one in fitting[0].proposals if one in said["proposals"]), None)
        sa.name, sa.local_id = fitting[0].name, fitting[0].identity
        if chosen is None:
            self.say("IKE", f"<{sa.unique}> received proposals unacceptable")
            self._tell(sa, INIT, {"notify": "NO_PROPOSAL_CHOSEN"}, answer=True)
            return
        sa.proposal = chosen
        self.sas.append(sa)
        self._tell(sa, INIT, {"proposal": chosen}, answer=True)

    def _init(self, sa: IkeSa, said: Mapping[str, Any], spi: bytes, answer: bool) -> None:  # noqa: FBT001 # of the header
        if not answer or self._refused(sa, said):
            return
        conf = self.connections.get(sa.name)
        if conf is None:
            return
        sa.peer_spi, sa.proposal = spi, said["proposal"]
        child = next(one for one in conf.children if one.name == sa.wanted)
        self._tell(sa, AUTH, {**self._shown(conf), "child": self._offer(child), "number": new_number()})

    def _auth(self, sa: IkeSa, said: Mapping[str, Any], spi: bytes, answer: bool) -> None:  # noqa: FBT001 # likewise
        del spi
        if answer and self._refused(sa, said):
            return
        conf = self._meant(sa, said)
        if conf is None:
            self.say("CFG", f"<{sa.name}|{sa.unique}> no matching peer config found")
            self._end(sa, answer)
            return
        sa.name = conf.name
        if wrong := trust.doubts(self._credentials(), conf, said, self.clock.now()):
            self.say("CFG", f"<{sa.name}|{sa.unique}> {wrong}")
            self._end(sa, answer)
            return
        sa.remote_id, sa.local_id = said["id"], conf.identity
        child = self._agreed(sa, conf, said["child"], said["number"], said.get("own", 0))
        if child is None:
            self.say("IKE", f"<{sa.name}|{sa.unique}> no acceptable proposal found")
            if not answer:
                self._tell(sa, AUTH, {"notify": "NO_PROPOSAL_CHOSEN"}, answer=True)
            self.sas.remove(sa)
            return
        self._established(sa, child)
        if not answer:
            for_peer = {"local": texts(child.local), "remote": texts(child.remote), "esp": [child.proposal]}
            body = {**self._shown(conf), "child": for_peer, "number": child.inbound.spi, "own": child.outbound.spi}
            self._tell(sa, AUTH, body, answer=True)

    def _established(self, sa: IkeSa, child: ChildSa) -> None:
        sa.state = "ESTABLISHED"
        sa.children.append(child)
        self.say("IKE", f"<{sa.name}|{sa.unique}> IKE_SA {sa.name}[{sa.unique}] established between {sa.ends}")
        self._say_child(sa, child)

    def _say_child(self, sa: IkeSa, child: ChildSa) -> None:
        said = f"CHILD_SA {child.name}{{{child.unique}}} established with SPIs {child.spis} and TS"
        selectors = f"{' '.join(texts(child.local))} === {' '.join(texts(child.remote))}"
        self.say("IKE", f"<{sa.name}|{sa.unique}> {said} {selectors}")

    def _meant(self, sa: IkeSa, said: Mapping[str, Any]) -> Connection | None:
        """The connection that takes this peer's identity."""
        mine = [one for one in self.connections.values() if sa.initiator is False or one.name == sa.name]
        return next(
            (
                one
                for one in mine
                if one.peer in ("%any", said["id"]) and (str(sa.remote) in one.remote or "%any" in one.remote)
            ),
            None,
        )

    def _agreed(self, sa: IkeSa, conf: Connection, offer: Mapping[str, Any], theirs: int, own: int) -> ChildSa | None:
        """The CHILD_SA of which the peer offers its part; narrowed to what both ends want."""
        local = tuple(ipaddress.ip_network(one) for one in offer["remote"])
        remote = tuple(ipaddress.ip_network(one) for one in offer["local"])
        for child in conf.children:
            chosen = next((one for one in child.proposals if bare(one) in map(bare, offer["esp"])), None)
            ours, others = narrowed(child.local, local), narrowed(child.remote, remote)
            if chosen and ours and others and child.name in (sa.wanted or child.name):
                number = own or new_number()
                return self._installing(sa, child.name, bare(chosen), (ours, others), (number, theirs))
        return None

    def _installing(
        self,
        sa: IkeSa,
        name: str,
        proposal: str,
        selectors: tuple[tuple[Subnet, ...], tuple[Subnet, ...]],
        numbers: tuple[int, int],
    ) -> ChildSa:
        null = proposal.startswith("null")
        made = [
            self.network.sa(number, str(source), str(target), null=null)
            for number, source, target in ((numbers[0], sa.remote, sa.local), (numbers[1], sa.local, sa.remote))
        ]
        return ChildSa(name, next(self._numbers), proposal, *selectors, inbound=made[0], outbound=made[1])

    def _child(self, sa: IkeSa, said: Mapping[str, Any], spi: bytes, answer: bool) -> None:  # noqa: FBT001 # likewise
        del spi
        if said["rekey"] == "IKE":
            self._renew_ike(sa, said, answer=answer)
            return
        conf = self.connections.get(sa.name)
        mine = said["asked"] if answer else new_number()
        old = said["theirs"] if answer else said["old"]
        before = next((child for child in sa.children if child.inbound.spi == old), None)
        if before is None or conf is None:
            return
        offered = next(one for one in conf.children if one.name == before.name).proposals
        chosen = said["chosen"] if answer else next(one for one in offered if one in said["esp"])
        new = self._installing(sa, before.name, chosen, (before.local, before.remote), (mine, said["spi"]))
        self.old[before.inbound.spi] = before.inbound
        sa.children = [child for child in sa.children if child is not before] + [new]
        self._say_child(sa, new)
        self.say("IKE", f"<{sa.name}|{sa.unique}> rekeyed CHILD_SA {before.said} with {new.said}")
        if not answer:
            body = {"rekey": "ESP", "spi": mine, "asked": said["spi"], "chosen": chosen}
            self._tell(sa, CREATE_CHILD, {**body, "theirs": before.outbound.spi}, answer=True)

    def _renew_ike(self, sa: IkeSa, said: Mapping[str, Any], *, answer: bool) -> None:
        own = bytes.fromhex(said["asked"]) if answer else new_spi()
        peer = bytes.fromhex(said["spi"])
        if not answer:
            self._tell(sa, CREATE_CHILD, {"rekey": "IKE", "spi": own.hex(), "asked": said["spi"]}, answer=True)
        new = replace(
            sa, unique=next(self._numbers), own_spi=own, peer_spi=peer, initiator=answer, children=list(sa.children)
        )
        self.sas[self.sas.index(sa)] = new
        self.say("IKE", f"<{new.name}|{new.unique}> IKE_SA {new.name}[{new.unique}] rekeyed between {new.ends}")

    def _informed(self, sa: IkeSa, said: Mapping[str, Any], spi: bytes, answer: bool) -> None:  # noqa: FBT001 # likewise
        del spi, answer
        if said.get("delete"):
            self.sas.remove(sa)

    def _refused(self, sa: IkeSa, said: Mapping[str, Any]) -> bool:
        """Whether the peer said no."""
        if notify := said.get("notify"):
            self.say("IKE", f"<{sa.name}|{sa.unique}> received {notify} notify error")
            self.sas.remove(sa)
        return bool(notify)

    def _end(self, sa: IkeSa, answer: bool) -> None:  # noqa: FBT001 # likewise
        if not answer:
            self._tell(sa, AUTH, {"notify": "AUTHENTICATION_FAILED"}, answer=True)
        else:
            self._tell(sa, INFORMATIONAL, {"delete": "IKE"})
        self.sas.remove(sa)

    def _shown(self, conf: Connection) -> Mapping[str, Any]:
        return {"id": conf.identity, **trust.shown(self._credentials(), conf)}

    def _credentials(self) -> trust.Files | None:
        """Its certificates and CRLs by folder and name; None where everybody is whoever they say."""
        if self.network.keys is None:
            return None
        if self.home:
            own = {path: text for path, text in self.node.files.items() if path.startswith(f"{self.home}/x509")}
            return {path.removeprefix(f"{self.home}/"): text for path, text in own.items()}
        tree = self.network.keys / self.node.name
        return {str(path.relative_to(tree)): path.read_text(encoding="utf-8") for path in tree.glob("x509*/*.pem")}

    def _offer(self, child: Child) -> Mapping[str, Any]:
        return {"local": texts(child.local), "remote": texts(child.remote), "esp": child.proposals}

    def _tell(self, sa: IkeSa, exchange: int, said: Mapping[str, Any], *, answer: bool = False) -> None:
        """Send the peer a message."""
        body = json.dumps(said).encode()
        flags = (0x20 if answer else 0) | (0x08 if sa.initiator else 0)
        header = HEADER.pack(*sa.spis, 46, 0x20, exchange, flags, 0, HEADER.size + len(body))
        family = IP if sa.local.version == 4 else IPv6
        packet = family(src=str(sa.local), dst=str(sa.remote)) / UDP(sport=self.port, dport=IKE_PORT)
        whole = packet / Raw(header + body)
        self.network.later(lambda: self.node.try_to_send(whole))


def gateways(network: FakeNetwork) -> dict[str, FakeCharon]:
    """A charon for each node that has a swanctl.conf."""
    configs = network.scenario.configs
    return {
        name: FakeCharon(network, node)
        for name, node in network.nodes.items()
        if (configs / name / "swanctl.conf").exists()
    }
