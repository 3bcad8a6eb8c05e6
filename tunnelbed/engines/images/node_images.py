"""The images nodes are made of: their tags, and how they come to exist.

A tag is a hash of everything an image is made from, so a tag that exists is never stale, and asking costs one
look at the engine.

    python -m tunnelbed.engines.images.node_images          make what this machine lacks
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tunnelbed import __version__
from tunnelbed.engines.images.bake import CACHE, RECIPE, ROOT, Bakery, Progress
from tunnelbed.engines.images.rootfs import DEBIAN_ARCHITECTURES, SUITE, reason
from tunnelbed.errors import BadInput, CommandFailed, EngineUnavailable, ImageFailed, TunnelbedError
from tunnelbed.host.shell import run

NODE_SCRIPTS = ROOT / "scripts" / "node"

TARGETS = ("node", "node-nested")
# What a stack's image name begins with when the image is made here.
OURS = "tunnelbed/"
# A host, perhaps its port, and a path: what a registry accepts before `/node:VERSION` (distribution/reference).
REPOSITORY = re.compile(r"[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
# What stays on this machine needs no statement of where it comes from.
UNATTESTED = ("--load", "--provenance", "false")


def node_image(target: str = "node", platform: str | None = None) -> str:
    """The tag of an image for the engine's own platform, or for another: `tunnelbed/node:0123456789ab`."""
    name = f"{OURS}{target}:{fingerprint([RECIPE, NODE_SCRIPTS], ROOT)}"
    return f"{name}-{platform.removeprefix('linux/').replace('/', '-')}" if platform else name


def ensure(
    target: str = "node",
    progress: Progress = print,
    platform: str | None = None,
    has: Callable[[str], bool] | None = None,
) -> str:
    """Return the tag of an image that the engine has, building it if it must.

    `has` tells whether the engine has a tag, for a caller who talks with it already; a command asks otherwise, which
    takes some 50 ms. Building takes a second or two when only node scripts have changed.
    Raises `BadInput`, `ImageFailed` or `EngineUnavailable`.
    """
    has = has or _engine_has
    if platform and known_platform(platform) == engine_platform():
        platform = None
    tag = node_image(target, platform)
    if not has(tag):
        with one_at_a_time():
            if not has(tag):
                progress(f"building {tag}")
                _make(target, platform, tag, progress)
    return tag


def _make(target: str, platform: str | None, tag: str, progress: Progress) -> None:
    bakery = Bakery.open([platform or engine_platform()], progress)
    try:
        bakery.bake([target], [*UNATTESTED, *_set("tags", {target: tag})], progress)
    except ImageFailed:
        # The engine refuses a tag that another checkout gave meanwhile, to an image of the same content.
        if not _engine_has(tag):
            raise
    _supersede(tag)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let testbeds that come up together build what they share once."""
    CACHE.mkdir(exist_ok=True)
    held = os.open(CACHE, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def lay_out(folder: Path) -> None:
    """Copy the node scripts, with the modes that the image gives them, whatever a checkout has (Dockerfile, `own`)."""
    shutil.copytree(NODE_SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def build(
    platforms: Sequence[str] = (),
    push: str = "",
    output: Path | None = None,
    progress: Progress = print,
    *,
    fresh: bool = False,
) -> Sequence[str]:
    """Build images for one platform or many, and return what they are called or where they lie.

    They go to the engine's own store; with `push`, to a registry as `PUSH/node:VERSION`; with `output`, into OCI
    archives, `OUTPUT` with the target's name before its suffix. `fresh` takes the packages as they are today.
    Raises `BadInput` or `ImageFailed`. Nothing is named before everything is built, so a failed build names nothing.
    """
    if push and output:
        raise BadInput("--push", "", f"--output {output} too", "one destination", "push and write in two runs")
    if push and not REPOSITORY.fullmatch(push):
        raise BadInput("--push", "", push, "a repository, such as registry.example/me", "correct the name")
    if output and not output.resolve().parent.is_dir():
        raise BadInput("--output", "", output, "a file in a folder that exists", "make the folder first")
    native = engine_platform()
    wanted = [known_platform(platform) for platform in dict.fromkeys(platforms)] or [native]
    bakery = Bakery.open(wanted, progress, exported=bool(push or output))
    anew = ["--no-cache"] if fresh else []
    bakery.bake(TARGETS, ["--set", "*.output=type=cacheonly", *anew], progress)
    if push:
        names = {target: f"{push}/{target}:{__version__}" for target in TARGETS}
        options = _set("tags", names) + _set("output", dict.fromkeys(TARGETS, "type=registry"))
        try:
            bakery.bake(TARGETS, [*options, *_attested(bakery, progress)], progress)
        finally:
            if bakery.own:  # which names an image here before it pushes it, refused or not
                run(["docker", "image", "rm", *names.values()], check=False)
        return list(names.values())
    if output:
        return _archives(bakery, output, progress)
    tags = [(target, tag) for target in TARGETS for tag in _local_tags(target, wanted, native)]
    options = [option for target, tag in tags for option in _set("tags", {target: tag})]
    bakery.bake(TARGETS, [*UNATTESTED, *options], progress)
    return [tag for _, tag in tags]


def engine_platform() -> str:
    """The platform the engine runs natively, such as `linux/amd64`."""
    try:
        return run(["docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).stdout.strip()
    except CommandFailed as failed:
        raise EngineUnavailable(f"{reason(failed.output)}; run scripts/setup") from failed


def known_platform(platform: str) -> str:
    """Return a platform that Debian has packages for; raises `BadInput` for any other."""
    if platform not in DEBIAN_ARCHITECTURES:
        raise BadInput("--platform", "", platform, f"one of {', '.join(DEBIAN_ARCHITECTURES)}", "correct the platform")
    return platform


def fingerprint(folders: Sequence[Path], root: Path) -> str:
    """12 hexadecimal digits over the version and all files of some folders: names, modes, contents."""
    digest = hashlib.sha256(f"{__version__} {SUITE}".encode())
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            executable = os.access(path, os.X_OK)
            digest.update(f"\0{path.relative_to(root)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _engine_has(tag: str) -> bool:
    try:
        run(["docker", "image", "inspect", "--format", "{{.Id}}", tag])
    except CommandFailed as failed:
        if "no such image" in failed.output.lower():
            return False
        raise EngineUnavailable(f"{reason(failed.output)}; run scripts/setup") from failed
    return True


def _set(key: str, values: Mapping[str, str]) -> list[str]:
    """Options of `docker buildx bake` that give each target its own value of a key."""
    return [option for target, value in values.items() for option in ("--set", f"{target}.{key}={value}")]


def _local_tags(target: str, platforms: Sequence[str], native: str) -> list[str]:
    """The names under which `ensure` finds what was built, and the version for people."""
    found = [node_image(target, None if platform == native else platform) for platform in platforms]
    return [*found, f"{OURS}{target}:{__version__}"]


def _attested(bakery: Bakery, progress: Progress) -> list[str]:
    """Options that attach a list of packages: our own generator where the builder sees the engine's images."""
    generator = f",generator={ensure('sbom', progress)}" if bakery.own else ""
    return ["--provenance", "mode=min", "--set", f"*.attest=type=sbom{generator}"]


def _archives(bakery: Bakery, output: Path, progress: Progress) -> Sequence[str]:
    """Write an OCI archive for each target, all of them or none."""
    try:
        with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".unfinished-") as scratch:
            written = {target: Path(scratch).resolve() / target for target in TARGETS}
            # Quoted as a CSV field: a path may hold a comma.
            destinations = {t: f'type=oci,"dest={path}"' for t, path in written.items()}
            names = {target: f"{OURS}{target}:{__version__}" for target in TARGETS}
            options = _set("tags", names) + _set("output", destinations)
            bakery.bake(TARGETS, [*options, *_attested(bakery, progress)], progress)
            files = {target: output.with_name(f"{output.stem}-{target}{output.suffix}") for target in TARGETS}
            for target, path in written.items():
                path.replace(files[target])
    except OSError as refused:
        raise BadInput("--output", "", output, "a file that can be written", str(refused)) from refused
    return [str(file) for file in files.values()]


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
    """Make the images named, and print their tags."""
    try:
        for target in targets or ("node",):
            print(ensure(target, lambda line: print(line, file=sys.stderr, flush=True)))  # noqa: T201 (a command)
    except TunnelbedError as error:
        print(f"tunnelbed: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
