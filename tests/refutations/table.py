"""All refutations, phrase by phrase as the files of `steps/` have them."""

from __future__ import annotations

from tests.refutations import (
    attacks,
    crossing,
    faults,
    host,
    machines,
    passing,
    ports,
    reaching,
    rekeying,
    segments,
    settings,
    trust,
    tunnels,
    walls,
)

REFUTATIONS = tuple(
    refutation
    for module in (
        attacks,
        crossing,
        faults,
        host,
        machines,
        passing,
        ports,
        reaching,
        rekeying,
        segments,
        settings,
        trust,
        tunnels,
        walls,
    )
    for refutation in module.REFUTATIONS
)
