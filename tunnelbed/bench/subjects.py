"""What is measured: an engine, and its options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunnelbed.bench import VMS
from tunnelbed.engines import ENGINES
from tunnelbed.errors import BadInput

# A VM's memory in MB and its processors.
VM = re.compile(r"([1-9]\d*)x([1-9]\d*)")


@dataclass(frozen=True)
class Subject:
    """An engine by name, and further options of `invoke up`."""

    name: str
    engine: str
    words: tuple[str, ...] = ()


# What any tool on Docker pays; see `baseline`.
PLAIN = Subject("plain Compose", "docker")
DOCKER = Subject("docker", "docker")


def engines(option: str, chosen: str) -> Sequence[str]:
    """The engines that an option such as `--engine docker,qemu` names, by default all of them; raises `BadInput`."""
    named = [name.strip() for name in (chosen or ",".join(ENGINES)).split(",")]
    for name in named:
        if name not in ENGINES:
            raise BadInput(option, "", repr(name), f"some of: {', '.join(ENGINES)}", "correct the name")
    return list(dict.fromkeys(named))


def subjects(chosen: str, vms: str = VMS) -> Sequence[Subject]:
    """The subjects that `--engine docker,qemu` and `--vm 512x2,128x1` name; raises `BadInput`."""
    return [subject for name in engines("--engine", chosen) for subject in of(name, vms)]


def is_emulated(facts: Mapping[str, str]) -> bool:
    """Whether an engine emulates its processors, so that its times are no measure of VMs in general."""
    return "emulation" in facts.get("accelerator", "")


def of(engine: str, vms: str) -> Iterator[Subject]:
    """The subjects of one engine."""
    if not {"memory", "cpus"} <= set(ENGINES[engine].takes):
        # Its nodes share the machine.
        yield Subject(engine, engine, ("--engine", engine) if engine != DOCKER.engine else ())
        return
    for shape in vms.split(","):
        found = VM.fullmatch(shape.strip())
        if not found:
            raise BadInput("--vm", "", repr(shape), "MEGABYTESxPROCESSORS, such as 512x2", "correct it")
        name = f"{engine}, {found[1]} MB and {found[2]} CPU{'s' if found[2] != '1' else ''} a VM"
        yield Subject(name, engine, ("--engine", engine, "--memory", found[1], "--cpus", found[2]))
