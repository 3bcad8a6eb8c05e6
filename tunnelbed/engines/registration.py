"""The registration of an engine's folder, which is read before the engine is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Registration:
    """`ENGINE` in the `__init__` of a folder of `engines/`, whose name is what a person types.

    `module` has `connect(root)`, which gives the `Engine`. `maker` is a module that makes, run by itself, what nodes
    are made of, and prints the names of Docker images that it made. `takes` are the options of a testbed that the
    engine honours; any other is refused for it.
    """

    module: str
    maker: str
    takes: tuple[str, ...]
