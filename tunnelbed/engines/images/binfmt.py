"""Running programs of another processor: what a builder can run, and registering QEMU where it cannot.

The kernel hands a foreign program to the emulator that binfmt_misc names for it. Debian's packages bring QEMU and
the names; `update-binfmts` tells the kernel, with systemd or without. An emulator registered so is opened at once
and works inside containers too.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable

from tunnelbed.errors import CommandFailed, ImageFailed
from tunnelbed.host.shell import run

PACKAGES = ("qemu-user-static", "binfmt-support")
REGISTER = f"apt-get install {' '.join(PACKAGES)} && update-binfmts --enable"


def runnable(inspected: str) -> frozenset[str]:
    """The platforms of a builder, from the output of `docker buildx inspect`."""
    found = re.search(r"^Platforms:\s*(.*)$", inspected, re.MULTILINE)
    return frozenset(name.rstrip("*") for name in re.split(r",\s*", found[1])) if found else frozenset()


def ensure(platform: str, builder: str, progress: Callable[[str], None]) -> None:
    """Return when a builder can run a platform's programs, registering an emulator first if it must.

    Raises `ImageFailed`, with the line to run, where this user may not, or where it did not help.
    """
    if platform in _platforms(builder):
        return
    if shutil.which("apt-get") is None or (os.geteuid() != 0 and shutil.which("sudo") is None):
        raise ImageFailed(
            f"this machine cannot run programs for {platform}; register an emulator: as root, `{REGISTER}`"
        )
    progress(f"this machine cannot run programs for {platform} yet: registering QEMU ({REGISTER})")
    root = [] if os.geteuid() == 0 else ["sudo"]
    install = ["apt-get", "install", "--yes", "--quiet", "--quiet", "--no-install-recommends", *PACKAGES]
    try:
        run([*root, "env", "DEBIAN_FRONTEND=noninteractive", *install])
        run([*root, "update-binfmts", "--enable"])
    except CommandFailed as failed:
        raise ImageFailed(f"no emulator for {platform} could be registered: {failed.output.strip()}") from failed
    if platform not in _platforms(builder):
        raise ImageFailed(
            f"QEMU is registered, but {builder} still cannot run programs for {platform}; build elsewhere"
        )


def _platforms(builder: str) -> frozenset[str]:
    return runnable(run(["docker", "buildx", "inspect", builder]).stdout)
