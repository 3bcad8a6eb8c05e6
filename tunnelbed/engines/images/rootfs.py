"""A base image's root file system, made from Debian's packages where no registry has one.

`mmdebstrap` installs the essential packages and apt into a tar file, one for each architecture, kept below the
checkout's `.cache/`. The image's Dockerfile adds that file where it would otherwise name an official image.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tunnelbed.errors import CommandFailed, ImageFailed
from tunnelbed.host.shell import run

SUITE = "trixie"
# The suite's release, 2025-08-09, in seconds since 1970: no file in a base is later, so that the same packages make
# the same bytes in every checkout and at every commit, and the builder's cache serves them all.
RELEASED = "1754697600"
MIRROR_VARIABLE = "TUNNELBED_MIRROR"

# Debian's name for each platform it releases packages for.
DEBIAN_ARCHITECTURES = {
    "linux/386": "i386",
    "linux/amd64": "amd64",
    "linux/arm/v7": "armhf",
    "linux/arm64": "arm64",
    "linux/ppc64le": "ppc64el",
    "linux/riscv64": "riscv64",
    "linux/s390x": "s390x",
}

# Fields of apt's own view of its sources, apt-get(8) "indextargets".
_TARGETS = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


def sources(targets: str, mirror: str | None = None) -> list[str]:
    """The lines of sources.list for `SUITE`.

    A `mirror` (an address, perhaps of a dated snapshot) is used as the only source. Otherwise the Debian archives
    that this machine's apt uses, `targets` in the form of `_TARGETS`, serve for `SUITE` too: the same mirror, with
    its updates and security suites. An empty list leaves the choice to mmdebstrap.
    """
    if mirror:
        return [f"deb {mirror} {SUITE} main"]
    lines: dict[str, None] = {}
    for target in targets.splitlines():
        origin, address, release, component = target.split("|")
        if origin == "Debian" and component == "main":
            suffix = re.sub(r"^[a-z]+", "", release)  # bookworm-security -> -security
            if suffix in ("", "-updates", "-security"):
                lines[f"deb {address} {SUITE}{suffix} main"] = None
    return list(lines)


def rootfs_folder(cache: Path, lines: Sequence[str]) -> Path:
    """The folder for what is made from these sources."""
    return cache / hashlib.sha256("\n".join([SUITE, RELEASED, *lines]).encode()).hexdigest()[:12]


def sources_here() -> list[str]:
    """`sources` as this machine has them, or the mirror that TUNNELBED_MIRROR names."""
    return sources(_apt_targets(), os.environ.get(MIRROR_VARIABLE))


def bootstrap(platform: str, cache: Path, progress: Callable[[str], None]) -> Path:
    """Make the root file system of a platform, unless it is there, and return the folder it is in.

    In the folder, one for each set of sources, the file is named for the Dockerfile's TARGETARCH. Takes about 20 s
    natively and three times that under emulation. Raises `ImageFailed`, and leaves nothing behind, when it cannot.
    """
    lines = sources_here()
    folder = rootfs_folder(cache, lines)
    made = folder / f"rootfs-{platform.split('/')[1]}.tar"
    if made.exists():
        return folder
    if shutil.which("mmdebstrap") is None:
        raise ImageFailed(
            "no registry answers and mmdebstrap is not installed; run scripts/setup, or `apt-get install mmdebstrap`"
        )
    progress(f"  bootstrapping {platform} from {', '.join(lines) or 'the default mirror'}")
    folder.mkdir(parents=True, exist_ok=True)
    # TMPDIR: the tree is unpacked there before it is packed, and a small /tmp is common.
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as scratch:
        unfinished = Path(scratch) / "rootfs.tar"
        command = [
            *_contained(),
            "mmdebstrap",
            "--variant=apt",
            "--skip=check/qemu",  # who calls has seen to the emulator
            f"--architectures={DEBIAN_ARCHITECTURES[platform]}",
            *_helpers(lines),
            SUITE,
            str(unfinished),
            *lines,
        ]
        try:
            run(command, env={"SOURCE_DATE_EPOCH": RELEASED, "TMPDIR": scratch})
        except CommandFailed as failed:
            raise ImageFailed(f"no base for {platform} could be bootstrapped: {reason(failed.output)}") from failed
        unfinished.rename(made)
    return folder


def _contained() -> list[str]:
    """As root, mmdebstrap mounts /proc and /sys below its tree; killed, it would leave them there.

    In namespaces of its own they end with it. Without root it makes such namespaces itself.
    """
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"] if os.geteuid() == 0 else []


def _apt_targets() -> str:
    """What this machine's apt uses, empty where there is no apt."""
    try:
        return run(["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"]).stdout
    except CommandFailed:
        return ""


def _helpers(lines: Iterable[str]) -> list[str]:
    """Options for what the sources themselves need: certificates, where an address says https."""
    return ["--include=ca-certificates"] if any("https:" in line for line in lines) else []


def reason(output: str) -> str:
    """One line out of the many of a failed build: the cause a person can remove, or else the last error."""
    known = {
        r"no space left on device": "no space is left on the disk; `docker system df` shows what images take",
        r"failed to push.*(?:unauthorized|denied|forbidden|no basic auth|authorization failed)": (
            "the registry refuses the push; `docker login` there, or push elsewhere"
        ),
        r"failed to push": "the registry does not take the push; see that it is up and that the name is right",
        r"could not resolve|failure resolving|could not connect|unable to connect|connection (?:refused|timed out)|"
        r"failed to fetch": f"the package mirror does not answer; check the network, or name one in {MIRROR_VARIABLE}",
        r"exec format error": "no emulator runs that architecture; see docs/images.md",
        r"operation not permitted|must be root|newuidmap": "it needs root; run it with sudo",
    }
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for pattern, cause in known.items():
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return f"{cause} ({line})"
    errors = [line for line in lines if re.match(r"e:|error", line, re.IGNORECASE)]
    last = (errors or lines or ["it printed nothing"])[-1]
    return re.sub(r"^(?:E|ERROR|Error): ", "", last) or "it printed nothing"
