"""What a node may ask of its kernel: capabilities(7), by name, and what a stack gives."""

from __future__ import annotations

from tunnelbed.model import Node

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
DEFAULT = {
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
    *("NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"),
}


def given(node: Node) -> set[str]:
    """The capabilities that a stack gives a node which is not privileged."""
    added = {name.removeprefix("CAP_") for name in node.capabilities}
    dropped = {name.removeprefix("CAP_") for name in node.dropped}
    kept = set() if "ALL" in dropped else DEFAULT - dropped
    return set(NAMES) if "ALL" in added else kept | added


def named(mask: str) -> set[str]:
    """The capabilities of a mask in hexadecimal, as /proc/PID/status has it; a bit without a name by its number."""
    bits = int(mask, 16)
    numbers = [number for number in range(bits.bit_length()) if bits >> number & 1]
    return {NAMES[number] if number < len(NAMES) else str(number) for number in numbers}
