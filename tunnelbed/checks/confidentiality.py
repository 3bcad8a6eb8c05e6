"""What crosses a network and what does not: protocols, texts, addresses, and forged packets.

Each verdict that something is *not* there shows first that it would have been seen: the same text or address is found
where it must be, and something was seen to cross the link at all.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tunnelbed import vpn
from tunnelbed.checks.address_selection import away, inside
from tunnelbed.checks.reachability import ON_ITS_WAY, control_arrives
from tunnelbed.checks.tunnel_path import INSIDE
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.kinds import STRAY, check, kind, kinds
from tunnelbed.observe.packets import from_or_to, is_neighbour_discovery, packets_within
from tunnelbed.observe.probes import Marked, Ping, Probe
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Network, Node, Subnet


def only_crosses(bed: Testbed, recording: Recording, networks: Iterable[Network], wanted: Sequence[str]) -> None:
    """Each network was crossed by these kinds of packet (`observe.kinds`) and by no other.

    Neighbour discovery is no traffic and does not count. Raises `Unmet`, also where nothing crossed.
    """
    check(wanted, vpn.words())
    for network in networks:
        crossed = _traffic(recording, network)
        expected = f"only {' and '.join(sorted(set(wanted)))} cross {network.name}"
        for seen in crossed:
            found = kinds(seen.packet, bed.classify)
            if found.isdisjoint(wanted) or STRAY in found:
                raise unmet(bed, expected, f"{kind(seen.packet, bed.classify)}: {seen}", recording)
        # Gateways that ask each other for a sign of life do so at any time: that is nobody's traffic.
        if all((carried := bed.classify(seen.packet)) and carried.routine for seen in crossed):
            raise unmet(bed, expected, "nothing", recording)


def crosses(bed: Testbed, recording: Recording, network: Network, wanted: str) -> None:
    """At least one packet of a kind crossed a network. Raises `Unmet`."""
    check([wanted], vpn.words())
    crossed = [seen.packet for seen in _traffic(recording, network)]
    if not any(wanted in kinds(packet, bed.classify) for packet in crossed):
        counted = Counter(kind(packet, bed.classify) for packet in crossed)
        seen = ", ".join(f"{count} {name}" for name, count in counted.items()) or "nothing"
        raise unmet(bed, f"{wanted} crosses {network.name}", seen, recording)


def does_not_cross(bed: Testbed, recording: Recording, network: Network, unwanted: str) -> None:
    """No packet of a kind crossed a network; a settled recording would have seen it. Raises `Unmet`."""
    check([unwanted], vpn.words())
    if found := [seen for seen in recording.on(network.name) if unwanted in kinds(seen.packet, bed.classify)]:
        raise unmet(bed, f"no {unwanted} crosses {network.name}", str(found[0]), recording)


def nothing_crosses(bed: Testbed, recording: Recording, network: Network, source: Node | None = None) -> None:
    """No packet (that `source` sent) crossed a network, neighbour discovery aside. Raises `Unmet`."""
    expected = f"{source.name} sends nothing into {network.name}" if source else f"nothing crosses {network.name}"
    for seen in _traffic(recording, network):
        if source is None or seen.node == source.name:
            raise unmet(bed, expected, f"{kind(seen.packet, bed.classify)}: {seen}", recording)


def text_is_unreadable(
    bed: Testbed, recording: Recording, requests: Sequence[Marked], networks: Iterable[Network]
) -> None:
    """No request's text can be read on these networks, though it can where it was sent and they were crossed."""
    if not requests:
        expected = "a request among what was sent last"
        raise BadInput("Then", "", "none", expected, "add `When every client asks the server`")
    for request in requests:
        if not any(request.shows(seen.packet) for seen in recording.sightings):
            raise TunnelbedError("the request's text was found nowhere, not even where it was sent: nothing is shown")
    for network in networks:
        expected = f"the text of a request is never seen in clear on {network.name}"
        for seen in _crossed(recording, network):
            if any(request.shows(seen.packet) for request in requests):
                raise unmet(bed, expected, f"it is readable in {seen}", recording)


def no_inside_address_is_seen(bed: Testbed, recording: Recording, acting: Iterable[Node]) -> None:
    """On no network outside the sites a packet shows an address from inside one, not even within ESP.

    Inside they do: those who were `acting`, whose traffic this is about, sent something with such an address. Raises
    `Unmet`, or an error where they did not.
    """
    if not bed.scenario.inside:
        expected = "networks labelled `tunnelbed.role: intranet`"
        raise BadInput(str(bed.scenario.stack), "networks", "none of a site", expected, "label them")
    private = inside(bed)
    for network in bed.scenario.networks.values():
        shown = [seen for seen in recording.on(network.name) if _shows(seen, private)] if network.role != INSIDE else []
        if shown:
            raise unmet(bed, f"no address from inside a site is seen on {network.name}", str(shown[0]), recording)
    sent = [seen for node in acting for seen in recording.departures(node.name)]
    if not any(from_or_to(seen.packet, private) for seen in sent if not is_neighbour_discovery(seen.packet)):
        raise TunnelbedError(
            "no address from inside a site was seen even inside the sites: nothing is shown; send traffic first"
        )


def _shows(seen: Sighting, private: tuple[Subnet, ...]) -> bool:
    """Whether a packet shows one of these addresses, itself or what can be read within."""
    return any(from_or_to(packet, private) for packet in (seen.packet, *packets_within(seen.packet)))


def forged_does_not_arrive(
    bed: Testbed, face: Node, target: Node, network: Network, probe: Probe, aim: Node | None = None
) -> None:
    """A plain packet with `face`'s address, put on a network next to the target's gateway, does not reach the target.

    It is addressed to the target, or to `aim` where that would hand it on (DNAT). It is seen to enter the gateway; a
    control is seen to arrive at the target. Raises `Unmet`.
    """
    expected = f"a plain packet forged as from {face.name} and put on {network.name} does not reach {target.name}"
    for sender, receiver in _by_version(bed, face, aim or target):
        _is_stopped(bed, expected, probe.packet(sender, receiver), probe, probe.asks, network, target)


def forged_answer_does_not_arrive(bed: Testbed, face: Node, target: Node, network: Network, asked: Ping) -> None:
    """A plain answer to a ping of `target`'s, with `face`'s address, put next to its gateway, does not reach it.

    It is seen to enter the gateway; a control is seen to arrive at the target. Raises `Unmet`.
    """
    expected = f"a plain answer forged as from {face.name} and put on {network.name} does not reach {target.name}"
    # An answer of its own: the true one may still be under way.
    forged = Ping(token=asked.token[:2] + secrets.token_bytes(14))
    for sender, receiver in _by_version(bed, face, target):
        _is_stopped(bed, expected, forged.answer(sender, receiver), forged, forged.shows, network, target)


def _by_version(bed: Testbed, face: Node, target: Node) -> Sequence[tuple[Address, Address]]:
    """The addresses by which two nodes are known away from their networks: a pair for each IP version of both."""
    theirs: dict[int, Address] = {}
    for address in away(bed, target):
        theirs.setdefault(address.version, address)
    found: dict[int, tuple[Address, Address]] = {}
    for address in away(bed, face):
        if address.version in theirs:
            found.setdefault(address.version, (address, theirs[address.version]))
    if not found:
        expected = f"a node with an address of an IP version of {target.name}"
        raise BadInput(str(bed.scenario.stack), f"services.{face.name}", "none", expected, "name another node")
    return list(found.values())


def _is_stopped(  # what, how it is known, and where
    bed: Testbed,
    expected: str,
    packet: Packet,
    mark: Marked,
    is_it: Callable[[Packet], bool],
    network: Network,
    target: Node,
) -> None:
    """A packet put on a network next to the target's gateway enters that and does not arrive, as a control does."""
    gateway = gateway_on(bed, network, target)
    attacker = _attacker_on(bed, network, gateway)
    frame = Ether(src=bed.node(attacker).mac(network.name), dst=bed.node(gateway).mac(network.name)) / packet

    def enters(seen: Sighting) -> bool:
        return seen.node == gateway.name and not seen.outgoing and is_it(seen.packet)

    with bed.record() as recording:
        bed.node(attacker).send_frame(network.name, bytes(frame))
        entered = recording.until(enters, ON_ITS_WAY)
        control_arrives(bed, recording, target)
        recording.settle()
    if entered is None:
        raise TunnelbedError(f"{expected}: cannot be judged, since it was not seen to enter {gateway.name}")
    if arrived := [seen for seen in recording.arrivals(target.name) if is_it(seen.packet)]:
        raise unmet(bed, expected, f"it arrived: {arrived[0]}", recording, [gateway.name], mark.shows)


def _traffic(recording: Recording, network: Network) -> Sequence[Sighting]:
    """What crossed a network, neighbour discovery aside."""
    return [seen for seen in recording.on(network.name) if not is_neighbour_discovery(seen.packet)]


def _crossed(recording: Recording, network: Network) -> Sequence[Sighting]:
    """The traffic that crossed a network; an error where there was none, since that proves nothing."""
    crossed = _traffic(recording, network)
    if not crossed:
        raise TunnelbedError(f"no packet crossed {network.name}, so nothing is shown: send traffic first")
    return crossed


def gateway_on(bed: Testbed, network: Network, target: Node) -> Node:
    """The gateway on a network that guards the target, or else the network's site; one that stands there alone may."""
    gateways = [node for node in bed.scenario.on(network.name) if node.role == "gateway"]
    for site in (target.site, network.site):
        if found := [node for node in gateways if site and node.site == site]:
            return found[0]
    if len(gateways) == 1:
        return gateways[0]
    found_names = ", ".join(node.name for node in gateways) or "no gateway"
    expected = f"one gateway, or one of the site of {target.name}"
    raise BadInput(str(bed.scenario.stack), f"networks.{network.name}", found_names, expected, "label its site")


def _attacker_on(bed: Testbed, network: Network, gateway: Node) -> Node:
    """Another node on a network, which sends the frame to the gateway."""
    attacker = next((node for node in bed.scenario.on(network.name) if node != gateway), None)
    if attacker is None:
        raise BadInput(str(bed.scenario.stack), f"networks.{network.name}", "one node", "two or more", "add one")
    return attacker
