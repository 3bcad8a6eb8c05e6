"""A stack's document: as it is written where that is plain, else as Compose itself resolves it.

`docker compose config` needs no engine. It fills in `${VAR}` and `.env`, follows `extends` and `include`, leaves out
services whose profile is not asked for, reads every short form, and merges an overlay.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunnelbed.errors import BadInput, CommandFailed, EngineUnavailable
from tunnelbed.host import shell
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.plain import is_plain
from tunnelbed.topology.yaml_sections import Section, line_of

EXPECTED = "YAML in the Compose format: a mapping with services and networks"
# Docker without Compose takes `compose` for a command it lacks, or `-f` for a flag of its own.
NO_COMPOSE = ("is not a docker command", "unknown shorthand flag", "unknown docker command")
WARNING = re.compile(r'level=warning msg="((?:[^"\\]|\\.)*)"')
KEY = re.compile(r"\b(?:services|networks|volumes|secrets|configs|include|name)(?:\.[\w-]+)+")
NAMED = re.compile(r'\b(service|network|volume|secret|config) "?([\w.-]+)"?(?= (?:refers|depends|has|declares)\b)')


@dataclass(frozen=True)
class Stack:
    """The stack of a scenario, merged from its files.

    `services` are all that the first file names, with those that a profile leaves out; `warnings` are Compose's own.
    """

    said: Section
    services: frozenset[str]
    warnings: tuple[str, ...] = ()


def read(path: Path, overlay: Path | None = None) -> Stack:
    """Read a stack, and what is merged into it.

    Raises `BadInput` for what YAML or Compose refuses, and `EngineUnavailable` where Compose is needed and missing.
    """
    written = yaml_sections.read(path, EXPECTED)
    over = yaml_sections.read(overlay, EXPECTED) if overlay else None
    services = written.said.get("services")
    named = frozenset(map(str, services)) if isinstance(services, Mapping) else frozenset()
    if over is None and is_plain(written.said, written.root):
        return Stack(written, named)
    files = [path, *([overlay] if overlay else [])]
    document, warnings = _resolved(files, written)
    said = _in_order(document, [one.said for one in (written, over) if one])
    return Stack(Section(written.file, "", said, written.root), named, warnings)


def _resolved(files: Sequence[Path], written: Section) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The document that Compose makes of these files, and what it warns of."""
    words = [word for file in files for word in ("-f", str(file.absolute()))]
    try:
        done = shell.run(["docker", "compose", *words, "config", "--format", "json"])
    except CommandFailed as failed:
        if failed.status is None or any(sign in failed.output for sign in NO_COMPOSE) or failed.status == _MISSING:
            needed = "it uses what only Docker Compose resolves (a variable, `include`, a short form ...)"
            raise EngineUnavailable(f"{written.file}: {needed}, which is not installed; run scripts/setup") from failed
        raise _refused(failed.output, files, written) from failed
    # Compose writes a dollar so that it can read it again.
    document: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))
    said = (json.loads(f'"{text}"') for text in WARNING.findall(done.stderr))
    return document, tuple(dict.fromkeys(f"{written.file}: {text}" for text in said if "obsolete" not in text))


# A program that is not there (shell(1)).
_MISSING = 127


def _refused(output: str, files: Sequence[Path], written: Section) -> BadInput:
    """Compose's complaint as one line with file and key."""
    lines = [line for line in output.splitlines() if not line.startswith("time=")]
    text = " ".join(" ".join(lines).split()) or "Compose printed nothing"
    file, root = written.file, written.root
    for path in files:
        text = text.removeprefix(f"validating {path.absolute()}: ")
    text = text.removesuffix(": invalid compose project").replace(f"{Path.cwd()}{os.sep}", "")
    key = ""
    if found := KEY.search(text):
        key = found[0].rstrip(".")
    elif named := NAMED.search(text):
        key = f"{named[1]}s.{named[2]}"
    return BadInput(file, key, f"`{text}`", "a stack that Compose accepts", "correct it", line_of(root, key))


def _in_order(document: dict[str, Any], written: Iterable[Mapping[Any, Any]]) -> dict[str, Any]:
    """The document with services and networks in the order of the files; Compose sorts them by name.

    So, too, with the networks of each service, whose first address is the one that is asked for.
    """
    files = list(written)
    for part in ("services", "networks"):
        wanted = [_keys(file.get(part)) for file in files]
        document[part] = _sorted(document.get(part) or {}, wanted)
    for name, service in document["services"].items():
        if isinstance(service.get("networks"), dict):
            wanted = [_keys(_at(file, "services", name, "networks")) for file in files]
            service["networks"] = _sorted(service["networks"], wanted)
    return document


def _sorted(values: dict[str, Any], wanted: Iterable[Sequence[str]]) -> dict[str, Any]:
    order = dict.fromkeys(name for names in wanted for name in names if name in values)
    return {name: values[name] for name in [*order, *values]}


def _keys(value: object) -> Sequence[str]:
    return [str(key) for key in value] if isinstance(value, Mapping | list) else []


def _at(value: object, *path: str) -> object:
    for word in path:
        value = value.get(word) if isinstance(value, Mapping) else None
    return value
