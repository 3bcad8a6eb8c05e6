"""What a VPN is to the rest of the library: two protocols, and the values that go to and fro.

A `Vpn` is found by a node's own files (`tunnelbed.vpn.of`). Its `Daemon` is asked through the node:
`bed.node("gateway-a").daemon.tunnels()`. Whoever adds a VPN writes a folder beside `strongswan/` and a line in it;
tests/contracts/test_vpn.py says what it lacks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from tunnelbed.engines import Needs
from tunnelbed.engines.agents import NodeSocket
from tunnelbed.host.shell import Completed
from tunnelbed.observe.carried import Carried, Classify, Kind
from tunnelbed.topology.model import Address

if TYPE_CHECKING:
    from scapy.packet import Packet  # takes half a second to import, and no `up` or `status` needs it

__all__ = [
    "Again",
    "Carried",
    "Child",
    "ChildTiming",
    "Classify",
    "Connection",
    "Daemon",
    "Drop",
    "Feature",
    "Host",
    "Keys",
    "Kind",
    "Listed",
    "Needs",
    "Refusal",
    "Setup",
    "Since",
    "Timing",
    "Tunnel",
    "Vpn",
]


class Feature(Enum):
    """What not every VPN has; a sentence about it is refused where it is not."""

    CERTIFICATES = "certificates"
    PROPOSALS = "proposals"
    REKEY = "keys that are changed on request"
    LENT_ADDRESSES = "addresses that gateways lend"
    KEYLOG = "a log of the keys"
    TIMERS = "timers that its daemon lists"
    IMPOSTOR = "a rogue gateway"
    CLOCK = "clocks that can run fast"


class Refusal(Enum):
    """Why a gateway refuses its peer, as a sentence says it."""

    REVOKED = "certificate revoked"
    UNCHECKED = "certificate not known to be good"
    EXPIRED = "certificate expired"
    UNKNOWN_AUTHORITY = "certificate of an unknown authority"
    UNKNOWN_IDENTITY = "identity unknown"
    NO_COMMON_PROPOSAL = "no common proposal"


class Drop(Enum):
    """Why a gateway drops a packet of tunnel data, as a sentence says it."""

    REPLAY = "a replay"
    FORGERY = "a forgery"
    NO_TUNNEL = "of no tunnel"


@dataclass(frozen=True)
class Child:
    """What a tunnel carries: traffic between these selectors, with a number on the wire for each direction.

    `state` is the daemon's own word. `replaced` is one whose successor is being made or is there. `unseen` is one whose
    ends encrypt their own packets where no capture sees them in clear (IPsec's transport mode: RFC 4303, 3.1.1, done by
    the kernel). `details` are what only this VPN has, such as the proposal.
    """

    name: str
    id: str
    state: str
    carries: bool
    local: tuple[str, ...]
    remote: tuple[str, ...]
    number_in: int
    number_out: int
    replaced: bool = False
    unseen: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def proposal(self) -> str:
        """The algorithms agreed on, in the daemon's words; empty where there are none."""
        return self.details.get("proposal", "")


@dataclass(frozen=True)
class Tunnel:
    """A tunnel as one of its ends lists it.

    `peer` is the other end's address, or that of a NAT before it (`behind_nat`); None while nobody answered. Identities
    are as the daemon writes them. `busy`: this end awaits an answer of its peer, to a change of keys for instance.
    """

    name: str
    id: str
    state: str
    carries: bool
    own: Address | None
    peer: Address | None
    own_port: int
    peer_port: int
    own_identity: str
    peer_identity: str
    behind_nat: bool
    children: tuple[Child, ...]
    details: Mapping[str, str] = field(default_factory=dict)
    busy: bool = False

    @property
    def proposal(self) -> str:
        """The algorithms of the handshake, in the daemon's words; empty where there are none."""
        return self.details.get("proposal", "")

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of its data on the wire, both ways."""
        return frozenset(number for child in self.children for number in (child.number_in, child.number_out) if number)


@dataclass(frozen=True)
class Connection:
    """A connection that a daemon has loaded: its peer, and the traffic selectors of its children."""

    name: str
    local: tuple[str, ...]
    remote: tuple[str, ...]
    children: tuple[str, ...]
    # As whom it shows itself there.
    identities: tuple[str, ...] = ()
    selectors: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


class Again(Enum):
    """When an end sets a tunnel up again that its peer ended or left, as a sentence says it."""

    ON_DEMAND = "on demand"
    AT_ONCE = "at once"
    NEVER = "never"


@dataclass(frozen=True)
class ChildTiming:
    """Of one child: seconds until its keys are changed (0: never), and when it is set up again."""

    name: str
    rekeyed: int
    after_dead_peer: Again
    after_close: Again


@dataclass(frozen=True)
class Timing:
    """Of one connection, in seconds: until its keys are changed, and until a silent peer is asked; 0 is never."""

    name: str
    rekeyed: int
    asked: int
    children: tuple[ChildTiming, ...]


@dataclass(frozen=True)
class Listed:
    """What the daemons of a testbed list or listed: the numbers of data on the wire, and their own UDP ports."""

    numbers: Collection[int] = frozenset()
    ports: Collection[int] = frozenset()


@dataclass(frozen=True)
class Setup:
    """What a node's files ask for, known before its daemon runs.

    Its peers as it names them (addresses, names, ranges), whether it starts a tunnel by itself, and whether it is lent
    addresses.
    """

    peers: tuple[str, ...] = ()
    starts: bool = False
    borrows: bool = False


@dataclass(frozen=True)
class Since:
    """A moment in a daemon's life: where its log ended, and what it had counted by then."""

    log: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class Keys(Protocol):
    """Keys that daemons agreed on."""

    def __add__(self, other: Self) -> Self:
        """Those of both, each once."""

    def __str__(self) -> str:
        """How many there are of what: `4 keys of IKE and 8 of ESP`."""

    def write(self, folder: Path) -> Sequence[str]:
        """Make a folder of Wireshark's settings in which it has them; the algorithms that it has no name for."""


class Host(Protocol):
    """A node as a daemon reaches it; `tunnelbed.testbed.node_handle` is one."""

    @property
    def name(self) -> str:
        """Its name in the stack."""

    def run(self, command: Sequence[str], *, timeout: float = ..., check: bool = False) -> Completed:
        """Run a command to its end; with `check`, a bad status raises `CommandFailed`."""

    def write(self, path: str, text: str) -> None:
        """Write a file. Raises `CommandFailed`."""

    def connect(self, path: str) -> NodeSocket:
        """Open one of its UNIX stream sockets. Raises `CommandFailed`."""

    def log(self, since: str = "") -> str:
        """What it has logged, or what since a mark of the engine's."""

    def mark(self) -> str:
        """Where its log ends now."""


class Daemon(Protocol):
    """The VPN's daemon on one node. Whatever is asked of one that does not answer raises `NodeFailed`."""

    def awaited(self, seconds: float = ...) -> None:
        """Return when it answers and has loaded what it shall: at once, unless it is just starting."""

    def answers(self) -> bool:
        """Whether there is one, and it has connections."""

    def version(self) -> str:
        """Which program it is: `strongSwan 6.0.1`."""

    def plane(self) -> str:
        """Who carries its data: `kernel`, `user`, or empty while that is not decided."""

    def tunnels(self) -> tuple[Tunnel, ...]:
        """Its tunnels now, oldest first, half-open ones too."""

    def connections(self) -> tuple[Connection, ...]:
        """What it has loaded."""

    def timing(self) -> Sequence[Timing]:
        """When each connection that is loaded changes keys, asks for signs of life, and sets tunnels up again."""

    def start(self, connection: Connection, child: str, seconds: float | None = None) -> None:
        """Initiate a tunnel with the peer, and wait for success or failure; the result is not judged here."""

    def end(self, tunnel: Tunnel, *, politely: bool = False) -> None:
        """End a tunnel at once; `politely`: the peer is asked first, as the protocol has it."""

    def unload(self) -> None:
        """Forget every connection; tunnels that are up stay."""

    def load(self) -> None:
        """Load its connections from its files anew, start actions and what is `overlaid` included."""

    def load_credentials(self) -> None:
        """Unload all credentials, and read them from its files again."""

    def forget_peers(self) -> None:
        """Forget what was seen of peers' certificates."""

    def overlaid(self, own: str = "", of_child: str = "") -> contextlib.AbstractContextManager[None]:
        """Let other settings hold in each connection, and each child of one, while the body runs; in its own words."""

    def offering(self, layer: str, proposal: str) -> contextlib.AbstractContextManager[None]:
        """Let it propose this for IKE or ESP and nothing else while the body runs."""

    def claiming(self, identity: str) -> contextlib.AbstractContextManager[None]:
        """Let it claim another identity while the body runs."""

    def impostor(
        self, host: Host, face: Address, files: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Daemon]:
        """A daemon on another node that poses as this one, at that address and with these credentials, by path."""

    def rekey(self, tunnel: Tunnel, layer: str) -> None:
        """Change the keys of a tunnel: of its handshake (`IKE`) or of its only child's data (`ESP`)."""

    def pass_time(self, seconds: float, pace: float) -> None:
        """Return when so many seconds have passed for it, up to `pace` times as fast as they pass for others.

        Only while it waits: what it does, and what its peers answer, takes as long as ever.
        """

    def ahead(self) -> float:
        """How many seconds its clock is ahead of the machine's."""

    def set_right(self) -> None:
        """Let it start again by the machine's clock, and return when it has loaded what it shall."""

    def renewals(self, layer: str, since: Since) -> int:
        """How often new keys of IKE or of ESP have replaced others since a moment."""

    def authentications(self, since: Since) -> int:
        """How many tunnels were set up since a moment, each end authenticated: for the first time, or once more."""

    def mark(self) -> Since:
        """This moment, for `refused` and the others."""

    def refused(self, why: Refusal, since: Since) -> bool:
        """Whether it has refused a peer for that reason."""

    def notified(self, notify: str, since: Since) -> bool:
        """Whether a peer has sent it that notify, in the protocol's word."""

    def dropped(self, why: Drop, since: Since) -> int:
        """How many packets of data it has dropped for that reason; see `telling_drops`."""

    def telling_drops(self) -> contextlib.AbstractContextManager[None]:
        """Let every packet that is dropped while the body runs be logged or counted."""

    def complaint(self) -> str:
        """The last line of its log with the reason why a tunnel could not be set up; empty if there is none."""

    def established(self) -> Sequence[float]:
        """When each child was established for the first time, in Unix time of the node's own clock."""

    def keylog(self) -> contextlib.AbstractContextManager[None]:
        """Let it log the keys that it agrees on while the body runs; afterwards the log is gone."""

    def keys(self) -> Keys:
        """The keys agreed on since its `keylog` began."""


class Vpn(Protocol):
    """One kind of VPN: what its nodes need, and how its packets and daemons are known.

    A node that has one of `files` runs it: a name in the node's own folder below configs/, or a path at which the stack
    mounts it; the first that is there counts. `data` and `handshake` are what its packets are called.
    `devices` are interfaces that it may make on a node. `state` is a shell script that prints what of it outlives a
    test on a node, sections headed `== word`; it runs on every node and must fail on none. `listed` is another such
    script, for people: what its daemon and the kernel list of tunnels, in sections headed `== words`. It ends in
    seconds though the daemon is silent, and prints no key: keys are never asked for.
    """

    name: str
    files: tuple[str, ...]
    features: frozenset[Feature]
    data: str
    handshake: str
    devices: tuple[str, ...]
    state: str
    listed: str

    def setup(self, file: Path) -> Setup:
        """What a node's file (one of `files`) asks for."""

    def needs(self, keys: Path | None, data_plane: str) -> Needs:
        """What a node must have to run it; `keys` is the folder with its keys, if it has any."""

    def classify(self, packet: Packet, listed: Listed) -> Carried | None:
        """Whether a packet is data of a tunnel that is listed, or a handshake or keepalive of this protocol."""

    def proposal(self, words: str) -> str:
        """A proposal as the daemon reports it; `BadInput` names the words there are."""

    def words(self, proposal: str) -> str:
        """A reported proposal in the words that a sentence has for it; empty where one is unknown."""

    def agrees(self, found: str, wanted: str, *, first_child: bool = False) -> bool:
        """Whether a reported proposal is the one wanted; the first child has no key exchange of its own."""

    def on(self, host: Host) -> Daemon:
        """Its daemon on a node."""
