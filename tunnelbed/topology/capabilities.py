"""What a process may ask of its kernel (capabilities(7)), and how much of it a stack gives a node."""

from __future__ import annotations

import re

from tunnelbed.topology.model import Node

# linux/capability.h, in the order of their bits.
# fmt: off
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)
# fmt: on
# What Docker gives where a stack drops nothing (Docker documentation, "Runtime privilege and Linux capabilities").
DEFAULT = frozenset(
    {
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
        *("NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"),
    }
)


def given(node: Node) -> frozenset[str]:
    """The capabilities that a stack gives a node which is not privileged."""
    added = {name.removeprefix("CAP_") for name in node.capabilities}
    dropped = {name.removeprefix("CAP_") for name in node.dropped}
    kept = frozenset() if "ALL" in dropped else DEFAULT - dropped
    return frozenset(NAMES) if "ALL" in added else kept | added


def held(status: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a process may do now, and what it can ever get: CapEff and CapBnd of its /proc/PID/status (proc(5))."""
    found = dict(re.findall(r"^(Cap\w+):\s+(\w+)", status, re.MULTILINE))
    return named(found["CapEff"]), named(found["CapBnd"])


def named(mask: str) -> frozenset[str]:
    """The capabilities of a mask in hexadecimal; a bit that is newer than the names here by its number."""
    bits = int(mask, 16)
    numbers = [number for number in range(bits.bit_length()) if bits >> number & 1]
    return frozenset(NAMES[number] if number < len(NAMES) else str(number) for number in numbers)
