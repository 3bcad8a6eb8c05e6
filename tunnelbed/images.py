"""The images nodes are made of: their tags, and how they come to exist.

A tag is a hash of everything an image is made from, so a tag that exists is never stale, and asking costs one
look at the engine.

    python -m tunnelbed.images          make what this machine lacks
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tunnelbed import __version__
from tunnelbed.errors import BadInput, CommandFailed, EngineUnavailable, ImageFailed, TunnelbedError
from tunnelbed.rootfs import DEBIAN_ARCHITECTURES, SUITE, bootstrap, reason
from tunnelbed.shell import follow, run

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "compose" / "images"
NODE_SCRIPTS = ROOT / "scripts" / "node"
CACHE = ROOT / ".cache"

TARGETS = ("node", "node-nested")
# What a stack's image name begins with when the image is made here.
OURS = "tunnelbed/"
OFFICIAL_BASE = f"debian:{SUITE}-slim"
BASE_VARIABLE = "TUNNELBED_BASE"

Progress = Callable[[str], None]


def node_image(target: str = "node", platform: str | None = None) -> str:
    """The tag of an image for the engine's own platform, or for another: `tunnelbed/node:0123456789ab`."""
    name = f"tunnelbed/{target}:{_fingerprint()}"
    return name if platform is None else f"{name}-{platform.removeprefix('linux/').replace('/', '-')}"


def ensure(target: str = "node", progress: Progress = print, platform: str | None = None) -> str:
    """Return the tag of an image that the engine has, building it if it must.

    Takes about 50 ms when there is nothing to do, a second or two when only node scripts have changed.
    Raises `ImageFailed` or `EngineUnavailable`.
    """
    tag = node_image(target, platform)
    if not _engine_has(tag):
        progress(f"building {tag}")
        _bake([target], [platform or engine_platform()], ["--load", "--set", f"{target}.tags={tag}"], progress)
        _supersede(tag)
    return tag


def engine_platform() -> str:
    """The platform the engine runs natively, such as `linux/amd64`."""
    return _engine(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"])


def known_platform(platform: str) -> str:
    """Return a platform that Debian has packages for; raises `BadInput` for any other."""
    if platform not in DEBIAN_ARCHITECTURES:
        raise BadInput("--platform", "", platform, f"one of {', '.join(DEBIAN_ARCHITECTURES)}", "correct the platform")
    return platform


def _fingerprint() -> str:
    """12 hexadecimal digits over the version, the recipe and the node's scripts: names, modes, contents."""
    digest = hashlib.sha256(f"{__version__} {SUITE}".encode())
    for folder in (RECIPE, NODE_SCRIPTS):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                executable = os.access(path, os.X_OK)
                digest.update(f"\0{path.relative_to(ROOT)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _engine(arguments: Sequence[str]) -> str:
    """What a `docker` command says; raises `EngineUnavailable` when it cannot be asked."""
    try:
        return run(["docker", *arguments]).stdout.strip()
    except CommandFailed as failed:
        raise EngineUnavailable(f"{reason(failed.output)}; run scripts/setup") from failed


def _engine_has(tag: str) -> bool:
    try:
        run(["docker", "image", "inspect", "--format", "{{.Id}}", tag])
    except CommandFailed as failed:
        if "no such image" in failed.output.lower():
            return False
        raise EngineUnavailable(f"{reason(failed.output)}; run scripts/setup") from failed
    return True


def _base(progress: Progress) -> str:
    """The official base image, its digest fixed, or `bootstrap` where no registry answers within 10 seconds."""
    chosen = os.environ.get(BASE_VARIABLE)
    if chosen:
        return chosen
    inspect = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", OFFICIAL_BASE]
    try:
        return f"{OFFICIAL_BASE}@{run(inspect, timeout=10).stdout.strip()}"
    except CommandFailed as failed:
        progress(f"no registry has {OFFICIAL_BASE} ({reason(failed.output)}); making a base from Debian's packages")
        return "bootstrap"


def _bake(targets: Sequence[str], platforms: Sequence[str], options: Sequence[str], progress: Progress) -> None:
    """Build targets for platforms with the bake file, telling each step once."""
    epoch = _git("log", "-1", "--format=%ct") or "0"
    rootfs = CACHE / "rootfs"
    rootfs.mkdir(parents=True, exist_ok=True)
    base = _base(progress)
    if base == "bootstrap":
        for platform in platforms:
            progress(f"base for {platform}")
            bootstrap(platform, rootfs, epoch)
    variables = {
        "ROOT": str(ROOT),
        "BASE": base,
        "VERSION": __version__,
        "REVISION": _git("rev-parse", "HEAD") or "unknown",
        "SOURCE": _git("config", "remote.origin.url"),
        "SOURCE_DATE_EPOCH": epoch,
        # Our own bake file reads from nowhere but the checkout; buildx 0.19 and later would ask.
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
    }
    command = ["docker", "buildx", "bake", "--file", str(RECIPE / "docker-bake.hcl"), "--progress", "plain"]
    if "--allow" in run(["docker", "buildx", "bake", "--help"]).stdout:
        command += ["--allow", "network.host"]
    told = set()
    try:
        for line in follow([*command, "--set", f"*.platform={','.join(platforms)}", *options, *targets], env=variables):
            step = re.match(r"#\d+ \[(?!internal|context )(.+?)\] (.{1,80})", line)
            if step and step.group() not in told:
                told.add(step.group())
                progress(f"  {step[1]}: {step[2]}")
    except CommandFailed as failed:
        raise ImageFailed(f"{', '.join(targets)}: {reason(failed.output)}") from failed


def _git(*arguments: str) -> str:
    """What git says about this checkout, empty when it is none."""
    try:
        return run(["git", "-C", str(ROOT), *arguments]).stdout.strip()
    except CommandFailed:
        return ""


def _supersede(tag: str) -> None:
    """Remove the tag that this checkout built before, unless a container still uses it."""
    name, _, version = tag.partition(":")
    note = CACHE / "images" / (name.replace("/", "-") + version[12:])
    previous = note.read_text() if note.exists() else tag
    if previous != tag:
        run(["docker", "image", "rm", previous], check=False)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(tag)


def main(targets: Sequence[str]) -> int:
    """Make the images named, and say their tags."""
    try:
        for target in targets or ("node",):
            print(ensure(target, lambda line: print(line, file=sys.stderr, flush=True)))  # noqa: T201 (a command)
    except TunnelbedError as error:
        print(f"tunnelbed: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
