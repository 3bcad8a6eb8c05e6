"""The house: what each module of the library may know of the others, read from the modules themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parent.parent / "tunnelbed"

# A module imports only from layers above its own line here, never from its own or from one below.
LAYERS = """
errors
model waiting shell
capabilities documents strongswan emulators wire scaffold.templates
scaffold.hub scaffold.remote
scaffold
scenario pki rootfs connections
drawing
bake
images
engines
engines.underlay engines.links engines.fake engines.cgroups engines.drivers engines.execs
engines.compose engines.qemu
engines.docker
engines.qemu.accelerator engines.qemu.conversation engines.qemu.segment engines.qemu.served engines.qemu.usage
engines.qemu.machine
engines.qemu.files
engines.qemu.keeper
engines.qemu.door
engines.qemu.engine engines.qemu.terminal
agents probes
pcapng
recording verification readiness
testbed
report verdict naming daemon addressing nftrace
bench
bench.measured bench.stopwatch bench.machine bench.subjects bench.floor bench.tunnels bench.expectations
bench.environment bench.traffic
bench.phases bench.together bench.drivers
bench.table
bench.plot bench.growth
bench.curves
agreement reachability journal changes keylog
capture
application secrecy hops segments trust machines trace
forgery stranger faults rekeying firewall isolation describing
mutation
mutation.operators
mutation.operators.nftables mutation.operators.swanctl mutation.operators.routes mutation.operators.stack
mutation.operators.plain
mutation.mutants
mutation.equivalent mutation.verdicts mutation.ground
mutation.worker mutation.experience
mutation.dispatcher
mutation.crew
mutation.campaign
mutation.summary
"""
LEVEL = {module: number for number, line in enumerate(LAYERS.split("\n")) for module in line.split()}
MODULES = sorted(
    ".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")
    for path in LIBRARY.rglob("*.py")
)
MODULES.remove("__init__")


def imports(module: str) -> set[str]:
    """Everything a module imports, by full name, wherever in it the import stands."""
    path = LIBRARY.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def ours(name: str) -> str:
    """The module of the library that an imported name belongs to, or "" for anything else."""
    name = f"{name}.".removeprefix("tunnelbed.").removesuffix(".") if name.startswith("tunnelbed.") else ""
    return max((module for module in MODULES if f"{name}.".startswith(f"{module}.")), key=len, default="")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_the_layers_above_its_own(module: str) -> None:
    assert module in LEVEL, f"say in LAYERS where {module} belongs"
    known = {name for name in map(ours, imports(module)) if name}
    assert known <= LEVEL.keys()
    assert [name for name in sorted(known) if LEVEL[name] >= LEVEL[module]] == []


def test_every_module_that_has_a_layer_exists() -> None:
    assert LEVEL.keys() <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_neither_the_tasks_nor_the_phrases_that_use_it(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(module)}
    assert not outside & {"invoke", "behave", "tasks", "steps", "environment"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_a_drawer_of_odds_and_ends(module: str) -> None:
    assert not set(module.split(".")) & {"utils", "util", "helpers", "common", "misc"}


def test_commands_leave_through_the_shell_s_one_door() -> None:
    # verification lets behave speak to the person's terminal, which the door would hold back.
    others = {module for module in MODULES if "subprocess" in imports(module)} - {"shell", "verification"}
    assert others == set()


def test_a_command_that_judges_no_packet_does_not_wait_for_scapy() -> None:
    found = "import sys, tasks; print(sorted({'scapy', 'cryptography', 'matplotlib', 'behave'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", found], cwd=LIBRARY.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
