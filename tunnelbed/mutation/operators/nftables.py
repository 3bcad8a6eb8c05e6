"""Mistakes in nftables.conf and *.nft: rules missing, too wide or turned round, policies open, NAT absent or astray.

The file is read line by line, as people write it: a rule a line, a chain's `type ...; policy ...;` on one line. A rule
that spans lines is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import operator

FILES = ("nftables.conf", "**/*.nft")
# See scripts/node/while-up.
WHILE_UP = "while-up/*.nft"
# Not the ICMP message of that name, `icmp type redirect` or `icmpv6 type nd-redirect`, nor `ct status dnat`.
DNAT = re.compile(r"(?<!status )\bdnat\b|(?<!type )(?<!-)\bredirect\b")
SNAT = re.compile(r"(?<!status )\b(?:masquerade|snat)\b")
NAT = re.compile(rf"{DNAT.pattern}|{SNAT.pattern}")
# How a rule asks for ESP in the kernel (nft(8), "META EXPRESSIONS" and "ROUTING EXPRESSIONS") or in user space.
BY_TUNNEL = re.compile(r"\s*\b(?:meta|rt) ipsec exists\b")
BY_DEVICE = re.compile(r"\s*\b[io]ifname \"?ipsec\d+\"?")
CONNECTION_STATE = re.compile(r"\s*\bct state (?:\{[^}]*\}|\S+)")
# A port that is looked up together with an address belongs to that: `ip saddr . tcp dport $pairs`.
PORT = re.compile(r"(?<!\.)\s*(?<!\. )\b(?:tcp|udp|th) dport (?:\{[^}]*\}|\S+)")
ADDRESS = re.compile(
    r"\s*\b(?:ct (?:original|reply) )?ip6? [sd]addr (?:\. (?:tcp|udp|th) dport )?(?:!= )?(?:\{[^}]*\}|\S+)"
)
# Removed from a rule, a port leaves its protocol behind.
PROTOCOL = re.compile(r"\b(tcp|udp|th) dport")


@dataclass(frozen=True)
class Rule:
    """One line of a chain: its number in the file from 0, the chain's name, the line without indentation."""

    line: int
    chain: str
    text: str


class Ruleset:
    """The lines of one nftables.conf."""

    def __init__(self, node: str, path: Path, text: str) -> None:
        self.node, self.path, self.lines = node, path, text.splitlines()

    def in_chains(self) -> Iterator[Rule]:
        """What stands directly in chains, comments aside: their headings and their rules."""
        blocks: list[str] = []
        for number, line in enumerate(self.lines):
            said = line.split("#")[0].strip()
            if said.endswith("{"):
                blocks.append(said)
            elif said == "}":
                del blocks[-1:]
            elif said and blocks and blocks[-1].startswith("chain "):
                yield Rule(number, blocks[-1].split()[1], said)

    def rules(self) -> Iterator[Rule]:
        """The rules."""
        return (rule for rule in self.in_chains() if not rule.text.startswith(("type ", "policy ")))

    def with_rule_before(self, rule: Rule, added: str) -> str:
        """The text with one rule more, before another one."""
        line = self.lines[rule.line]
        indent = line[: len(line) - len(line.lstrip())]
        return "\n".join([*self.lines[: rule.line], indent + added, *self.lines[rule.line :]]) + "\n"

    def mutant(self, name: str, rule: Rule, now: str, sentence: str, detail: str = "") -> Mutant:
        """This ruleset with another text for one rule; an empty one removes it."""
        line = self.lines[rule.line]
        indent = line[: len(line) - len(line.lstrip())]
        lines = [*self.lines[: rule.line], *([indent + now] if now else []), *self.lines[rule.line + 1 :]]
        place = f"{self.node} {rule.chain}: {rule.text}{f' ({detail})' if detail else ''}"
        return Mutant(name, place, f"{self.node}, chain {rule.chain}: {sentence}", {self.path: "\n".join(lines) + "\n"})


@operator("rule-removed")
def rule_removed(files: Sources) -> Iterator[Mutant]:
    """A firewall rule is missing."""
    for rules in rulesets(files):
        for rule in rules.rules():
            if not NAT.search(rule.text):
                yield rules.mutant("rule-removed", rule, "", f"the rule `{rule.text}` is missing")


@operator("verdict-flipped")
def verdict_flipped(files: Sources) -> Iterator[Mutant]:
    """A rule accepts what it should drop; or, where nothing else would drop it, drops what it should accept."""
    for rules in rulesets(files):
        open_chains = {found.chain for found in rules.in_chains() if "policy accept" in found.text}
        for rule in rules.rules():
            now = re.sub(r"\b(?:drop|reject\b.*)$", "accept", rule.text)
            if now == rule.text and rule.chain in open_chains:
                now = re.sub(r"\baccept$", "drop", rule.text)
            if now != rule.text:
                verdicts = f"{now.split()[-1]}s what it should {rule.text.split()[-1]}"
                yield rules.mutant("verdict-flipped", rule, now, f"`{rule.text}` {verdicts}")


@operator("policy-opened")
def policy_opened(files: Sources) -> Iterator[Mutant]:
    """A chain lets pass whatever no rule mentions."""
    for rules in rulesets(files):
        for heading in rules.in_chains():
            now = re.sub(r"\bpolicy drop\b", "policy accept", heading.text)
            if now != heading.text:
                yield rules.mutant("policy-opened", heading, now, "what no rule mentions passes")


@operator("masquerade-missing")
def masquerade_missing(files: Sources) -> Iterator[Mutant]:
    """Packets leave with the sender's own address."""
    for rules in rulesets(files):
        for rule in rules.rules():
            if SNAT.search(rule.text):
                sentence = f"the rule `{rule.text}` is missing, so packets leave with their own source address"
                yield rules.mutant("masquerade-missing", rule, "", sentence)


@operator("masquerade-too-wide")
def masquerade_too_wide(files: Sources) -> Iterator[Mutant]:
    """What goes through a tunnel, or anywhere else, is masqueraded too."""
    for rules in rulesets(files):
        for rule in rules.rules():
            now = re.sub(r"\s*\b(?:oifname (?:\{[^}]*\}|\S+)|(?:meta|rt) ipsec missing)", "", rule.text).strip()
            if SNAT.search(rule.text) and now != rule.text:
                sentence = f"`{rule.text}` rewrites the source address of all packets that leave, on any path"
                yield rules.mutant("masquerade-too-wide", rule, now, sentence)


@operator("dnat-missing")
def dnat_missing(files: Sources) -> Iterator[Mutant]:
    """What is sent to the public address goes no further."""
    for rules in rulesets(files):
        for rule in rules.rules():
            if DNAT.search(rule.text):
                yield rules.mutant("dnat-missing", rule, "", f"the rule `{rule.text}` is missing")


@operator("dnat-wrong-port")
def dnat_wrong_port(files: Sources) -> Iterator[Mutant]:
    """The request is sent on to another port than the server's."""
    for rules in rulesets(files):
        for rule in rules.rules():
            if match := re.search(r"\b(dnat (?:ip6? )?to )(\S+)", rule.text):
                now = rule.text[: match.start(2)] + _other_port(match[2], rule.text) + rule.text[match.end(2) :]
                yield rules.mutant("dnat-wrong-port", rule, now, f"`{rule.text}` leads to another port")


@operator("dnat-too-wide")
def dnat_too_wide(files: Sources) -> Iterator[Mutant]:
    """Every port is sent on to the server, not only the application's."""
    for rules in rulesets(files):
        for rule in rules.rules():
            now = PORT.sub("", rule.text).strip()
            # Where a port is mapped to another one, nft needs to know the protocol.
            if DNAT.search(rule.text) and now != rule.text:
                protocol = PROTOCOL.search(rule.text)
                now = f"meta l4proto {protocol[1] if protocol else 'tcp'} {now}"
                yield rules.mutant("dnat-too-wide", rule, now, f"`{rule.text}` takes every port")


@operator("dnat-without-tunnel")
def dnat_without_tunnel(files: Sources) -> Iterator[Mutant]:
    """What holds while a tunnel is up holds always, and whether or not a packet comes out of it."""
    for node, path, text in files.having(WHILE_UP):
        rules = files.file(node, FILES[0])
        changes = {rules: files.text(rules) + always(text)}
        sentence = f"{node}: the rules of {path.name} apply without a tunnel, too"
        yield Mutant("dnat-without-tunnel", f"{node} {path.name}", sentence, changes)


@operator("tunnel-not-required")
def tunnel_not_required(files: Sources) -> Iterator[Mutant]:
    """What may only pass through the tunnel may pass without it."""
    for rules in rulesets(files):
        for rule in rules.rules():
            for pattern in (BY_TUNNEL, BY_DEVICE):
                now = pattern.sub("", rule.text).strip()
                if now != rule.text:
                    sentence = f"`{rule.text}` no longer requires the tunnel"
                    yield rules.mutant("tunnel-not-required", rule, now, sentence)


@operator("state-ignored")
def state_ignored(files: Sources) -> Iterator[Mutant]:
    """Not only answers pass, but also unsolicited packets."""
    yield from _without(files, "state-ignored", CONNECTION_STATE, "also takes what begins a connection")


@operator("port-ignored")
def port_ignored(files: Sources) -> Iterator[Mutant]:
    """A rule for one port takes every port."""
    for rules in rulesets(files):
        for rule in rules.rules():
            if NAT.search(rule.text) or not PORT.search(rule.text):
                continue
            now = PROTOCOL.sub(r"meta l4proto \1 \1 dport", rule.text)
            now = PORT.sub("", now).replace("meta l4proto th ", "").strip()
            if now != rule.text:
                yield rules.mutant("port-ignored", rule, now, f"`{rule.text}` takes every port")


@operator("address-ignored")
def address_ignored(files: Sources) -> Iterator[Mutant]:
    """A rule for one address takes every address."""
    for rules in rulesets(files):
        for rule in rules.rules():
            for match in ADDRESS.finditer(rule.text):
                now = (rule.text[: match.start()] + rule.text[match.end() :]).strip()
                said = match[0].strip()
                sentence = f"`{rule.text}` no longer matches `{said}`"
                yield rules.mutant("address-ignored", rule, now, sentence, said)


def always(text: str) -> str:
    """The tables of an nftables file that holds while a tunnel is up, under other names and asking for no tunnel."""
    lines = []
    for line in text.splitlines():
        if table := re.match(r"table (\w+) (\S+) \{", line):
            lines.append(f"table {table[1]} always-{table[2]} {{")
        else:
            lines.append(BY_DEVICE.sub("", BY_TUNNEL.sub("", line)))
    return "\n".join([*lines, ""])


def _without(files: Sources, name: str, pattern: re.Pattern[str], sentence: str) -> Iterator[Mutant]:
    """Each rule with something it looks at, without that."""
    for rules in rulesets(files):
        for rule in rules.rules():
            now = pattern.sub("", rule.text).strip()
            if now != rule.text:
                yield rules.mutant(name, rule, now, f"`{rule.text}` {sentence}")


def rulesets(files: Sources) -> Iterator[Ruleset]:
    """Every file of rules there is."""
    return (Ruleset(*found) for pattern in FILES for found in files.having(pattern))


def _other_port(target: str, rule: str) -> str:
    """A DNAT target with another port: the next one after its own, or after the one the rule takes."""
    if match := re.fullmatch(r"(.+[\]\d.$\w]):(\d+)", target) if not target.count(":") > 1 or "]:" in target else None:
        return f"{match[1]}:{int(match[2]) + 1}"
    taken = re.search(r"dport (\d+)", rule)
    port = int(taken[1]) + 1 if taken else 9
    # An address of IPv6 needs brackets before a port (nft(8), "NAT STATEMENTS"); a `$name` stays as it is.
    return f"[{target}]:{port}" if target.count(":") > 1 else f"{target}:{port}"
