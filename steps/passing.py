"""Phrases: time that passes for the gateways' daemons, hours in seconds, and what they did meanwhile."""

from __future__ import annotations

import parse
from behave import register_type, step
from behave.runner import Context
from changing import change, changed, journal
from nouns import node, nodes

from tunnelbed.checks import renewed_keys, traffic
from tunnelbed.checks.traffic import Traffic
from tunnelbed.faults import passing_time, settings_of_tunnels
from tunnelbed.testbed import tunnels

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@parse.with_pattern(rf"\d+(?:\.\d+)? (?:{'|'.join(UNITS)})s")
def parse_duration(text: str) -> str:
    """A time: `90 seconds`, `24 hours`, `7 days`."""
    return text


@parse.with_pattern(r"[^\"]+")
def parse_setting(text: str) -> str:
    """A line of a VPN's own configuration: `dpd_delay = 600s`."""
    return text


register_type(Duration=parse_duration, Setting=parse_setting)


@step("{duration:Duration} pass")
def time_passes(context: Context, duration: str) -> None:
    """For every gateway's daemon: its timers end and it acts on them, hours within seconds; no other clock changes."""
    _pass(context, duration)


@step("{duration:Duration} pass while {source:Node} pings {target:Node}")
def time_passes_under_pings(context: Context, duration: str, source: str, target: str) -> None:
    """Likewise, while pings go on, 50 in a real second."""
    _pass(context, duration, traffic.pings(context.bed, node(context, source), node(context, target)))


@step("{duration:Duration} pass while {source:Node} asks the server")
def time_passes_under_requests(context: Context, duration: str, source: str) -> None:
    """Likewise, while the application's client sends one request after another."""
    _pass(context, duration, traffic.requests(context.bed, node(context, source)))


@step("{gateways:Nodes} has changed its {layer:Layer} keys at least {count:d} times")
def has_changed_keys(context: Context, gateways: str, layer: str, count: int) -> None:
    """So often its daemon has replaced keys since the last change or attack, at its peers' request or by itself."""
    for gateway in nodes(context, gateways):
        renewed_keys.at_least(context.bed, gateway, layer, count, journal(context))


@step("{gateways:Nodes} has authenticated its peers at least {count:d} times")
def has_authenticated(context: Context, gateways: str, count: int) -> None:
    """So often its daemon has set up an IKE_SA since the last change or attack: at first, or by reauthentication."""
    for gateway in nodes(context, gateways):
        renewed_keys.authenticated(context.bed, gateway, count, journal(context))


@step('{gateways:Nodes} sets "{setting:Setting}" in every connection')
def sets_in_connections(context: Context, gateways: str, setting: str) -> None:
    """A line of the VPN's own configuration holds in every connection until the scenario ends: `dpd_delay = 600s`.

    The gateway's tunnels end, and connections are loaded anew.
    """
    for gateway in tunnels.who_starts_last(context.bed, nodes(context, gateways)):
        change(context, settings_of_tunnels.set_to(context.bed, gateway, own=setting))


@step('{gateways:Nodes} sets "{setting:Setting}" in every child')
def sets_in_children(context: Context, gateways: str, setting: str) -> None:
    """Likewise, in every child of every connection: `rekey_time = 20m`."""
    for gateway in tunnels.who_starts_last(context.bed, nodes(context, gateways)):
        change(context, settings_of_tunnels.set_to(context.bed, gateway, of_child=setting))


def seconds_of(duration: str) -> float:
    """How many seconds a `Duration` is."""
    number, unit = duration.split()
    return float(number) * UNITS[unit.removesuffix("s")]


def _pass(context: Context, duration: str, meanwhile: Traffic | None = None) -> None:
    passing = passing_time.passed(context.bed, seconds_of(duration), duration, meanwhile)
    context.answered = changed(context, passing).answered
