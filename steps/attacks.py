"""Phrases: attacks on the links between the sites, and what gateways do with the packets."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from changing import change
from nouns import node
from retired import formerly

from tunnelbed.checks.node_logs import Journal
from tunnelbed.errors import BadInput
from tunnelbed.faults import esp_attacks, rogue_gateway
from tunnelbed.faults.esp_attacks import Attack
from tunnelbed.testbed import tunnels
from tunnelbed.vpn.api import Drop


@parse.with_pattern("|".join(drop.value for drop in Drop))
def parse_drop(text: str) -> str:
    """Why a gateway drops ESP: `a replay`, `a forgery`, `of no tunnel`."""
    return text


register_type(Drop=parse_drop)


@step("ESP from {sender:Node} to {receiver:Node} is recorded and sent again")
def replayed(context: Context, sender: str, receiver: str) -> None:
    """On the link next to the receiver, every packet of a client's request is sent again without a change."""
    attack(context, esp_attacks.attack(context.bed, node(context, sender), node(context, receiver), esp_attacks.again))


@step("ESP from {sender:Node} to {receiver:Node} is forged for their tunnel")
def forged(context: Context, sender: str, receiver: str) -> None:
    """Likewise, with later sequence numbers and random content, as from an attacker who has the SPI but no key."""
    attack(
        context, esp_attacks.attack(context.bed, node(context, sender), node(context, receiver), esp_attacks.altered)
    )


@step("ESP from {sender:Node} to {receiver:Node} is forged for no tunnel")
def forged_for_none(context: Context, sender: str, receiver: str) -> None:
    """Likewise, with SPIs of no tunnel."""
    attack(
        context,
        esp_attacks.attack(context.bed, node(context, sender), node(context, receiver), esp_attacks.of_no_tunnel),
    )


@step("{gateway:Node} drops it as {why:Drop}")
def drops(context: Context, gateway: str, why: str) -> None:
    """The gateway counts or logs every packet of the attack for that reason."""
    asked = node(context, gateway)
    if not isinstance(context.attack, Attack):
        expected = "forged ESP before this sentence"
        raise BadInput("Then", "", "no attack", expected, "add `When ESP from gateway A to gateway S is forged ...`")
    esp_attacks.is_dropped(context.bed, asked, context.attack, why)


@step("{attacker:Node} poses as {gateway:Node}")
def poses(context: Context, attacker: str, gateway: str) -> None:
    """A rogue gateway: it uses the gateway's address and identity, with a self-signed certificate."""
    change(context, rogue_gateway.posing(context.bed, node(context, attacker), node(context, gateway)))


@step("{asking:Node} initiates a tunnel with {target:Node}")
@formerly("{asking:Node} asks {target:Node} for a tunnel")
def asks_for_tunnel(context: Context, asking: str, target: str) -> None:
    """A gateway, or a rogue one, starts the negotiation of a tunnel with another, while every node records."""
    who, whom = node(context, asking), node(context, target)
    context.journal = Journal(context.bed)
    with context.bed.record() as recording:
        tunnels.ask(context.bed, who, whom)
        recording.settle()
    context.recording = recording
    context.acting = [who]


def attack(context: Context, made: Attack) -> None:
    """Keep what an attack brought about for the sentences that follow."""
    context.attack, context.recording, context.journal = made, made.recording, made.journal
    context.acting = []
