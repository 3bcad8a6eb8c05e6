"""Phrases: rekeying while traffic goes on."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from nouns import links, node
from retired import formerly

from tunnelbed.checks import rekeying
from tunnelbed.checks.rekeying import Rekeying
from tunnelbed.errors import BadInput


@parse.with_pattern("ping|request")
def parse_traffic(text: str) -> str:
    """What is sent while keys change: `ping` or `request`."""
    return text


register_type(Traffic=parse_traffic)


@step("{gateway:Node} changes its {layer:Layer} keys while {source:Node} pings {target:Node}")
def changes_keys(context: Context, gateway: str, layer: str, source: str, target: str) -> None:
    """The gateway negotiates new keys with its peer and uses them, while pings go on."""
    pings = rekeying.pings(context.bed, node(context, source), node(context, target))
    context.rekeying = rekeying.rekey(context.bed, node(context, gateway), layer, pings)


@step("{gateway:Node} changes its {layer:Layer} keys while {source:Node} asks the server")
def changes_keys_under_requests(context: Context, gateway: str, layer: str, source: str) -> None:
    """Likewise, while the application's client sends one request after another."""
    requests = rekeying.requests(context.bed, node(context, source))
    context.rekeying = rekeying.rekey(context.bed, node(context, gateway), layer, requests)


@step("no {traffic:Traffic} is lost")
def nothing_lost(context: Context, traffic: str) -> None:
    """Every ping or request sent while the keys changed was answered: `no ping is lost`, `no request is lost`."""
    made = _made(context)
    if made.traffic != f"{traffic}s":
        expected = f"{made.traffic}, which were sent"
        raise BadInput("Then", "", f"{traffic}s", expected, "correct the sentence")
    rekeying.nothing_lost(context.bed, made)


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


def _made(context: Context) -> Rekeying:
    if not isinstance(context.rekeying, Rekeying):
        expected = "new keys before this sentence"
        raise BadInput("Then", "", "none", expected, "add `When gateway A changes its ESP keys while ...`")
    return context.rekeying
