"""Phrases: what crosses a network, what is never seen there, and forged packets."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from changing import note
from nouns import links, node, nodes, pinged, questions
from retired import formerly

from tunnelbed.checks import application, confidentiality, reachability
from tunnelbed.errors import BadInput
from tunnelbed.observe.probes import Ping, registry
from tunnelbed.observe.recording import Recording

# Seconds a client goes on asking while it is recorded: a tunnel on demand needs a second request.
ASKING = 2.0


@step("{sources:Nodes} asks the server")
def asks(context: Context, sources: str) -> None:
    """The application's client asks, answered or not, while every node records."""
    _ask(context, sources, ASKING)


@step("{sources:Nodes} asks the server once")
def asks_once(context: Context, sources: str) -> None:
    """Likewise, with one request each, which is not repeated if there is no answer."""
    _ask(context, sources, 0.0)


@step("{speakers:Nodes} sends its last packets again")
@formerly("{speakers:Nodes} says the same again")
def says_again(context: Context, speakers: str) -> None:
    """Every packet that the node sent in the last request is sent once more, while every node records.

    A stateful firewall (conntrack) counts them as part of that connection.
    """
    who = nodes(context, speakers)
    if not isinstance(context.conversation, Recording):
        raise BadInput("When", "", "none", "a request before this sentence", "add `When client A1 asks the server`")
    context.recording = application.say_again(context.bed, context.conversation, context.requests, who)
    context.acting = who


@step("{sources:Nodes} pings {targets:Targets}")
def pings(context: Context, sources: str, targets: str) -> None:
    """A ping is sent by each IP version that both have, answered or not, while every node records."""
    asked = questions(context, sources, targets)
    note(context)
    with context.bed.record() as recording:
        for source, target in asked:
            context.ping = Ping()
            reachability.send(context.bed, source, target, context.ping)
        recording.settle()
    context.recording = recording
    context.acting = [source for source, _ in asked]


@step("only {kinds:Kinds} cross {networks:Links}")
def only_crosses(context: Context, kinds: list[str], networks: str) -> None:
    """Packets crossed each of the networks, and all are of these kinds (ARP and neighbour discovery aside)."""
    places = links(context, networks)
    confidentiality.only_crosses(context.bed, _recorded(context), places, kinds)


@step("{kinds:Kinds} crosses {networks:Links}")
def crosses(context: Context, kinds: list[str], networks: str) -> None:
    """At least one packet of each of these kinds crossed each of the networks."""
    for network in links(context, networks):
        for kind in kinds:
            confidentiality.crosses(context.bed, _recorded(context), network, kind)


@step("no {kinds:Kinds} crosses {networks:Links}")
def does_not_cross(context: Context, kinds: list[str], networks: str) -> None:
    """No packet of these kinds crossed any of the networks; the recording is complete and would show one."""
    for network in links(context, networks):
        for kind in kinds:
            confidentiality.does_not_cross(context.bed, _recorded(context), network, kind)


@step("nothing crosses {networks:Links}")
def nothing_crosses(context: Context, networks: str) -> None:
    """No packet crossed any of the networks (ARP and neighbour discovery aside); the recording would show one."""
    for network in links(context, networks):
        confidentiality.nothing_crosses(context.bed, _recorded(context), network)


@step("{sources:Nodes} sends nothing into {networks:Links}")
def sends_nothing(context: Context, sources: str, networks: str) -> None:
    """Likewise, nothing that these nodes sent."""
    for network in links(context, networks):
        for source in nodes(context, sources):
            confidentiality.nothing_crosses(context.bed, _recorded(context), network, source)


@step("the text of the request is never seen in clear on {networks:Links}")
def text_unreadable(context: Context, networks: str) -> None:
    """The text is readable where it was sent, and nowhere on these networks, which were crossed."""
    places = links(context, networks)
    confidentiality.text_is_unreadable(context.bed, _recorded(context), context.requests, places)


@step("no private address is seen beyond a gateway")
def no_inside_address(context: Context) -> None:
    """Addresses from inside the sites are seen there, and on no network outside them."""
    confidentiality.no_inside_address_is_seen(context.bed, _recorded(context), context.acting)


@step("a plain packet forged as from {face:Node} and put on {networks:Links} does not reach {target:Node}")
def forged(context: Context, face: str, networks: str, target: str) -> None:
    """The packet enters the gateway on that network and does not arrive, while a control packet does."""
    for network in links(context, networks):
        confidentiality.forged_does_not_arrive(context.bed, node(context, face), node(context, target), network, Ping())


@step(
    "a plain request forged as from {face:Node} to {aim:Node} on {kind:Kind} and put on {networks:Links} "
    "does not reach {target:Node}"
)
def forged_request(context: Context, face: str, aim: str, kind: str, networks: str, target: str) -> None:
    """Likewise, for a request to a node that forwards it to the target (DNAT)."""
    for network in links(context, networks):
        who, where, to = node(context, face), node(context, target), node(context, aim)
        confidentiality.forged_does_not_arrive(context.bed, who, where, network, registry.probe(kind), to)


@step("a plain answer forged as from {face:Node} and put on {networks:Links} does not reach {target:Node}")
def forged_answer(context: Context, face: str, networks: str, target: str) -> None:
    """Likewise, for a packet that looks like the answer to the last ping of that node."""
    for network in links(context, networks):
        who, where = node(context, face), node(context, target)
        confidentiality.forged_answer_does_not_arrive(context.bed, who, where, network, pinged(context))


@step("{replier:Node} answers the ping of {asker:Node} again")
def answers_again(context: Context, replier: str, asker: str) -> None:
    """The answer to the last ping is sent once more, while every node records."""
    who, whom = node(context, replier), node(context, asker)
    ping = pinged(context)
    with context.bed.record() as recording:
        reachability.answer_again(context.bed, who, whom, ping)
        recording.settle()
    context.recording = recording
    context.acting = [who]


def _ask(context: Context, sources: str, seconds: float) -> None:
    """Let each client ask until it is answered or so many seconds have passed, while every node records."""
    asked = [(source, application.Request()) for source in nodes(context, sources)]
    with context.bed.record() as recording:
        for source, request in asked:
            application.ask_server(context.bed, source, request, seconds, recording)
        recording.settle()
    context.recording = context.conversation = recording
    context.requests = [request for _, request in asked]
    context.acting = [source for source, _ in asked]


def _recorded(context: Context) -> Recording:
    """What the last When recorded."""
    if not isinstance(context.recording, Recording):
        expected = "traffic before this sentence"
        raise BadInput("Then", "", "nothing recorded", expected, "add `When every client asks the server`")
    return context.recording
