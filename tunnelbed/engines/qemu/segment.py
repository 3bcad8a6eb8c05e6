"""A network among machines: one L2 segment, whose feet are sockets and whose frames no kernel sees.

A frame to a foot's own MAC goes to that foot, any other to all feet but the one it came from: as MACVLAN does it, which
knows its MACs and learns none. What a foot does not take in time is lost, as on a cable.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field

# Frames that wait for a busy machine, in bytes; the kernel takes no more than net.core.wmem_max.
BUFFER = 1 << 20
LARGEST_FRAME = 1 << 17
# Frames taken from one foot before others have their turn.
TURN = 64


@dataclass
class Segment:
    """One network: its feet by their MACs."""

    feet: dict[bytes, socket.socket] = field(default_factory=dict)

    def join(self, mac: str) -> socket.socket:
        """A new foot, in place of an earlier one of this MAC; the end for the machine is returned."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        ours.setblocking(False)  # noqa: FBT003 # the socket module's own signature
        self.leave(mac)
        self.feet[_binary(mac)] = ours
        return theirs

    def foot(self, mac: str) -> socket.socket:
        """Our end of a foot."""
        return self.feet[_binary(mac)]

    def leave(self, mac: str) -> None:
        """This foot is there no more."""
        if gone := self.feet.pop(_binary(mac), None):
            gone.close()

    def carry(self, foot: socket.socket) -> bool:
        """Take what a foot has sent to where it belongs; False where its machine has gone."""
        for _ in range(TURN):
            try:
                frame = foot.recv(LARGEST_FRAME)
            except BlockingIOError:
                return True
            except OSError:
                return False
            known = self.feet.get(frame[:6])
            for other in (known,) if known else self.feet.values():
                if other is not foot:
                    with contextlib.suppress(OSError):
                        other.send(frame)
        return True


def _binary(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
