"""Evidence as JSON, which `docs/json.md` describes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunnelbed.observe.evidence import (
    CaptureFile,
    Evidence,
    FirewallTrace,
    LogTail,
    NodeState,
    PacketPath,
    Packets,
    Text,
)

# Part of the format: a class may be renamed, its word here may not.
KINDS: dict[type[Evidence], str] = {
    Packets: "packets",
    PacketPath: "path",
    LogTail: "log",
    CaptureFile: "capture",
    FirewallTrace: "firewall trace",
    NodeState: "node state",
    Text: "text",
}


def plain(evidence: Iterable[Evidence]) -> Sequence[dict[str, Any]]:
    """Each as a dictionary of what JSON knows: its `kind`, and its fields by name."""
    return [
        {
            "kind": KINDS[type(one)],
            **{key: str(value) if isinstance(value, Path) else value for key, value in asdict(one).items()},
        }
        for one in evidence
    ]
