"""The environment an engine runs nodes in (images, a kernel, a root file system), made with nothing kept from before.

It is made by a copy of the recipe in a folder of its own. There the base is bootstrapped again, since what was made is
kept beside the recipe; and since apt's caches have other names there, BuildKit has neither them nor any layer above the
base. Caches that other work uses stay as they are; what this leaves in the builder's cache, the builder collects.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tunnelbed.engines import ENGINES, Progress
from tunnelbed.engines.images.bake import RECIPE, ROOT
from tunnelbed.engines.images.node_images import OURS
from tunnelbed.errors import BadInput
from tunnelbed.host import shell

# All that such a module reads.
PARTS = ("tunnelbed", "compose", "scripts")
CACHES = "id=tunnelbed-"


def build(engine: str, progress: Progress) -> float:
    """Seconds until the environment is there; it is removed again. Raises `TunnelbedError` where it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="tunnelbed-bench-") as scratch:
        _copy(Path(scratch))
        progress(f"building the environment of {engine} with an empty cache")
        began = time.monotonic()
        # -P: not the modules of the current folder, but the copy's.
        said = shell.run([sys.executable, "-P", "-m", ENGINES[engine].maker], env={"PYTHONPATH": scratch})
        seconds = time.monotonic() - began
        if made := _images(said.stdout):
            shell.run(["docker", "image", "rm", *made])
    return seconds


def _copy(scratch: Path) -> None:
    for part in PARTS:
        shutil.copytree(ROOT / part, scratch / part, ignore=shutil.ignore_patterns("__pycache__"))
    dockerfile = scratch / RECIPE.relative_to(ROOT) / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    if CACHES not in text:
        raise BadInput(str(RECIPE / "Dockerfile"), "", f"no {CACHES}", "apt caches with that id", "name them so")
    dockerfile.write_text(text.replace(CACHES, f"id=bench-{secrets.token_hex(4)}-"), encoding="utf-8")


def _images(said: str) -> Sequence[str]:
    """The images that a module made, by its output."""
    return [line for line in said.splitlines() if line.startswith(OURS)]
