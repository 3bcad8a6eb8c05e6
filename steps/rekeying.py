"""Phrases: rekeying while traffic goes on."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from changing import change
from nouns import links, node
from retired import formerly

from tunnelbed.checks import rekeying, traffic
from tunnelbed.checks.rekeying import Rekeying
from tunnelbed.checks.traffic import Answered, Traffic
from tunnelbed.errors import BadInput
from tunnelbed.faults import collisions


@parse.with_pattern("ping|request")
def parse_traffic(text: str) -> str:
    """What is sent while keys change: `ping` or `request`."""
    return text


register_type(Traffic=parse_traffic)


@step("{gateway:Node} changes its {layer:Layer} keys while {source:Node} pings {target:Node}")
def changes_keys(context: Context, gateway: str, layer: str, source: str, target: str) -> None:
    """The gateway negotiates new keys with its peer and uses them, while pings go on."""
    pings = traffic.pings(context.bed, node(context, source), node(context, target))
    _rekey(context, gateway, layer, pings)


@step("{gateway:Node} changes its {layer:Layer} keys while {source:Node} asks the server")
def changes_keys_under_requests(context: Context, gateway: str, layer: str, source: str) -> None:
    """Likewise, while the application's client sends one request after another."""
    requests = traffic.requests(context.bed, node(context, source))
    _rekey(context, gateway, layer, requests)


@step("{gateway:Node} and {peer:Node} change their {layer:Layer} keys at once while {source:Node} pings {target:Node}")
def collide(context: Context, gateway: str, peer: str, layer: str, source: str, target: str) -> None:
    """Each asks for new keys before it has the other's request (RFC 7296, 2.8.1), while pings go on."""
    pings = traffic.pings(context.bed, node(context, source), node(context, target))
    _collide(context, gateway, peer, layer, pings)


@step("{gateway:Node} and {peer:Node} change their {layer:Layer} keys at once while {source:Node} asks the server")
def collide_under_requests(context: Context, gateway: str, peer: str, layer: str, source: str) -> None:
    """Likewise, while the application's client sends one request after another."""
    _collide(context, gateway, peer, layer, traffic.requests(context.bed, node(context, source)))


@step("no {sent:Traffic} is lost")
def nothing_lost(context: Context, sent: str) -> None:
    """Every ping or request sent while keys changed, or time passed, was answered: `no ping is lost`."""
    traffic.few_lost(context.bed, _answered(context, sent))


@step("at most {count:d} {sent:Traffic}s are lost")
def few_lost(context: Context, count: int, sent: str) -> None:
    """Likewise, but for so many, since a reauthentication may lose what is under way: `at most 20 pings are lost`."""
    traffic.few_lost(context.bed, _answered(context, sent), count)


@step("ESP with new SPIs crosses {networks:Links}")
@formerly("ESP with new numbers crosses {networks:Links}")
def new_numbers(context: Context, networks: str) -> None:
    """ESP crossed each of the networks with the new SPIs, in both directions; none of them is an old SPI."""
    for network in links(context, networks):
        rekeying.new_spis_cross(context.bed, _made(context), network)


@step("the new ESP keys come from a key exchange of their own, {group}")
def forward_secrecy(context: Context, group: str) -> None:
    """Forward secrecy: the keys come from a new key exchange in that group, not from the IKE keys alone: `ecp384`."""
    rekeying.keeps_secrecy(_made(context), group)


def _rekey(context: Context, gateway: str, layer: str, meanwhile: Traffic) -> None:
    context.rekeying = rekeying.rekey(context.bed, node(context, gateway), layer, meanwhile)
    context.answered = context.rekeying.answered


def _collide(context: Context, gateway: str, peer: str, layer: str, meanwhile: Traffic) -> None:
    one, other = node(context, gateway), node(context, peer)
    change(context)
    context.answered = collisions.rekeyed_at_once(context.bed, one, other, layer, meanwhile)


def _answered(context: Context, sent: str) -> Answered:
    found = context.answered
    if found is None:
        raise BadInput("Then", "", "no traffic went on", "keys that change, or time that passes", "add a When")
    if found.traffic != f"{sent}s":
        raise BadInput("Then", "", f"{sent}s", f"{found.traffic}, which were sent", "correct the sentence")
    answered: Answered = found
    return answered


def _made(context: Context) -> Rekeying:
    if not isinstance(context.rekeying, Rekeying):
        expected = "new keys before this sentence"
        raise BadInput("Then", "", "none", expected, "add `When gateway A changes its ESP keys while ...`")
    return context.rekeying
