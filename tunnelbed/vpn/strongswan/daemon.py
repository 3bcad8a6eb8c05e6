"""charon on a node: asked by vici, and for what only its own tools do (reading its files), by swanctl on the node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from tunnelbed.errors import BadInput, DeadlinePassed, NodeFailed
from tunnelbed.host import waiting
from tunnelbed.topology.model import Address
from tunnelbed.vpn import daemon_clock
from tunnelbed.vpn.api import Connection, Daemon, Drop, Host, Keys, Refusal, Since, Timing, Tunnel
from tunnelbed.vpn.strongswan import complaints, impostor, keylog, sas, timing
from tunnelbed.vpn.strongswan.messages import AUTHENTICATED, COUNTERS, DROPPED, ESTABLISHED, NOTIFIED, REFUSED, RENEWED
from tunnelbed.vpn.strongswan.vici import Charon, NotListening, text, texts

# A node's own connections and settings: links and files of ours that lead to all that the node has, wherever that is
# (scripts/node/vpn). Beside the connections, since swanctl looks there for certificates too, stand those laid over them
# for a while, each over the one before.
FOLDER = "/run/tunnelbed/swanctl"
OWN = f"{FOLDER}/swanctl.conf"
OVERLAY = "overlay-{}.conf"
SETTINGS = "/run/tunnelbed/strongswan.conf"
# Its own programs find both by these variables.
ENVIRONMENT = {"SWANCTL_DIR": FOLDER, "STRONGSWAN_CONF": SETTINGS}
# charon listens before scripts/node/load-connections has told it what there is.
LOADED = "/run/tunnelbed/loaded"
PLANE = "/run/tunnelbed/data-plane"
AWAKE_SECONDS = 5.0
# Until an attempt to make or to end a tunnel is given up; a peer that is silent is asked again meanwhile.
ATTEMPT_SECONDS, GOODBYE_SECONDS = 25.0, 2.0


class StrongSwan:
    """charon on one node."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._charon = Charon(host)

    def awaited(self, seconds: float = AWAKE_SECONDS) -> None:
        """Return when charon answers a newcomer and has loaded its connections. Raises `NodeFailed`."""

        def ready() -> bool:
            with contextlib.suppress(NotListening):
                return self._charon.greets(seconds) and not self._host.run(["test", "-e", LOADED]).status
            return False

        try:
            waiting.until(ready, seconds, "charon to answer")
        except DeadlinePassed as late:
            raise NodeFailed(self._host.name, "charon does not answer", "see `invoke logs`") from late

    def answers(self) -> bool:
        """Whether there is a charon that has connections."""
        with contextlib.suppress(NotListening):
            return bool(self.connections())
        return False

    def version(self) -> str:
        """`strongSwan 6.0.1`."""
        return f"strongSwan {text(self._charon.ask('version'), 'version')}"

    def plane(self) -> str:
        """Who does ESP, as scripts/node/vpn found out: `kernel` or `user`; empty before that."""
        found = self._host.run(["cat", PLANE]).stdout.strip()
        return found if found in ("kernel", "user") else ""

    def tunnels(self) -> tuple[Tunnel, ...]:
        """The IKE_SAs, half-open ones too, oldest first."""
        return sas.tunnels(self._charon.listed("list-sas", "list-sa"))

    def connections(self) -> tuple[Connection, ...]:
        """The connections that are loaded."""
        return sas.connections(self._charon.listed("list-conns", "list-conn"))

    def timing(self) -> Sequence[Timing]:
        """As it has loaded it."""
        return timing.read(self._charon.listed("list-conns", "list-conn"))

    def start(self, connection: Connection, child: str, seconds: float | None = None) -> None:
        """Initiate a CHILD_SA, and wait until it is there or given up."""
        wait = waiting.stretched(ATTEMPT_SECONDS if seconds is None else seconds)
        self._charon.wait("initiate", {"ike": connection.name, "child": child, "timeout": _milliseconds(wait)})

    def end(self, tunnel: Tunnel, *, politely: bool = False) -> None:
        """Terminate an IKE_SA; one that ended by itself meanwhile is no failure."""
        how = {"timeout": _milliseconds(GOODBYE_SECONDS)} if politely else {"force": "yes"}
        self._charon.wait("terminate", {"ike-id": tunnel.id, **how})

    def unload(self) -> None:
        """Forget every connection, its traps included."""
        for name in texts(self._charon.ask("get-conns"), "conns"):
            self._charon.ask("unload-conn", {"name": name})

    def load(self) -> None:
        """Load swanctl.conf, or the last file that replaces it for a time."""
        self._swanctl("--load-conns", "--file", [OWN, *self._overlays()][-1])

    def load_credentials(self) -> None:
        """Unload all credentials, and read them from their files again."""
        self._swanctl("--load-creds", "--clear", "--noprompt")

    def forget_peers(self) -> None:
        """Forget what was seen of peers' certificates, and of the CRLs fetched for them."""
        self._charon.ask("flush-certs")

    @contextlib.contextmanager
    def overlaid(self, own: str = "", of_child: str = "") -> Iterator[None]:
        """Let other settings of swanctl.conf(5) hold; the innermost of several where they contradict each other."""
        before = self._overlays()
        file = f"{FOLDER}/{OVERLAY.format(len(before) + 1)}"
        self._host.write(file, overlay(self.connections(), own, of_child, [OWN, *before][-1]))
        try:
            self._renew()
            yield
        finally:
            self._host.run(["rm", file], check=True)
            self._renew()

    def offering(self, layer: str, proposal: str) -> contextlib.AbstractContextManager[None]:
        """Propose this for IKE or ESP and nothing else, in the keywords of swanctl.conf(5)."""
        if layer == "IKE":
            return self.overlaid(own=f"proposals = {proposal}")
        return self.overlaid(of_child=f"esp_proposals = {proposal}")

    def claiming(self, identity: str) -> contextlib.AbstractContextManager[None]:
        """Claim another identity."""
        return self.overlaid(own=f'local {{ id = "{identity}" }}')

    @contextlib.contextmanager
    def impostor(self, host: Host, face: Address, files: Mapping[str, str]) -> Iterator[Daemon]:
        """Another charon, in this one's name."""
        found = self.connections()
        conf = impostor.own_conf(self._host)
        laid = overlay(found, f"local_addrs = {face}", impostor.NO_ESP, f"{impostor.HOME}/swanctl.conf")
        with impostor.running(host, {**files, **conf, impostor.CONF: laid}):
            rogue = StrongSwan(host)
            waiting.until(rogue.answers, impostor.START_SECONDS, f"the rogue gateway on {host.name} to listen")
            yield rogue

    def rekey(self, tunnel: Tunnel, layer: str) -> None:
        """Rekey an IKE_SA, or its CHILD_SA."""
        if layer == "IKE":
            asked = {"ike-id": tunnel.id}
        elif len(tunnel.children) == 1:
            asked = {"child-id": tunnel.children[0].id}
        else:
            found = f"{len(tunnel.children)} children"
            raise BadInput(tunnel.name, "", found, "one", "name a gateway with one")
        self._charon.ask("rekey", asked)

    def pass_time(self, seconds: float, pace: float) -> None:
        """By charon's clock. Raises `BadInput` where not charon but the kernel counts the lifetimes of ESP."""
        if self.plane() == "kernel":
            found, advice = "the kernel counts the lifetimes of ESP", "bring the testbed up with --data-plane user"
            raise BadInput("When", self._host.name, found, "charon counts them, whose clock can run fast", advice)
        daemon_clock.pass_time(self._host, seconds, pace)

    def ahead(self) -> float:
        """Of charon's clock."""
        return daemon_clock.ahead(self._host)

    def set_right(self) -> None:
        """Kill charon, which scripts/node/vpn starts again."""
        if self.ahead():
            daemon_clock.set_right(self._host)
            self.awaited()

    def renewals(self, layer: str, since: Since) -> int:
        """By charon's log."""
        return sum(RENEWED[layer].search(line) is not None for line in self._lines(since))

    def authentications(self, since: Since) -> int:
        """By charon's log."""
        return sum(AUTHENTICATED.search(line) is not None for line in self._lines(since))

    def mark(self) -> Since:
        """Where the log ends, and what the kernel has counted of IPsec's errors."""
        return Since(self._host.mark(), self._counted())

    def refused(self, why: Refusal, since: Since) -> bool:
        """By charon's log."""
        return any(REFUSED[why].search(line) for line in self._lines(since))

    def notified(self, notify: str, since: Since) -> bool:
        """By charon's log: a message type of IKE (RFC 7296, 3.10.1)."""
        return any((found := NOTIFIED.search(line)) and found[1] == notify for line in self._lines(since))

    def dropped(self, why: Drop, since: Since) -> int:
        """By the kernel's counters where it does ESP, and else by charon's log."""
        if self.plane() == "kernel":
            counter, counted = COUNTERS[why], self._counted()
            if counter not in counted or counter not in since.counts:
                found = "its kernel does not count the ESP that it drops"
                raise NodeFailed(self._host.name, found, "take one with CONFIG_XFRM_STATISTICS")
            return counted[counter] - since.counts[counter]
        return sum(DROPPED[why].search(line) is not None for line in self._lines(since))

    def telling_drops(self) -> contextlib.AbstractContextManager[None]:
        """What belongs to no tunnel, ESP in user space logs only at a higher level."""
        return self._obeying("charon { filelog { node { esp = 2 } } }")

    def complaint(self) -> str:
        """Why charon could make no tunnel, by its log."""
        return complaints.complaint(self._host.log())

    def established(self) -> Sequence[float]:
        """When each child was established first, read from the log: nothing is asked meanwhile."""
        return list(first_times(self._host.log()).values())

    @contextlib.contextmanager
    def keylog(self) -> Iterator[None]:
        """Log every secret while the body runs; afterwards the log is gone."""
        try:
            with self._obeying(keylog.SETTINGS):
                yield
        finally:
            self._host.run(["rm", "-f", keylog.FILE], check=True)

    def keys(self) -> Keys:
        """What the log of the keys holds."""
        return keylog.keys(self._host.run(["cat", keylog.FILE], check=True).stdout, self.tunnels())

    def _renew(self) -> None:
        """End all tunnels, and load the connections anew."""
        self.unload()
        for tunnel in self.tunnels():
            self.end(tunnel)
        self.load()

    def _swanctl(self, *words: str) -> None:
        self._host.run(["swanctl", *words], check=True)

    def _lines(self, since: Since) -> Sequence[str]:
        return self._host.log(since.log).splitlines()

    def _counted(self) -> dict[str, int]:
        """/proc/net/xfrm_stat: a name and a number a line; empty where the kernel does not count."""
        lines = self._host.run(["cat", "/proc/net/xfrm_stat"]).stdout.splitlines()
        return {words[0]: int(words[1]) for line in lines if len(words := line.split()) == 2}

    def _overlays(self) -> Sequence[str]:
        """The files of settings that are laid over the node's own now, the one that holds last."""
        found = self._host.run(["find", FOLDER, "-maxdepth", "1", "-name", OVERLAY.format("*")], check=True)
        return sorted(found.stdout.split())

    @contextlib.contextmanager
    def _obeying(self, settings: str) -> Iterator[None]:
        """Obey further settings, written as in strongswan.conf(5)."""
        own = self._host.run(["readlink", SETTINGS]).stdout.strip()
        if not own:
            found = "has a configuration that an earlier run changed and did not restore"
            raise NodeFailed(self._host.name, found, "restart it")
        try:
            self._host.write(f"{SETTINGS}.new", f"include {own}\n{settings}\n")
            # The link is replaced, not the file it leads to, and at no moment there is none.
            self._host.run(["mv", "-T", f"{SETTINGS}.new", SETTINGS], check=True)
            self._charon.ask("reload-settings")
            yield
        finally:
            self._host.run(["ln", "-sf", own, SETTINGS], check=True)
            self._charon.ask("reload-settings")


def overlay(found: Sequence[Connection], own: str, of_child: str, file: str) -> str:
    """A swanctl.conf that is another file with other settings: of sections that stand twice, the later one wins."""
    lines = [f"include {file}", "connections {"]
    for connection in found:
        inner = "".join(f"{child} {{\n{of_child}\n}}\n" for child in connection.children)
        lines.append(f"{connection.name} {{\n{own}\nchildren {{\n{inner}}}\n}}")
    return "\n".join([*lines, "}", ""])


def first_times(log: str) -> dict[tuple[str, str], float]:
    """When each child of each connection was first established, in Unix time of the node's own clock, which is UTC."""
    found: dict[tuple[str, str], float] = {}
    for line in ESTABLISHED.finditer(log):
        when = datetime.fromisoformat(line["when"]).replace(tzinfo=UTC).timestamp()
        found.setdefault((line["connection"], line["child"]), when)
    return found


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
