"""The mistakes we make on purpose, a module for each kind of native file.

`REGISTRY` holds them by name. A new operator is a function with the decorator `operator`, in one of the modules that
`MODULES` names; its docstring is what `invoke mutate --list` says of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence

from tunnelbed.errors import BadInput
from tunnelbed.mutation import Operator

MODULES = ("nftables", "accepting", "swanctl", "lifetimes", "routes", "stack", "plain")
_REGISTRY: dict[str, Operator] = {}


def operator(name: str) -> Callable[[Operator], Operator]:
    """Register an operator under the name that a person types."""

    def register(make: Operator) -> Operator:
        _REGISTRY[name] = make
        return make

    return register


def registry() -> Mapping[str, Operator]:
    """Every operator by its name."""
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")
    return _REGISTRY


def named(wanted: str) -> Sequence[Operator]:
    """The operator of that name, or all of them."""
    known = registry()
    if wanted and wanted not in known:
        raise BadInput("--operator", "", repr(wanted), f"one of: {', '.join(known)}", "choose one of them")
    return [known[wanted]] if wanted else list(known.values())
