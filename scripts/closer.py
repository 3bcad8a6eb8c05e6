"""The one command that looks closer at a sentence that does not hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.checkout import which
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.observe.evidence import LogTail, PacketPath
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import naming
from tunnelbed.topology.model import Scenario

ADDRESS = re.compile(r"\d+(?:\.\d+){3}|[\da-f]*:[\da-f.:]*")


def look(failed: BaseException | None, said: Mapping[str, object], scenario: Scenario) -> Sequence[str]:
    """The task and its options for this failure: `trace` for a packet, `logs` for a node; else `status`.

    `said` are the sentence's words by the names of its slots. Of several nodes that it may mean, it failed of those
    that the failure names.
    """
    evidence = failed.evidence if isinstance(failed, Unmet) else ()
    named = _named(failed.expected, scenario) if isinstance(failed, Unmet) else []
    if any(isinstance(one, PacketPath) for one in evidence):
        ends = named[:1] + [str(word) for word in said.values() if ADDRESS.fullmatch(str(word))][:1] + named[1:2]
        if len(ends) >= 2:
            kind = str(said.get("kind", ""))
            return ["trace", "--from", ends[0], "--to", ends[1], *(["--on", kind] if " port " in kind else [])]
    logged = [one.node for one in evidence if isinstance(one, LogTail)]
    node = next(iter([*logged, *named, *_meant(said, scenario)]), "")
    return ["logs", "--node", node] if node else ["status"]


def command(words: Sequence[str], bed: Testbed, root: Path, *, stays: bool) -> str:
    """A line for a shell, from this folder on; what does not stay up is brought up first."""
    options = which(bed, root)
    line = shell.quoted(["invoke", words[0], *options, *words[1:]])
    return line if stays else f"{shell.quoted(['invoke', 'up', *options])} && {line}"


def _named(text: str, scenario: Scenario) -> list[str]:
    """The nodes that a text names, in the order in which it does."""
    pattern = "|".join(re.escape(name) for name in sorted(scenario.nodes, key=len, reverse=True))
    return list(dict.fromkeys(re.findall(rf"(?<![\w-])(?:{pattern})(?![\w-])", text)))


def _meant(said: Mapping[str, object], scenario: Scenario) -> Sequence[str]:
    """The nodes that a sentence itself names."""
    found = []
    for word in said.values():
        if isinstance(word, str):
            with contextlib.suppress(BadInput):
                found.append(naming.node(scenario, word).name)
    return found


def paused(bed: Testbed, root: Path) -> str:
    """The same where a scenario changed its testbed, and undoes that at its end: stop there."""
    return shell.quoted(["invoke", "verify", *which(bed, root), "--pause"])
