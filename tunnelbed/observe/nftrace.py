"""What nftables decides about a packet, in the kernel's own words: `nft monitor trace` (nft(8)).

A packet is seen to go through every chain, up to the rule or policy that decides. Rules of iptables-nft are traced
likewise.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tunnelbed.engines.agents import Agent
from tunnelbed.errors import CommandFailed

TABLE = "tunnelbed_trace"
# Traced from before the first decision on: priority raw is -300.
RULES = """\
table inet {table}
delete table inet {table}
table inet {table} {{
    chain arrives {{
        type filter hook prerouting priority -400;
        {rules}
    }}
    chain leaves {{
        type filter hook output priority -400;
        {rules}
    }}
}}
"""
# A packet is accepted once a chain of these hooks has accepted it and no later one speaks: for the node itself, or on
# its way out. What a node sends passes `output` last where nothing is said about it behind NAT.
LAST = {"input", "forward", "postrouting"}

# A line of a trace: what a rule of a chain says, or its policy.
LINE = re.compile(
    r"(?P<table>\S+ \S+) (?P<chain>\S+) "
    r"(?:(?:unknown )?rule (?P<rule>.*) \(verdict (?P<verdict>\w+).*\)|policy (?P<policy>\w+))"
)


@contextlib.contextmanager
def heard(agent: Agent) -> Iterator[list[str]]:
    """The lines of a node's traces while the body runs; afterwards nothing is traced any more.

    Raises `CommandFailed` where the node has no nft. The first packets may come before the hearing.
    """
    try:
        with agent.listen(["nft", "monitor", "trace"]) as lines:
            yield lines
    finally:
        agent.run(["nft", "delete", "table", "inet", TABLE])


def begin(agent: Agent, matches: Sequence[str]) -> None:
    """From now on the packets are traced that any of these expressions of nftables matches. Raises `CommandFailed`."""
    rules = "\n        ".join(f"{match} meta nftrace set 1" for match in matches)
    done = agent.run(["nft", RULES.format(table=TABLE, rules=rules)])
    if done.status:
        raise CommandFailed(["nft", "-f", "-"], done.status, done.output, agent.node)


def chains(listed: str) -> Sequence[dict[str, str]]:
    """The chains in the output of `nft -j list chains`."""
    return [entry["chain"] for entry in json.loads(listed)["nftables"] if "chain" in entry]


def ends(listed: str) -> Collection[str]:
    """The base chains that decide last on a packet, likewise, as a trace names them: `inet filter forward`."""
    hooked = [chain for chain in chains(listed) if "hook" in chain and chain["table"] != TABLE]
    last = LAST if any(chain["hook"] == "postrouting" for chain in hooked) else {*LAST, "output"}
    return {f"{chain['family']} {chain['table']} {chain['name']}" for chain in hooked if chain["hook"] in last}


def decisions(lines: Sequence[str], last: Collection[str], earlier: Collection[str] = ()) -> Sequence[str]:
    """The decisions on the first packet on which there is a last one, or nothing yet; those `earlier` aside.

    `last` are the chains that may have the last word, as `ends` tells them.
    """
    by_packet: dict[str, list[str]] = {}
    for name, line in told(lines):
        if name not in earlier:
            by_packet.setdefault(name, []).append(line)
    for told_of_one in by_packet.values():
        decided = [line for line in told_of_one if " packet: " not in line and TABLE not in line]
        found = decision(decided)
        if found == "drop" or (found and any(" ".join(line.split()[:3]) in last for line in decided)):
            return decided
    return ()


def passes(lines: Sequence[str]) -> Sequence[Sequence[str]]:
    """For each packet, in the order in which they came, what was decided about it, a line each.

    A packet begins where it was recognised: the kernel soon gives its number to another one. One that a rule answers
    (`reject`) ends behind the answer's beginning.
    """
    found: list[list[str]] = []
    now: dict[str, list[str]] = {}
    for name, line in told(lines):
        if TABLE in line:
            if line.endswith("(verdict continue)"):
                now[name] = []
                found.append(now[name])
        elif name in now and " packet: " not in line:
            now[name].append(line)
    return found


@dataclass(frozen=True)
class Decision:
    """A chain's last decision on a packet: the chains that led to it, and the rule or policy with its verdict."""

    chain: str
    word: str
    # Whether the packet ends here.
    drops: bool


def last_words(trace: Sequence[str]) -> Sequence[Decision]:
    """The rules that decided, with the way through chains that led to each, and policies that drop.

    `inet filter forward > into_tunnel`, `oifname "wan" accept`. A policy that accepts is nobody's decision.
    """
    found: list[Decision] = []
    way: list[str] = []
    for line in trace:
        if not (match := LINE.fullmatch(line)):
            continue
        chain, verdict, policy = match["chain"], match["verdict"], match["policy"]
        # A chain that speaks again was returned to.
        way = [*(way[: way.index(chain)] if chain in way else way), chain]
        if verdict in ("continue", "return", "jump", "goto"):
            continue
        if policy != "accept":
            word, drops = match["rule"] or f"policy {policy}", (verdict or policy) in ("drop", "reject")
            found.append(Decision(f"{match['table']} {' > '.join(way)}", word, drops))
        way = []
    return found


def told(lines: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Each line of a trace: the packet's number, and the rest."""
    matches = (re.match(r"trace id (\w+) (.*)", line) for line in list(lines))
    return [(match[1], match[2].strip()) for match in matches if match]


def decision(trace: Sequence[str]) -> str:
    """`drop`, or `accept` where that was the last word so far, otherwise nothing."""
    if any(re.search(r"verdict drop\)|policy drop|verdict reject\)", line) for line in trace):
        return "drop"
    return "accept" if trace and re.search(r"verdict accept\)|policy accept", trace[-1]) else ""
