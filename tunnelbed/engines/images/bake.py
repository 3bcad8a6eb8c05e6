"""The bakery: runs the bake file with one builder, for some platforms, from one base."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed import __version__
from tunnelbed.engines.images import binfmt
from tunnelbed.engines.images.rootfs import MIRROR_VARIABLE, SUITE, bootstrap, reason
from tunnelbed.errors import CommandFailed, ImageFailed
from tunnelbed.host.shell import follow, run

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "compose" / "images"
CACHE = ROOT / ".cache"

OFFICIAL_BASE = f"debian:{SUITE}-slim"
BASE_VARIABLE = "TUNNELBED_BASE"
REGISTRY_SECONDS = 10

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Bakery:
    """A builder of buildx that can run what it builds for `platforms`; `variables` are the bake file's.

    `own` says that it is the engine's, which sees the engine's images.
    """

    builder: str
    own: bool
    platforms: Sequence[str]
    variables: Mapping[str, str]

    @classmethod
    def open(cls, platforms: Sequence[str], progress: Progress, *, exported: bool = False) -> Bakery:
        """A bakery for platforms, with emulators and bases made ready; `exported`: for images that leave the engine.

        Raises `ImageFailed`.
        """
        builder, own = _builder(alone=len(platforms) == 1 and not exported, exported=exported)
        for platform in platforms:
            binfmt.ensure(platform, builder, progress)
        epoch = git("log", "-1", "--format=%ct") or "0"
        base = _base(progress)
        context = CACHE / "rootfs"
        context.mkdir(parents=True, exist_ok=True)
        if base == "bootstrap":
            for platform in platforms:
                context = bootstrap(platform, CACHE / "rootfs", progress)
        variables = {
            "ROOT": str(ROOT),
            "CONTEXT": str(context),
            "BASE": base,
            "BASE_NAME": "scratch" if base == "bootstrap" else base,
            "MIRROR": os.environ.get(MIRROR_VARIABLE, ""),
            "VERSION": __version__,
            "REVISION": git("rev-parse", "HEAD") or "unknown",
            "SOURCE": public(git("config", "remote.origin.url")),
            "SOURCE_DATE_EPOCH": epoch,
            # Our own bake file reads from nowhere but the checkout; buildx 0.19 and later would ask.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        }
        return cls(builder, own, platforms, variables)

    def bake(self, targets: Sequence[str], options: Sequence[str], progress: Progress) -> None:
        """Build targets, telling of each step that is run; raises `ImageFailed`."""
        command = ["docker", "buildx", "bake", "--builder", self.builder, "--file", str(RECIPE / "bake.yaml")]
        if "--allow" in run(["docker", "buildx", "bake", "--help"]).stdout:  # buildx 0.17 and later
            command += ["--allow", "network.host"]
        command += ["--progress", "plain", "--set", f"*.platform={','.join(self.platforms)}", *options, *targets]
        try:
            for step in running(follow(command, env=self.variables)):
                progress(f"  {step}")
        except CommandFailed as failed:
            raise ImageFailed(f"{', '.join(targets)}: {reason(failed.output)}") from failed


def running(lines: Iterable[str]) -> Iterator[str]:
    """The steps that BuildKit's plain progress shows at work, each once, as it begins; a cached one never speaks.

    `#7 [node packages 1/2] RUN apt-get update` names step 7, `#7 0.31 Get:1 ...` is the first that it says.
    """
    silent: dict[str, str] = {}
    for line in lines:
        step = re.match(r"#(\d+) (.+)", line)
        if step and step[1] not in silent:
            silent[step[1]] = step[2][:100]
        elif step and silent[step[1]] and re.match(r"\d+\.\d+ |(?:exporting|pushing) \w+", step[2]):
            yield silent[step[1]]
            silent[step[1]] = ""


def git(*arguments: str) -> str:
    """The version of this checkout by git, empty if it is none."""
    try:
        return run(["git", "-C", str(ROOT), *arguments]).stdout.strip()
    except CommandFailed:
        return ""


def public(address: str) -> str:
    """An address fit for a label: nothing where it is a path or a private host's, no name or password in it."""
    return re.sub(r"//[^/@]*@", "//", address) if address.startswith(("https://", "http://")) else ""


def _builder(*, alone: bool, exported: bool) -> tuple[str, bool]:
    """The name of a builder, and whether it is the engine's own.

    `alone`: for one platform, loaded into the engine, which the engine's own always does. It does the rest too where
    its image store is containerd's; else what is `exported` may come from another builder of the user's. Raises
    `ImageFailed`, naming the missing setting, when none can.
    """
    own = run(["docker", "context", "show"]).stdout.strip()
    if alone or "io.containerd.snapshotter" in run(["docker", "info"]).stdout:
        return own, True
    if exported:
        listed = run(["docker", "buildx", "ls", "--format", "{{json .}}"], check=False)  # buildx 0.13 and later
        for line in listed.stdout.splitlines() if listed.status == 0 else ():
            other = json.loads(line)
            if other["Driver"] != "docker":
                return str(other["Name"]), False
    raise ImageFailed(
        "Docker's image store keeps images of one platform at a time; put "
        '"features": {"containerd-snapshotter": true} into /etc/docker/daemon.json and restart it'
    )


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
