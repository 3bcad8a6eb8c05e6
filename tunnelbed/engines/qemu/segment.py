"""A network of VMs: one L2 segment, whose interfaces are sockets and whose frames no kernel sees.

A frame to an interface's own MAC goes to that interface, any other to all others: as MACVLAN does it, which
knows its MACs and learns none. A frame that an interface does not take in time is lost, as on a cable.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field

# Frames that wait for a busy machine, in bytes; the kernel takes no more than net.core.wmem_max.
BUFFER = 1 << 20
LARGEST_FRAME = 1 << 17
# Frames taken from one interface before others have their turn.
TURN = 64


@dataclass
class Segment:
    """One network: its interfaces by their MACs."""

    nics: dict[bytes, socket.socket] = field(default_factory=dict)

    def join(self, mac: str) -> socket.socket:
        """A new interface, in place of an earlier one of this MAC; returns the VM's end of it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        ours.setblocking(False)  # noqa: FBT003 # the socket module's own signature
        self.leave(mac)
        self.nics[_binary(mac)] = ours
        return theirs

    def nic(self, mac: str) -> socket.socket:
        """Our end of an interface."""
        return self.nics[_binary(mac)]

    def leave(self, mac: str) -> None:
        """Remove this interface."""
        if gone := self.nics.pop(_binary(mac), None):
            gone.close()

    def carry(self, nic: socket.socket) -> bool:
        """Forward what an interface has sent; False if its VM has gone."""
        for _ in range(TURN):
            try:
                frame = nic.recv(LARGEST_FRAME)
            except BlockingIOError:
                return True
            except OSError:
                return False
            known = self.nics.get(frame[:6])
            for other in (known,) if known else self.nics.values():
                if other is not nic:
                    with contextlib.suppress(OSError):
                        other.send(frame)
        return True


def _binary(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
