"""charon on a node, told what to do through swanctl: load its files anew, say more, obey other settings for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tunnelbed import waiting
from tunnelbed.errors import BadInput, DeadlinePassed, NodeFailed
from tunnelbed.shell import Completed
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.strongswan import config, sas
from tunnelbed.vpn.strongswan.sas import Connection, Tunnel

# A node's own settings, and beside them, since swanctl looks there for certificates too, those laid over them for a
# while, each over the one before.
FOLDER = config.SWANCTL_DIR
OWN = f"{FOLDER}/swanctl.conf"
OVERLAY = "overlay-{}.conf"
SETTINGS = config.STRONGSWAN_CONF
# charon listens before `load-connections` has told it what there is.
AWAKE = "swanctl --list-sas --raw >/dev/null 2>&1 && [ -e /run/tunnelbed/loaded ]"
AWAKE_SECONDS = 5.0


def tell(bed: Testbed, node: str, *words: str) -> Completed:
    """Run swanctl on a node: `tell(bed, "gateway-a", "--load-conns")`. Raises `CommandFailed`."""
    return bed.node(node).run(["swanctl", *words], check=True)


def required(bed: Testbed, node: Node) -> None:
    """The node is one that runs strongSwan; raises `BadInput` where it is not."""
    if not bed.is_vpn(node.name):
        listed = ", ".join(gateway.name for gateway in bed.gateways())
        raise BadInput(bed.scenario.name, node.name, "no swanctl.conf", f"one of: {listed}", "name another node")


def awaited(bed: Testbed, node: str, seconds: float = AWAKE_SECONDS) -> None:
    """Return when a node's charon answers and has loaded its connections: at once, unless it is just starting.

    Raises `NodeFailed`. What a silent daemon does not tell proves nothing.
    """

    def answers() -> bool:
        return bed.node(node).run(["sh", "-c", AWAKE]).status == 0

    try:
        waiting.until(answers, seconds, "charon to answer")
    except DeadlinePassed as late:
        raise NodeFailed(node, "charon does not answer", "see `invoke logs`") from late


def load_credentials(bed: Testbed, node: str) -> None:
    """Let charon forget all credentials, and read them from its files anew."""
    tell(bed, node, "--load-creds", "--clear", "--noprompt")


def renew(bed: Testbed, node: str) -> None:
    """End a node's tunnels and load its connections anew, start actions and what `overlaid` says included."""
    tell(bed, node, "--load-conns", "--file", "/dev/null")
    end_tunnels(bed, node)
    tell(bed, node, "--load-conns", "--file", [OWN, *_overlays(bed, node)][-1])


def connections(bed: Testbed, node: str) -> Sequence[Connection]:
    """The connections a node has loaded."""
    return sas.connections(tell(bed, node, "--list-conns", "--raw").stdout)


def forget(bed: Testbed, node: str) -> None:
    """Let charon forget what it has seen of its peers' certificates."""
    tell(bed, node, "--flush-certs")


def tunnels_with(bed: Testbed, gateway: Node, peer: Node) -> Sequence[Tunnel]:
    """A gateway's tunnels with a peer, one at least; raises `BadInput` where there is none."""
    required(bed, gateway)
    if found := bed.tunnels(gateway.name, peer):
        return found
    expected = f"a tunnel with {peer.name}"
    raise BadInput(bed.scenario.name, gateway.name, "none", expected, "let a client ask the server first")


def start_tunnels(bed: Testbed) -> None:
    """Let every connection of every gateway have a tunnel, without waiting for traffic to ask for it.

    After an attempt that failed, ESP in user space asks for no other one for 10 s (libipsec's pending acquire).
    """
    for gateway in bed.gateways():
        awaited(bed, gateway.name)
        up = {tunnel.name for tunnel in bed.tunnels(gateway.name) if tunnel.carries}
        for found in connections(bed, gateway.name):
            for child in found.children if found.name not in up else ():
                # It may just be on its way by itself, which is as good.
                initiate(bed, gateway.name, found, child)


def renew_tunnels(bed: Testbed) -> None:
    """End every tunnel of every gateway, and start them anew."""
    for gateway in bed.gateways():
        end_tunnels(bed, gateway.name)
    start_tunnels(bed)


def initiate(bed: Testbed, node: str, connection: Connection, child: str, *words: str) -> None:
    """Ask the peer for a tunnel; whether it comes is seen by whoever needs it. `words` are for swanctl."""
    command = ["swanctl", "--initiate", "--ike", connection.name, "--child", child, *words]
    bed.node(node).run(command)


def ask_for_tunnel(bed: Testbed, node: Node, target: Node) -> None:
    """A gateway, or a stranger that poses as one, asks a gateway for a tunnel; how that ends is seen elsewhere."""
    if not listens(bed, node.name):
        expected = "one that poses as a gateway"
        advice = f"say `When {node.name} poses as ...` before"
        raise BadInput(bed.scenario.name, node.name, "no stranger there", expected, advice)
    # An attempt of its own that is under way, or half a tunnel, would be taken for the answer.
    end_tunnels(bed, node.name)
    theirs = {str(address) for address in target.addresses}
    for found in connections(bed, node.name):
        if theirs.intersection(found.remote):
            initiate(bed, node.name, found, found.children[0], "--timeout", "1")
            return
    raise BadInput(bed.scenario.name, target.name, "no connection with it", "a peer of the gateway", "name another")


def listens(bed: Testbed, node: str) -> bool:
    """Whether there is a charon that has connections."""
    return "list-conn event" in bed.node(node).run(["swanctl", "--list-conns", "--raw"]).stdout


def end_tunnels(bed: Testbed, node: str) -> None:
    """End every tunnel of a node at once, without waiting for the peer; what starts one on demand stays."""
    for tunnel in bed.tunnels(node):
        # One that ended by itself meanwhile is no failure.
        bed.node(node).run(["swanctl", "--terminate", "--ike-id", str(tunnel.unique), "--force"])


@contextlib.contextmanager
def overlaid(bed: Testbed, node: str, of_connection: str = "", of_child: str = "") -> Iterator[None]:
    """Let other settings hold in each of a node's connections, and in each child of one, while the body runs.

    The innermost of several holds where they contradict each other.

    Written as in swanctl.conf: `overlaid(bed, "gateway-a", of_child="esp_proposals = aes128-sha256")`.
    """
    before = _overlays(bed, node)
    file = f"{FOLDER}/{OVERLAY.format(len(before) + 1)}"
    text = overlay(connections(bed, node), of_connection, of_child, [OWN, *before][-1])
    bed.node(node).write(file, text)
    try:
        renew(bed, node)
        yield
    finally:
        bed.node(node).run(["rm", file], check=True)
        renew(bed, node)


def _overlays(bed: Testbed, node: str) -> Sequence[str]:
    """The files of settings that are laid over a node's own now, the one that holds last."""
    found = bed.node(node).run(["find", FOLDER, "-maxdepth", "1", "-name", OVERLAY.format("*")], check=True)
    return sorted(found.stdout.split())


def overlay(found: Sequence[Connection], of_connection: str, of_child: str, own: str = OWN) -> str:
    """A swanctl.conf that is `own` with other settings: of sections that stand twice, the later one wins."""
    lines = [f"include {own}", "connections {"]
    for connection in found:
        inner = "".join(f"{child} {{\n{of_child}\n}}\n" for child in connection.children)
        lines.append(f"{connection.name} {{\n{of_connection}\nchildren {{\n{inner}}}\n}}")
    return "\n".join([*lines, "}", ""])


@contextlib.contextmanager
def obeying(bed: Testbed, node: str, settings: str) -> Iterator[None]:
    """Let charon obey further settings, written as in strongswan.conf(5), while the body runs."""
    agent = bed.node(node)
    own = agent.run(["readlink", SETTINGS]).stdout.strip()
    if not own:
        raise NodeFailed(node, "has settings that somebody laid over its own, and did not take back", "restart it")
    try:
        agent.write(f"{SETTINGS}.new", f"include {own}\n{settings}\n")
        # The link is replaced, not the file it leads to, and at no moment there is none.
        agent.run(["mv", "-T", f"{SETTINGS}.new", SETTINGS], check=True)
        tell(bed, node, "--reload-settings")
        yield
    finally:
        agent.run(["ln", "-sf", own, SETTINGS], check=True)
        tell(bed, node, "--reload-settings")


def louder(bed: Testbed, node: str, group: str) -> contextlib.AbstractContextManager[None]:
    """Let charon say more of a subsystem (`esp`, `ike`: strongswan.conf(5), "Logger configuration")."""
    return obeying(bed, node, f"charon {{ filelog {{ node {{ {group} = 2 }} }} }}")
