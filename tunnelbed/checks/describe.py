"""What a testbed does now, in sentences that hold: a feature to start from.

Every pair of nodes is tried, and every sentence is proven by the code that will prove it again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tunnelbed.checks import node_hardening, security_associations
from tunnelbed.checks.address_selection import Aim, aims, owners
from tunnelbed.checks.reachability import cannot_reach, reaches, send_to
from tunnelbed.checks.tunnel_path import Listed, Passage, Via
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines import Progress
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.packets import ends
from tunnelbed.observe.probes import Ping, Probe, TcpSyn
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import naming
from tunnelbed.topology.model import Node, Scenario
from tunnelbed.vpn.api import Feature, Tunnel, Vpn

CAN, CANNOT = "{source} can reach {target}", "{source} cannot reach {target}"
THROUGH = Via.TUNNEL.value
# No sentence of a feature: neither reached nor stopped.
UNANSWERED = "{source} is let through to {target} and not served"
SEEN_AS = "{source} reaches {target} and is seen there as "


@dataclass(frozen=True)
class Fact:
    """One pair's part in a sentence: `{source} can reach {target} through the tunnel`."""

    source: str
    target: str
    sentence: str


def describe(bed: Testbed, ports: Sequence[int], progress: Progress) -> str:
    """The feature: who reaches whom by ping and on TCP `ports`, by which way, seen as whom; and the tunnels.

    What no sentence says (a packet that arrives and is not answered), or what cannot be judged, is a comment in it.
    """
    nodes = tuple(bed.scenario.nodes.values())
    found: list[Fact] = []
    doubts: list[str] = []
    captures, fail_fast = bed.captures, bed.fail_fast
    with bed.proven_alone(), tempfile.TemporaryDirectory() as folder:
        bed.captures, bed.fail_fast = Path(folder), True
        try:
            tunnels.start(bed)
            for source in nodes:
                progress(f"testing what {source.name} can reach")
                for target in nodes:
                    for port in (0, *ports) if source != target else ():
                        try:
                            found += _facts(bed, source, target, port)
                        except (Unmet, TunnelbedError) as doubt:
                            pair = f"{source.name} to {target.name}{f' on TCP port {port}' if port else ''}"
                            told = str(doubt).splitlines()[:2]
                            doubts.append(" ".join([f"{pair}:", *" ".join(told).split()]))
            progress("reading security associations")
            agreed = list(_agreed(bed))
            progress("reading capabilities and networks of nodes")
            are = list(_machines(bed))
            more = list(_more_versions(bed))
        finally:
            bed.captures, bed.fail_fast = captures, fail_fast
    return feature(bed.scenario, found, {"What the tunnels are": agreed, "What the nodes are": are}, doubts, more)


def _facts(bed: Testbed, source: Node, target: Node, port: int) -> Sequence[Fact]:
    """What holds for a pair; nothing if they have no IP version in common. Raises `Unmet` or an error.

    What holds for one IP version and not for the other is said of that version.
    """
    try:
        tried = aims(bed, source, target)
    except BadInput:
        return ()
    found = {aim.address.version: _facts_by(bed, source, aim, port) for aim in tried}
    first, *others = found.values()
    if all(other == first for other in others):
        return first
    return [
        replace(fact, sentence=f"{fact.sentence} by IPv{version}") for version, facts in found.items() for fact in facts
    ]


def _facts_by(bed: Testbed, source: Node, aim: Aim, port: int) -> Sequence[Fact]:
    """Likewise, by one IP version."""
    make: type[Ping] | partial[TcpSyn] = partial(TcpSyn, port) if port else Ping
    where = f" on TCP port {port}" if port else ""
    target, version = bed.scenario.nodes[aim.name], aim.address.version
    probe = make()
    with bed.record() as recording:
        send_to(bed, source, aim.address, probe)
        recording.settle()
    if not any(probe.answers(seen.packet) for seen in recording.arrivals(source.name)):
        try:
            cannot_reach(bed, source, target, make(), version=version)
        except Unmet:
            return [Fact(source.name, target.name, f"{UNANSWERED}{where}")]
        return [Fact(source.name, target.name, f"{CANNOT}{where}")]
    face = "" if port else _face(bed, recording, probe, source, target)
    seen_as = [Fact(source.name, target.name, f"{SEEN_AS}{face}")] if face else []
    for via in Passage(bed, "", recording, probe, source, target, Listed()).ways:
        if via is Via.CLEAR and port:  # there is no such sentence
            continue
        try:
            reaches(bed, source, target, make(), via=via, version=version)
        except Unmet:
            if via is Via.ANY:
                raise
        else:
            return [Fact(source.name, target.name, f"{CAN}{where}{via.value}"), *seen_as]
    return ()


def _face(bed: Testbed, recording: Recording, probe: Probe, source: Node, target: Node) -> str:
    """The name in a sentence of the node whose address the target saw, if it is not the source."""
    arrived = [seen.packet for seen in recording.arrivals(target.name) if probe.asks(seen.packet)]
    came_from = {found[0] for packet in arrived if (found := ends(packet))}
    faces = {node.name for address in came_from for node in owners(bed, address, target)}
    if len(faces) != 1 or source.name in faces:
        return ""
    return naming.spoken(bed.scenario, bed.scenario.node(faces.pop()))


def _agreed(bed: Testbed) -> Iterator[str]:
    """What holds of every tunnel that is up."""
    said = {node.name: naming.spoken(bed.scenario, node) for node in bed.scenario.nodes.values()}
    used: dict[tuple[str, str], list[str]] = {}
    for gateway in bed.gateways():
        node = bed.node(gateway)
        up = [tunnel for tunnel in node.tunnels() if tunnel.carries]
        for peer in bed.gateways():
            if peer != gateway and any(tunnel.carries for tunnel in node.tunnels(bed.node(peer))):
                yield f"{said[gateway.name]} has a tunnel with {said[peer.name]}"
        for identity in dict.fromkeys(tunnel.peer_identity for tunnel in up):
            yield f'{said[gateway.name]} has a peer authenticated as "{identity}"'
        for ours, theirs in dict.fromkeys((child.local, child.remote) for one in up for child in one.children):
            if _holds(partial(security_associations.selects, bed, gateway, ours, theirs)):
                yield f"{said[gateway.name]} protects exactly {' and '.join(ours)} towards {' and '.join(theirs)}"
        proposals = _proposals(node.vpn, up)
        if proposals and _holds(partial(security_associations.uses, bed, gateway, *proposals)):
            used.setdefault(proposals, []).append(gateway.name)
    for (ike, esp), gateways in used.items():
        for called in _called(bed.scenario, gateways, ()):
            yield f"the tunnels of {called} use exactly IKE {ike} and ESP {esp}"


def _machines(bed: Testbed) -> Iterator[str]:
    """What holds for every node by itself: its capabilities and its networks."""
    may: dict[tuple[str, ...], list[str]] = {}
    stand: dict[tuple[str, ...], list[str]] = {}
    for node in bed.scenario.nodes.values():
        if not node.privileged:
            may.setdefault(tuple(sorted(node_hardening.may(bed, node))), []).append(node.name)
        networks = [bed.scenario.networks[at.network] for at in node.attachments]
        if len(networks) in (1, 2) and _holds(partial(node_hardening.stands_only_in, bed, node, networks)):
            stand.setdefault(tuple(network.name for network in networks), []).append(node.name)
    for names, holders in may.items():
        for called in _called(bed.scenario, holders, ()) if names else ():
            yield f"{called} has exactly the capabilities {_listed(names)}"
    for names, those in stand.items():
        # Of two networks, the sentence is about one node.
        spoken = [naming.spoken(bed.scenario, bed.scenario.node(name)) for name in those]
        for called in _called(bed.scenario, those, ()) if len(names) == 1 else spoken:
            yield f"{called} has interfaces only in {' and '.join(names)}"
    given = [node.name for node in bed.scenario.nodes.values() if _holds(partial(_speaks_as_given, bed, node))]
    for called in _called(bed.scenario, given, ()):
        yield f"{called} has addresses only of the IP versions its stack gives"
    if _holds(partial(node_hardening.no_address_twice, bed)):
        yield "no two nodes have the same address"


def _speaks_as_given(bed: Testbed, node: Node) -> None:
    node_hardening.speaks_as_given(bed, [node])


def _more_versions(bed: Testbed) -> Iterator[str]:
    """IP versions that a node has beyond those of its stack, a line each: no sentence asks for them."""
    for node in bed.scenario.nodes.values():
        try:
            _speaks_as_given(bed, node)
        except Unmet as more:
            yield f"{more.expected}: found {more.seen}"


def _listed(names: Sequence[str]) -> str:
    """As a sentence lists them: `A, B and C`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except (Unmet, TunnelbedError):
        return False
    return True


def _proposals(kind: Vpn | None, up: Sequence[Tunnel]) -> tuple[str, str] | None:
    """What all tunnels agreed on, for IKE and for ESP, in the keywords of the VPN's files; None where they differ."""
    if kind is None or Feature.PROPOSALS not in kind.features:
        return None
    ike = {kind.words(tunnel.proposal) for tunnel in up}
    esp = {kind.words(child.proposal) for tunnel in up for child in tunnel.children}
    if len(ike) != 1 or len(esp) != 1 or not all([*ike, *esp]):
        return None
    return ike.pop(), esp.pop()


def feature(
    scene: Scenario,
    facts: Sequence[Fact],
    others: Mapping[str, Sequence[str]],
    doubts: Sequence[str] = (),
    more: Sequence[str] = (),
) -> str:
    """The text of the feature: a scenario for each sort of fact, and for other sentences by their titles."""
    parts = {
        "Who reaches whom, and how": sentences(scene, [fact for fact in facts if fact.sentence.startswith(CAN)]),
        "Who does not reach whom": sentences(scene, [fact for fact in facts if fact.sentence.startswith(CANNOT)]),
        "Source addresses after NAT": sentences(scene, [fact for fact in facts if fact.sentence.startswith(SEEN_AS)]),
        **others,
    }
    lines = [
        f"@scenario.{scene.name}",
        f"Feature: What {scene.name} does",
        "  Every sentence held when `invoke describe` wrote it. Keep those that you intend.",
    ]
    for title, said in parts.items():
        if said:
            first, *rest = said
            lines += ["", f"  Scenario: {title}", f"    Then {first}", *(f"    And {other}" for other in rest)]
    unsaid = [*sentences(scene, [fact for fact in facts if fact.sentence.startswith(UNANSWERED)]), *more]
    lines += ["", "  # No sentence says:", *(f"  #   {said}" for said in unsaid)] if unsaid else []
    lines += ["", "  # Could not be judged:", *(f"  #   {doubt}" for doubt in doubts)] if doubts else []
    return "\n".join([*lines, ""])


def sentences(scene: Scenario, facts: Iterable[Fact]) -> Sequence[str]:
    """As few sentences as say these facts and nothing else: `every client of site A` where all of them do."""
    found: list[str] = []
    by_sentence: dict[str, dict[str, list[str]]] = {}
    for fact in facts:
        by_sentence.setdefault(fact.sentence, {}).setdefault(fact.target, []).append(fact.source)
    for sentence, sources in by_sentence.items():
        if sentence.startswith(SEEN_AS):  # a sentence about one pair
            pairs = [(source, target) for target, those in sources.items() for source in those]
            named = [[naming.spoken(scene, scene.nodes[name]) for name in pair] for pair in pairs]
            found += [sentence.format(source=source, target=target) for source, target in named]
            continue
        targets: dict[str, list[str]] = {}
        for target, those in sources.items():
            for called in _called(scene, those, (target,)):
                targets.setdefault(called, []).append(target)
        for called, those in targets.items():
            members = [node.name for node in naming.nodes(scene, called)]
            alone = members if len(members) == 1 else ()
            found += [sentence.format(source=called, target=whom) for whom in _called(scene, those, alone)]
    return found


def _called(scene: Scenario, names: Collection[str], besides: Collection[str]) -> Sequence[str]:
    """How a sentence calls these nodes, and no others: by roles and sites where it can; `besides` do not count."""
    left = list(names)
    found: list[str] = []
    roles = dict.fromkeys(scene.nodes[name].role for name in names)
    sites = ["", *scene.sites]
    groups = [
        (f"every {role} of site {site.upper()}" if site else f"every {role}", scene.having(role, site))
        for site in sites
        for role in roles
        if role
    ]
    for called, nodes in groups:
        # A role called `node` is no group that a sentence can name: `every node` is all of them.
        if not nodes or tuple(naming.nodes(scene, called)) != nodes:
            continue
        members = [node.name for node in nodes if node.name not in besides]
        if len(members) > 1 and set(members) <= set(left):
            found.append(called)
            left = [name for name in left if name not in members]
    return [*found, *(naming.spoken(scene, scene.nodes[name]) for name in left)]
