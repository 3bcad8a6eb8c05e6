"""The VPN daemons of one testbed, and the SPIs that they listed, by which packets are classified."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tunnelbed import vpn
from tunnelbed.errors import TunnelbedError
from tunnelbed.observe.carried import Carried
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Daemon, Host, Listed, Tunnel

if TYPE_CHECKING:
    from scapy.packet import Packet

# A number that nobody lists is asked for again after so many seconds: whoever sees a packet of a tunnel that is just
# being made may ask a moment too early.
ASKED_AGAIN = 1.0
ASKED_AT_ONCE = 16


class Numbers(Collection[int]):
    """The numbers that daemons list or listed; for an unknown one they are asked again."""

    def __init__(self, ask: Callable[[], TunnelbedError | None]) -> None:
        self._ask = ask
        self._known: set[int] = set()
        self._unknown: dict[int, float] = {}
        self._lock = threading.Lock()

    def add(self, numbers: Collection[int]) -> None:
        """Take what a daemon lists."""
        with self._lock:
            self._known.update(numbers)

    def __contains__(self, number: object) -> bool:
        """Whether a tunnel has or had this number.

        Raises `NodeFailed` where nobody lists it and a daemon does not answer: it may be that one's.
        """
        if number in self._known or not isinstance(number, int):
            return number in self._known
        now = time.monotonic()
        if now - self._unknown.get(number, now - ASKED_AGAIN) >= ASKED_AGAIN:
            failed = self._ask()
            if number not in self._known:
                if failed:
                    raise failed
                self._unknown[number] = now
        return number in self._known

    def __iter__(self) -> Iterator[int]:
        """Those known by now."""
        return iter(sorted(self._known))

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)


class Daemons:
    """The daemons of a testbed's nodes, each made once; `host` gives a node as its daemon reaches it."""

    def __init__(self, nodes: Sequence[Node], host: Callable[[Node], Host]) -> None:
        self._kinds = {node.name: (node, kind) for node in nodes if (kind := vpn.of(node))}
        self._host = host
        self._made: dict[str, Daemon] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=ASKED_AT_ONCE, thread_name_prefix="daemons")
        self._numbers, self._ports = Numbers(self._look), set[int]()
        self.listed = Listed(self._numbers, self._ports)

    def on(self, node: Node) -> Daemon | None:
        """The daemon of a node, or the one that stands in for it; None where the node runs no VPN."""
        with self._lock:
            if node.name not in self._made and node.name in self._kinds:
                self._made[node.name] = self._kinds[node.name][1].on(self._host(node))
            return self._made.get(node.name)

    @contextlib.contextmanager
    def standing_in(self, node: Node, daemon: Daemon) -> Iterator[None]:
        """A node that runs no VPN of its own has this daemon while the body runs."""
        with self._lock:
            self._made[node.name] = daemon
        try:
            yield
        finally:
            with self._lock:
                del self._made[node.name]

    def tunnels(self, node: Node) -> tuple[Tunnel, ...]:
        """A node's tunnels now, whose numbers are remembered; none where it runs no VPN."""
        daemon = self.on(node)
        found = daemon.tunnels() if daemon else ()
        self.remember(found)
        return found

    def remember(self, found: Sequence[Tunnel]) -> None:
        """Remember the numbers of tunnels that a daemon lists, and its ports."""
        self._numbers.add([number for tunnel in found for number in tunnel.numbers])
        with self._lock:
            self._ports.update(tunnel.own_port for tunnel in found if tunnel.own_port)

    def snapshot(self) -> Mapping[str, tuple[Tunnel, ...]]:
        """The tunnels of every gateway now, by its name. Raises `NodeFailed` where a daemon does not answer."""
        nodes = [node for node, _ in self._kinds.values()]
        return dict(zip(self._kinds, self._pool.map(self.tunnels, nodes), strict=True))

    def classify(self, packet: Packet) -> Carried | None:
        """What a packet is to the VPNs of this scenario; None: not theirs."""
        kinds = dict.fromkeys(kind for _, kind in self._kinds.values())
        return next((found for kind in kinds if (found := kind.classify(packet, self.listed))), None)

    def close(self) -> None:
        """Ask no daemon any more."""
        self._pool.shutdown()

    def _look(self) -> TunnelbedError | None:
        """Ask every daemon for its tunnels; the error of the first one that does not answer."""

        def look(node: Node) -> TunnelbedError | None:
            try:
                self.tunnels(node)
            except TunnelbedError as failed:
                return failed
            return None

        found = list(self._pool.map(look, [node for node, _ in self._kinds.values()]))
        return next((failed for failed in found if failed), None)
