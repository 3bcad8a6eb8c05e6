"""Phrases: tunnels that change their keys while traffic goes on."""

from __future__ import annotations

from behave import step
from behave.runner import Context
from nouns import links, node

from tunnelbed import rekeying
from tunnelbed.errors import BadInput
from tunnelbed.rekeying import Rekeying


@step("{gateway:Node} changes its {layer:Layer} keys while {source:Node} pings {target:Node}")
def changes_keys(context: Context, gateway: str, layer: str, source: str, target: str) -> None:
    """The gateway asks its peer for new keys and uses them, and pings go on meanwhile."""
    ends = [node(context, said) for said in (gateway, source, target)]
    context.rekeying = rekeying.rekey(context.bed, ends[0], layer, ends[1], ends[2])


@step("no ping is lost")
def nothing_lost(context: Context) -> None:
    """Every ping sent while the keys changed was answered."""
    rekeying.nothing_lost(context.bed, _made(context))


@step("ESP with new numbers crosses {networks:Links}")
def new_numbers(context: Context, networks: str) -> None:
    """ESP crossed each of the networks with the SPIs agreed anew, both ways, and none of them is an old one."""
    for network in links(context, networks):
        rekeying.new_spis_cross(context.bed, _made(context), network)


@step("the new ESP keys come from a key exchange of their own, {group}")
def forward_secrecy(context: Context, group: str) -> None:
    """Forward secrecy: not derived from the IKE keys alone, but from a new exchange in that group: `ecp384`."""
    rekeying.keeps_secrecy(_made(context), group)


def _made(context: Context) -> Rekeying:
    if not isinstance(context.rekeying, Rekeying):
        expected = "new keys before this sentence"
        raise BadInput("Then", "", "none", expected, "add `When gateway A changes its ESP keys while ...`")
    return context.rekeying
