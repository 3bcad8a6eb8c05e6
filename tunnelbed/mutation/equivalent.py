"""Mutants that change nothing noticeable, with the reason: `configs/<scenario>/equivalent.yaml`.

    equivalent:
      - mutants:
          - "rule-removed: gateway-? only_tunnel_out: oifname ipsec0 accept"
        data-plane: kernel
        because: ipsec0 exists only where ESP is done in user space.

A name may hold `*` and `?`. `data-plane` says where the reason holds, everywhere unless told. Whoever doubts one has
`invoke mutate --equivalent` try it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.engines import DATA_PLANES
from tunnelbed.errors import BadInput
from tunnelbed.mutation import Mutant
from tunnelbed.topology import yaml_sections

FILE = "equivalent.yaml"


@dataclass(frozen=True)
class Reason:
    """Why mutants with such names are no mistakes; `plane` is empty where it holds in every data plane."""

    patterns: tuple[str, ...]
    plane: str
    because: str

    def covers(self, mutant: Mutant, plane: str) -> bool:
        """Whether this is the reason for a mutant, in a testbed with this data plane."""
        return self.plane in ("", plane) and any(_matches(pattern, mutant.name) for pattern in self.patterns)


def read(configs: Path, all_mutants: Sequence[Mutant]) -> tuple[Reason, ...]:
    """A scenario's reasons; raises `BadInput` for one that cannot be read, or names no existing mutant."""
    path = configs / FILE
    if not path.exists():
        return ()
    said = yaml_sections.read(path, "YAML: `equivalent:` and a list of mutants with reasons")
    reasons = []
    for number, entry in enumerate(said.items("equivalent"), 1):
        where = f"equivalent, entry {number}"
        if not isinstance(entry, dict) or not entry.get("because") or not isinstance(entry.get("mutants"), list):
            expected = "mutants: [...] and because: ..."
            raise BadInput(yaml_sections.shorten(path), where, yaml_sections.shown(entry), expected, "write both")
        plane = str(entry.get("data-plane", ""))
        if plane not in ("", *DATA_PLANES[1:]):
            raise BadInput(yaml_sections.shorten(path), where, plane, "kernel or user", "correct data-plane")
        reason = Reason(tuple(map(str, entry["mutants"])), plane, " ".join(str(entry["because"]).split()))
        for pattern in reason.patterns:
            if not any(_matches(pattern, mutant.name) for mutant in all_mutants):
                advice = "correct it (`invoke mutate --list`) or remove it"
                raise BadInput(
                    yaml_sections.shorten(path), where, repr(pattern), "the name of an existing mutant", advice
                )
        reasons.append(reason)
    return tuple(reasons)


def _matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern; only `*` and `?` mean more than themselves, since rules hold brackets."""
    expression = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None
