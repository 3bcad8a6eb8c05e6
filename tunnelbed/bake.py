"""One run of the bake file: which builder, which base, and what it says meanwhile."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed import __version__
from tunnelbed.errors import CommandFailed, ImageFailed
from tunnelbed.rootfs import MIRROR_VARIABLE, SUITE, bootstrap, reason
from tunnelbed.shell import follow, run

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "compose" / "images"
CACHE = ROOT / ".cache"

OFFICIAL_BASE = f"debian:{SUITE}-slim"
BASE_VARIABLE = "TUNNELBED_BASE"
REGISTRY_SECONDS = 10

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Builder:
    """A builder of buildx; `own` is the engine's, which sees the engine's images."""

    name: str
    own: bool = True


def builder(*, many: bool, exported: bool) -> Builder:
    """A builder for `many` platforms at once, or for images that leave the engine (`exported`).

    The engine's own builder does both where its image store is containerd's; else another builder of the user's
    may. Raises `ImageFailed`, naming the missing setting, when none can.
    """
    own = run(["docker", "context", "show"]).stdout.strip()
    if not (many or exported) or "io.containerd.snapshotter" in run(["docker", "info"]).stdout:
        return Builder(own)
    if exported:
        listed = run(["docker", "buildx", "ls", "--format", "{{json .}}"], check=False)  # buildx 0.13 and later
        for line in listed.stdout.splitlines() if listed.status == 0 else ():
            other = json.loads(line)
            if other["Driver"] != "docker":
                return Builder(str(other["Name"]), own=False)
    raise ImageFailed(
        "this Docker keeps images of its own platform only; put "
        '"features": {"containerd-snapshotter": true} into /etc/docker/daemon.json and restart it'
    )


def bake(
    targets: Sequence[str], platforms: Sequence[str], options: Sequence[str], chosen: Builder, progress: Progress
) -> None:
    """Build targets for platforms on the builder `chosen`, telling each step once; raises `ImageFailed`."""
    epoch = git("log", "-1", "--format=%ct") or "0"
    base = _base(progress)
    context = CACHE / "rootfs"
    context.mkdir(parents=True, exist_ok=True)
    if base == "bootstrap":
        for platform in platforms:
            context = bootstrap(platform, CACHE / "rootfs", epoch, progress)
    variables = {
        "ROOT": str(ROOT),
        "CONTEXT": str(context),
        "BASE": base,
        "MIRROR": os.environ.get(MIRROR_VARIABLE, ""),
        "VERSION": __version__,
        "REVISION": git("rev-parse", "HEAD") or "unknown",
        "SOURCE": _public(git("config", "remote.origin.url")),
        "SOURCE_DATE_EPOCH": epoch,
        # Our own bake file reads from nowhere but the checkout; buildx 0.19 and later would ask.
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
    }
    command = ["docker", "buildx", "bake", "--builder", chosen.name, "--file", str(RECIPE / "docker-bake.hcl")]
    if "--allow" in run(["docker", "buildx", "bake", "--help"]).stdout:
        command += ["--allow", "network.host"]
    command += ["--progress", "plain", "--set", f"*.platform={','.join(platforms)}", *options, *targets]
    told = set()
    try:
        for line in follow(command, env=variables):
            step = re.match(r"#\d+ \[(?!internal|context )(.+?)\] (.{1,80})", line)
            if step and step.group() not in told:
                told.add(step.group())
                progress(f"  {step[1]}: {step[2]}")
    except CommandFailed as failed:
        raise ImageFailed(f"{', '.join(targets)}: {reason(failed.output)}") from failed


def git(*arguments: str) -> str:
    """What git says about this checkout, empty when it is none."""
    try:
        return run(["git", "-C", str(ROOT), *arguments]).stdout.strip()
    except CommandFailed:
        return ""


def _public(address: str) -> str:
    """An address fit for a label: none that is a path of this machine, no name or password in it."""
    return re.sub(r"//[^/@]*@", "//", address) if address.startswith(("https://", "http://")) else ""


def _base(progress: Progress) -> str:
    """The official base image, its digest fixed, or `bootstrap` where no registry answers in time."""
    chosen = os.environ.get(BASE_VARIABLE)
    if chosen:
        return chosen
    inspect = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", OFFICIAL_BASE]
    try:
        return f"{OFFICIAL_BASE}@{run(inspect, timeout=REGISTRY_SECONDS).stdout.strip()}"
    except CommandFailed as failed:
        progress(f"no registry has {OFFICIAL_BASE} ({reason(failed.output)}); making a base from Debian's packages")
        return "bootstrap"
