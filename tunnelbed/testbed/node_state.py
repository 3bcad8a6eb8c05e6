"""The state of a testbed's nodes at one moment, for a person who looks for a cause: `invoke collect`, and at a failure.

All nodes are asked at the same time, each by one request. What a node's tools print is kept as it is: nothing here is
judged. Keys stay on the node, as they are never asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunnelbed.errors import BadInput, CommandFailed, TunnelbedError
from tunnelbed.observe import evidence_json, evidence_text
from tunnelbed.observe.evidence import NodeState, Section
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.report_file import unwritable
from tunnelbed.testbed.testbed import Testbed

# Of the file that `write` makes; docs/collect.md describes it.
VERSION = 1
# A tool that a node lacks is an error in its section, and the others go on. Of sysctls, those by which a node forwards,
# filters and configures itself; `stable_secret` is a key, and none of them.
SCRIPT = r"""
exec 2>&1
echo '== addresses'; ip address show
echo '== rules'; ip -4 rule show; ip -6 rule show
echo '== routes'; ip -4 route show table all; ip -6 route show table all
echo '== neighbours'; ip neighbour show
echo '== queues'; tc qdisc show
echo '== firewall'; nft list ruleset
echo '== sysctls'; cd /proc/sys/net && grep -s . ipv4/ip_forward \
    ipv4/conf/*/forwarding ipv4/conf/*/rp_filter ipv4/conf/*/src_valid_mark ipv4/conf/*/arp_ignore \
    ipv4/conf/*/accept_redirects ipv4/conf/*/send_redirects ipv4/conf/*/accept_source_route \
    ipv4/conf/*/disable_policy ipv4/conf/*/disable_xfrm ipv4/ip_no_pmtu_disc \
    ipv6/conf/*/disable_ipv6 ipv6/conf/*/forwarding ipv6/conf/*/accept_ra ipv6/conf/*/accept_redirects \
    ipv6/conf/*/accept_dad ipv6/conf/*/disable_policy
cd /
echo '== sockets'; ss -tuwanp
"""
LOG = "log"
# Seconds for all that a node is asked. A daemon that is silent takes some of them.
PATIENCE = 15.0
# Lines of a section, and of the log: a node with thousands of routes must not fill a report.
MOST_LINES, LOG_LINES = 400, 40
# Lines of a section where all nodes are printed for a person.
SHOWN_LINES = 12
# A row of a hex dump: `   0: 63 29 AD 0B  c)..`. A daemon whose log is set to its highest level logs keys so.
DUMPED = re.compile(r"\b[0-9a-f]+: (?:[0-9a-f]{2} ){1,16}", re.IGNORECASE)


def collect(bed: Testbed, only: str = "") -> Sequence[NodeState]:
    """The state of every node, or of one. A node that does not run or answer is reported so; the others are collected.

    Raises `BadInput` where nothing of the testbed is up.
    """
    wanted = [bed.scenario.node(only)] if only else list(bed.scenario.nodes.values())
    states = bed.engine.states(bed.project)
    if not states:
        raise BadInput("collect", bed.name, "no node", "a testbed that is up", "bring it up with `invoke up`")
    return list(bed.pool.map(lambda node: _one(bed.node(node), states.get(node.name, "not there")), wanted))


def write(file: Path, bed: Testbed, found: Sequence[NodeState]) -> None:
    """Write it as JSON. Raises `BadInput` where the file cannot be written."""
    whole: Mapping[str, Any] = {
        "version": VERSION,
        "scenario": bed.scenario.name,
        "instance": bed.instance,
        "collected": datetime.now(UTC).isoformat(timespec="seconds"),
        "nodes": evidence_json.plain(found),
    }
    try:
        file.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    except OSError as wrong:
        raise unwritable(file, wrong) from wrong


def text(found: Sequence[NodeState]) -> str:
    """It as a person reads it; of several nodes, the first lines of each section, and the last ones of the log."""
    if len(found) > 1:
        found = [replace(one, sections=tuple(map(_short, one.sections))) for one in found]
    return "\n".join(evidence_text.lines(found))


def sections(said: str) -> Iterator[Section]:
    """The sections of what a node printed, each headed `== name`; of a long one its first lines."""
    for part in re.split(r"^== ", said, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        yield Section(name, _first([line.rstrip() for line in lines if line.strip()], MOST_LINES))


def _short(part: Section) -> Section:
    if part.name != LOG or len(part.lines) <= SHOWN_LINES:
        return Section(part.name, _first(part.lines, SHOWN_LINES))
    return Section(LOG, (f"({len(part.lines) - SHOWN_LINES} earlier lines)", *part.lines[-SHOWN_LINES:]))


def _first(lines: Sequence[str], most: int) -> tuple[str, ...]:
    if len(lines) <= most:
        return tuple(lines)
    return (*lines[:most], f"({len(lines) - most} more lines)")


def _one(handle: NodeHandle, state: str) -> NodeState:
    """A node's state; a log is there though the node is not."""
    found: list[Section] = []
    missing = ""
    if state == "running":
        kind = handle.vpn
        script = SCRIPT + (kind.listed if kind else "") + "exit 0\n"
        try:
            found += sections(handle.run(["sh", "-c", script], timeout=PATIENCE, check=True).stdout)
        except CommandFailed as wrong:
            # Not the whole error, which has the script.
            missing = f"it was not read: {wrong.output.strip()}"
        except TunnelbedError as wrong:
            missing = str(wrong)
    else:
        missing = "only its log can be read"
    try:
        found.append(Section(LOG, log_tail(handle.log())))
    except TunnelbedError as wrong:
        missing = "; ".join(said for said in (missing, str(wrong)) if said)
    return NodeState(handle.name, state, tuple(found), missing)


def log_tail(log: str, most: int = LOG_LINES) -> tuple[str, ...]:
    """The last lines of a log without rows of hex dumps, which may be keys."""
    return tuple(line for line in log.strip().splitlines() if not DUMPED.search(line))[-most:]
