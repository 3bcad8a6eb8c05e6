"""The house: what each module of the library may know of the others, read from the modules themselves."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parent.parent / "tunnelbed"

# The rooms of the house, from the ground up. A module imports from its own room and from those before it, and no two
# modules need each other.
ROOMS = ["errors", "host", "topology", "engines", "observe", "vpn", "testbed", "checks", "faults", "report"]
# Beside each other on top: neither knows the other.
ROOFS = ["mutation", "bench"]
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


def room(module: str) -> str:
    """The top-level name that a module is, or is in."""
    return module.split(".", maxsplit=1)[0]


def known(module: str) -> set[str]:
    """The modules of the library that a module imports, itself aside."""
    return {name for name in map(ours, imports(module)) if name} - {module}


def test_the_library_has_these_rooms_and_no_others() -> None:
    assert {room(module) for module in MODULES} == {*ROOMS, *ROOFS}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_its_own_room_and_those_before_it(module: str) -> None:
    here = room(module)
    allowed = {*ROOMS, here} if here in ROOFS else set(ROOMS[: ROOMS.index(here) + 1])
    assert [name for name in sorted(known(module)) if room(name) not in allowed] == []


def test_no_modules_know_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter({module: known(module) for module in MODULES}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_named_by_a_string_only_in_its_own_room(module: str) -> None:
    path = LIBRARY.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    strings = [
        node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    ]
    named = {ours(text) for text in strings if isinstance(text, str)} - {""}
    assert [name for name in sorted(named) if room(name) != room(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_neither_the_tasks_nor_the_phrases_that_use_it(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(module)}
    assert not outside & {"invoke", "behave", "tasks", "steps", "environment"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_a_drawer_of_odds_and_ends(module: str) -> None:
    assert not set(module.split(".")) & {"utils", "util", "helpers", "common", "misc"}


def test_commands_leave_through_the_shell_s_one_door() -> None:
    # verification lets behave speak to the person's terminal, which the door would hold back.
    others = {module for module in MODULES if "subprocess" in imports(module)} - {"host.shell", "testbed.verification"}
    assert others == set()


def test_a_command_that_judges_no_packet_does_not_wait_for_scapy() -> None:
    found = "import sys, tasks; print(sorted({'scapy', 'cryptography', 'matplotlib', 'behave'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", found], cwd=LIBRARY.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Where a VPN may be known by name: its own folder, what changes its files on purpose, and what writes a first one.
KNOW_VPNS = ("vpn.", "mutation.", "topology.scaffold")
WORDS = ("charon", "swanctl", "ipsec0", "strongswan")


@pytest.mark.parametrize("module", [module for module in MODULES if not f"{module}.".startswith(KNOW_VPNS)])
def test_a_module_outside_its_folder_knows_no_vpn_by_name(module: str) -> None:
    path = LIBRARY.joinpath(*module.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    assert [word for word in WORDS if word in text] == []


def test_a_module_is_one_noun() -> None:
    """In 400 lines at most; whatever has more has a second noun inside."""
    home = LIBRARY.parent
    files = [
        *LIBRARY.rglob("*.py"),
        *(home / "steps").glob("*.py"),
        *home.glob("*.py"),
        *(home / "scripts").glob("*.py"),
    ]
    assert [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []
