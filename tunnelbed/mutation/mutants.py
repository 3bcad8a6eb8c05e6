"""Every mutant of a scenario, by every operator there is."""

from __future__ import annotations

from tunnelbed.mutation import Mutant, Sources, operators
from tunnelbed.topology.model import Scenario


def mutants(scene: Scenario, wanted: str = "") -> tuple[Mutant, ...]:
    """Every mutant of a scenario, or those of one operator, each with a name of its own."""
    files = Sources(scene)
    found: dict[str, Mutant] = {}
    for make in operators.named(wanted):
        for mutant in make(files):
            if any(text != files.text(path) for path, text in mutant.changes.items()):
                found.setdefault(mutant.name, mutant)
    return tuple(found.values())
