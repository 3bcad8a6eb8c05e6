"""Phrases: broken certificates and proposals, and what gateways do then."""

from __future__ import annotations

import re

import parse
from behave import register_type, step
from behave.runner import Context
from changing import change, journal, since
from nouns import node, nodes
from passing import seconds_of
from retired import formerly

from tunnelbed.checks import node_logs as journals
from tunnelbed.faults import credentials
from tunnelbed.vpn.api import Refusal


@parse.with_pattern("|".join(refusal.value for refusal in Refusal))
def parse_refusal(text: str) -> str:
    """Why a gateway refuses its peer."""
    return text


@parse.with_pattern(r"[A-Z][A-Z0-9_]+")
def parse_notify(text: str) -> str:
    """An IKE notify message type (RFC 7296, 3.10.1): `AUTHENTICATION_FAILED`."""
    return text


register_type(Refusal=parse_refusal, Notify=parse_notify)


@step("the certificate of {holder:Node} is revoked")
def certificate_revoked(context: Context, holder: str) -> None:
    """Its authority publishes a CRL with its certificate, and every other gateway has that CRL."""
    change(context, credentials.revoked(context.bed, node(context, holder)))


@step("{gateway:Node} has no CRL")
def has_no_crl(context: Context, gateway: str) -> None:
    """It has no CRL of any authority, so that no certificate is known not to be revoked."""
    change(context, credentials.without_crls(context.bed, node(context, gateway)))


@step("{gateways:Nodes} has CRLs that expire after {duration:Duration}")
def has_expiring_crls(context: Context, gateways: str, duration: str) -> None:
    """Its CRLs of all authorities are new, and their `nextUpdate` is when so much has passed: `2 hours`."""
    change(context, credentials.crls_for(context.bed, nodes(context, gateways), seconds_of(duration)))


@step("{holder:Node} presents an expired certificate")
def presents_expired(context: Context, holder: str) -> None:
    """Its certificate has the right authority and name, and expired an hour ago."""
    change(context, credentials.expired(context.bed, node(context, holder)))


@step("{holder:Node} presents a certificate that expires after {duration:Duration}")
def presents_expiring(context: Context, holder: str, duration: str) -> None:
    """Its certificate has the right authority and name, and expires when so much has passed: `2 hours`."""
    change(context, credentials.expiring(context.bed, node(context, holder), seconds_of(duration)))


@step("{holder:Node} presents a certificate of another authority")
def presents_foreign(context: Context, holder: str) -> None:
    """Its certificate has the right subject and issuer names, and another authority's key signed it."""
    change(context, credentials.of_another_authority(context.bed, node(context, holder)))


@step("{holder:Node} presents a valid certificate of {other:Node}")
def presents_other(context: Context, holder: str, other: str) -> None:
    """Its certificate is of the right authority and has that other node's identity."""
    change(context, credentials.of_another_node(context.bed, node(context, holder), node(context, other)))


@step("{gateway:Node} offers only {layer:Layer} {proposal}")
def offers_only(context: Context, gateway: str, layer: str, proposal: str) -> None:
    """It proposes only this, in the keywords of strongSwan's files: `IKE aes128-sha256-modp2048`."""
    change(context, credentials.offers_only(context.bed, node(context, gateway), layer, proposal))


@step("{gateway:Node} refuses its peer: {why:Refusal}")
def refuses(context: Context, gateway: str, why: str) -> None:
    """Its log gives that reason, since the last change."""
    asked = node(context, gateway)
    journals.refuses_peer(context.bed, journal(context), asked, why)


@step("{gateway:Node} receives the notify {notify:Notify}")
@formerly("{gateway:Node} is told {notify:Notify}")
def is_told(context: Context, gateway: str, notify: str) -> None:
    """Its peer answered with this IKE notify (RFC 7296, 3.10.1): `AUTHENTICATION_FAILED`."""
    asked = node(context, gateway)
    journals.is_notified(context.bed, journal(context), asked, notify)


@step('the log of {speaker:Node} has "{text}"')
@formerly('{speaker:Node} says "{text}"')
def says(context: Context, speaker: str, text: str) -> None:
    """A line of its log contains that text, since the last change."""
    asked = node(context, speaker)
    journals.says(context.bed, journal(context), asked, re.escape(text), f'the log of {asked.name} has "{text}"')


@step('the log of {speaker:Node} has "{text}" within {seconds:Seconds} s')
def says_within(context: Context, speaker: str, text: str, seconds: float) -> None:
    """Likewise, within that time from the last change."""
    asked, allowance = node(context, speaker), context.bed.time.allowance(seconds, since(context))
    expected = f'the log of {asked.name} has "{text}" within {context.bed.time.told(seconds)}'
    journals.says(context.bed, journal(context), asked, re.escape(text), expected, allowance)
