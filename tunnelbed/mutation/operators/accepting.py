"""Mistakes that add a rule to a firewall: what people open "for a moment", and what a template brings with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import nftables, operator
from tunnelbed.mutation.operators.nftables import Rule, Ruleset
from tunnelbed.topology.model import Node

# As they are written in a chain for both IP versions (nft(8)).
OPENED = {
    "DNS": "meta l4proto { tcp, udp } th dport 53 accept",
    "NTP": "udp dport 123 accept",
    "SSH": "tcp dport 22 accept",
    "HTTPS": "tcp dport 443 accept",
    "ICMP": "meta l4proto { icmp, ipv6-icmp } accept",
}
FRAGMENTS = {4: "ip frag-off & 0x1fff != 0 accept", 6: "exthdr frag exists accept"}
REFUSES = re.compile(r"\b(?:policy drop|drop|reject)\b")


@operator("rule-added")
def rule_added(files: Sources) -> Iterator[Mutant]:
    """A chain accepts something more: DNS, NTP, SSH, HTTPS, ICMP, or the later fragments of anything."""
    for rules in nftables.rulesets(files):
        for chain, lines in _filtering(rules):
            for what, rule in _opened(files.scenario.nodes[rules.node]).items():
                sentence = f"{rules.node}, chain {chain}: `{rule}` comes first"
                text = rules.with_rule_before(lines[0], rule)
                yield Mutant("rule-added", f"{rules.node} {chain}: {what}", sentence, {rules.path: text})


def _opened(node: Node) -> Mapping[str, str]:
    """What is let through, and the rule that does."""
    later = FRAGMENTS[min(address.version for address in node.addresses)]
    return {**OPENED, "fragments": later}


def _filtering(rules: Ruleset) -> Iterator[tuple[str, list[Rule]]]:
    """The chains in which one rule more lets more pass, each with its rules: those that refuse, or are jumped to.

    A chain for NAT accepts nothing, and one whose policy accepts, without a rule that refuses, accepts everything.
    """
    found: list[list[Rule]] = []
    for rule in rules.in_chains():
        # Chains of two tables may have the same name.
        if not found or found[-1][-1].chain != rule.chain or rule.text.startswith("type "):
            found.append([])
        found[-1].append(rule)
    for lines in found:
        heading = next((line.text for line in lines if line.text.startswith("type ")), "")
        own = [line for line in lines if not line.text.startswith(("type ", "policy "))]
        if "type nat" in heading or not own or any(nftables.NAT.search(line.text) for line in own):
            continue
        if not heading or any(REFUSES.search(line.text) for line in lines):
            yield own[0].chain, own
