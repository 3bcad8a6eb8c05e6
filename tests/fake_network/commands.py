"""The commands that a fake node knows: ip, nft, cat and a few more, as far as the library and tests use them.

One that is not known raises `ValueError`: an empty answer would pass for what the node says.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.fake_network import application, ip, rogue, swanctl
from tests.fake_network.burst import BURST, burst
from tests.fake_network.stack import FakeNode
from tunnelbed.checks.host_isolation import LOOK
from tunnelbed.faults.changes import STATE
from tunnelbed.faults.links_and_nodes import KILL
from tunnelbed.host.shell import Completed
from tunnelbed.observe import nftrace
from tunnelbed.testbed import node_state
from tunnelbed.topology import capabilities
from tunnelbed.topology.model import Interface
from tunnelbed.vpn.strongswan import impostor

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork

Done = Completed | Iterator[float | Completed]
NODE_FILES = "/etc/tunnelbed/node/"


def run(network: FakeNetwork, node: FakeNode, command: Sequence[str]) -> Done:
    """Run a command on a node; one that takes its time says how many seconds until its next step."""
    for answer in network.answers:
        if (known := answer(node.name, command)) is not None:
            return known
    words = list(command)
    try:
        if words[0] in ("pingpong", "ping"):
            return application.ask(node, words[2:]) if words[0] == "pingpong" else application.ping(node, words[1:])
        said = (
            network.charons[node.name].clock.run(words[1:])
            if words[0] in ("clock", "od")
            else _said(network, node, words)
        )
    except (ValueError, KeyError, IndexError) as wrong:
        if isinstance(wrong, ValueError) and str(wrong).startswith(("Error:", "RTNETLINK", "loading", "cat:")):
            # swanctl ends with 22 where a file is wrong, ip with 2 where the kernel refuses.
            status = 22 if "loading" in str(wrong) else 2 if "RTNETLINK" in str(wrong) else 1
            return Completed(tuple(command), status, "", f"{wrong}\n")
        raise ValueError(f"the fake node {node.name} does not know {command}: {wrong!r}") from wrong
    return Completed(tuple(command), 0, said, "") if isinstance(said, str) else said


def _said(network: FakeNetwork, node: FakeNode, words: list[str]) -> str | Completed:
    """What a command writes."""
    match words:
        case ["sh", "-c" | "-ec", text, *_] if text == LOOK:
            return look(node)
        case ["sh", "-c", text, *_] if text.startswith(STATE):
            return state(network, node)
        case ["sh", "-c", text] if text.startswith(node_state.SCRIPT):
            told = state(network, node).partition("== connection")[0]
            return told.replace("== address\n", "== addresses\n").replace("== route\n", "== routes\n")
        case ["sh", "-c", impostor.START]:
            rogue.start(network, node)
            return ""
        case ["sh", "-c", impostor.STOP]:
            rogue.stop(network, node)
            return ""
        case ["sh", "-c", impostor.FIND]:
            return rogue.found(network, node)
        case ["sh", "-c", text, _, process] if text == KILL:
            return _kill(network, node, process)
        case ["sh", "-c", text, _, *arguments] if text.startswith('printf %s "$1"'):
            node.files[arguments[1]] = arguments[0]
            return ""
        case ["sh", "-c", text, _, rules] if text == 'echo "$1" | nft -f -':
            node.rules.read(rules)
            return ""
        case ["sh", "-c" | "-ec", text]:
            return "".join(_shell(network, node, line) for line in text.splitlines())
        case [program, *rest] if program == BURST:
            return burst(network, node, rest)
        case ["swanctl", *rest]:
            return swanctl.run(network.charons[node.name], rest)
        case ["nft", *rest]:
            return _nft(node, rest)
        case ["ip", *rest]:
            return ip.run(network, node, rest)
        case ["cat", path]:
            return _cat(network, node, path)
        case ["find", folder, "-maxdepth", "1", "-name", pattern]:
            head, _, tail = pattern.partition("*")
            found = (path for path in node.files if path.startswith(f"{folder}/{head}") and path.endswith(tail))
            return "".join(f"{path}\n" for path in sorted(found))
        case ["readlink", path]:
            return node.files.get(path, "/run/tunnelbed/strongswan.conf") + "\n"
        case ["rm", *paths]:
            for path in paths:
                node.files.pop(path, None)
            return ""
        case ["mv", "-T", here, there]:
            node.files[there] = "/run/tunnelbed/strongswan.conf"
            node.files.pop(here)
            return ""
        case ["ln", "-sf", _, there]:
            node.files.pop(there, None)
            return ""
        case ["mkdir", *_] | ["true"] | ["test", "-e", "/run/tunnelbed/loaded"]:
            return ""
    raise ValueError("no such command here")


def _shell(network: FakeNetwork, node: FakeNode, line: str) -> str:
    """A line of a script of the tests' or the library's own."""
    words = shlex.split(line)
    if not words:
        return ""
    if words[:1] == ["["] and "||" in words:  # `[ ! -f FILE ] || COMMAND`
        words = words[words.index("||") + 1 :]
    if words[:2] == ["ip", "-batch"]:
        own = network.scenario.configs / node.name / "ip.batch"
        for one in own.read_text(encoding="utf-8").splitlines() if own.exists() else ():
            ip.change(node, one.partition("#")[0].split())
        return ""
    if words[:2] == ["nft", "-f"] or words[0] in ("iptables-restore", "ip6tables-restore"):
        file = words[-1].removeprefix(NODE_FILES)
        node.rules.read((network.scenario.configs / node.name / file).read_text(encoding="utf-8"))
        return ""
    if words[0] == "mv":
        network.charons[node.name].answers = words[1].endswith("silent")
        return ""
    said = _said(network, node, words)
    return said if isinstance(said, str) else said.stdout


def _kill(network: FakeNetwork, node: FakeNode, process: str) -> Completed:
    if process not in node.processes:
        return Completed(("sh", "-c", "kill", process), 1, "", "")
    network.say(node.name, f"tunnelbed: {process} has ended; starting it again")
    network.charons[node.name].start()
    return Completed(("sh", "-c", "kill", process), 0, "", "")


def _nft(node: FakeNode, words: Sequence[str]) -> str:
    match words:
        case ["-j", "list", "chains"]:
            return json.dumps({"nftables": list(node.rules.listed())})
        case ["--json", "list", "table", *key]:
            held = {name: sorted(found) for (*of, name), found in node.rules.sets.items() if of == key}
            return json.dumps({"nftables": [{"set": {"name": name, "elem": found}} for name, found in held.items()]})
        case ["delete", "table", family, name] if (family, name) not in node.rules.tables:
            raise ValueError("Error: Could not process rule: No such file or directory")
        case ["-f", path]:
            node.rules.read(node.files[path])
            return ""
    node.rules.command(words)
    return ""


def _cat(network: FakeNetwork, node: FakeNode, path: str) -> str:
    if found := re.fullmatch(r"/sys/class/net/(.+)/address", path):
        return f"{node.links[found[1]].mac}\n"
    if path in node.files:
        return node.files[path]
    if path.startswith(NODE_FILES):
        return (network.scenario.configs / node.name / path.removeprefix(NODE_FILES)).read_text(encoding="utf-8")
    if path.startswith("/proc/sys/"):
        key = path.removeprefix("/proc/sys/").translate(str.maketrans("./", "/."))
        if key not in node.sysctls:
            raise ValueError(f"cat: {path}: No such file or directory")
        return f"{node.sysctls[key]}\n"
    known: Mapping[str, Callable[[], str]] = {
        "/proc/1/status": lambda: _status(node),
        "/proc/net/netstat": lambda: (
            "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 "
            f"{node.counters['IPReversePathFilter']}\nIpExt: InOctets\nIpExt: 12\n"
        ),
        "/proc/net/xfrm_stat": lambda: "".join(
            f"{name}\t{count}\n" for name, count in _charon_counters(network, node).items()
        ),
        "/run/tunnelbed/data-plane": lambda: f"{network.plane}\n",
    }
    if path not in known:
        raise ValueError(f"cat: {path}: No such file or directory")
    return known[path]()


def _charon_counters(network: FakeNetwork, node: FakeNode) -> Mapping[str, int]:
    return network.charons[node.name].counters if node.name in network.charons else {}


def _status(node: FakeNode) -> str:
    """Its capabilities, as the stack gives them unless a test has given more (`extra`)."""
    held = capabilities.given(node.spec) | node.more_capabilities
    mask = sum(1 << capabilities.NAMES.index(name) for name in held)
    return f"Name:\tinit\nCapEff:\t{mask:016x}\nCapBnd:\t{mask:016x}\n"


# Scripts of the library's.


def look(node: FakeNode) -> str:
    """What `host_isolation.LOOK` prints."""
    addresses = ip.links(node, ip.shown(node.network, node))
    routes: dict[int, list[Mapping[str, str]]] = {4: [], 6: []}
    for name, own in node.addresses():
        routes[own.version].append({"dst": str(own.network), "dev": name})
    for route in node.routes:
        target = str(route.target) if route.target.prefixlen else "default"
        routes[route.target.version].append({"dst": target, "dev": route.device})
    identity = f"boot-1 net:[{node.name}]"
    return "\n".join([identity, json.dumps(addresses), json.dumps(routes[4]), json.dumps(routes[6])])


def on_machine(command: Sequence[str]) -> Completed:
    """What the machine itself answers to `LOOK`: a card, and a way to everywhere."""
    if command[-1] != LOOK:
        raise ValueError(f"the fake machine does not know {command}")
    card = {"ifname": "eth0", "address": "02:aa:00:00:00:01", "addr_info": [{"local": "192.0.2.77", "prefixlen": 24}]}
    found = [{"ifname": "lo", "address": "", "addr_info": []}, card]
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "192.0.2.0/24", "dev": "eth0"}]
    said = "\n".join(["boot-1 net:[machine]", json.dumps(found), json.dumps(routes), "[]"])
    return Completed(tuple(command), 0, said, "")


def state(network: FakeNetwork, node: FakeNode) -> str:
    """What `changes.STATE` prints."""
    lines = ["== address"]
    lines += [f"{name} {_full(own)} scope global {name}" for name, own in node.addresses()]
    lines += [
        "== route",
        *(f"{route.target} via {route.via} dev {route.device} {route.table}" for route in node.routes),
    ]
    lines += ["== firewall"]
    for chain in node.rules.chains.values():
        if chain.table != nftrace.TABLE:
            lines += [f"{chain.called} {chain.policy}", *(f"{chain.called} {' '.join(rule)}" for rule in chain.rules)]
    if node.name in network.charons:
        charon = network.charons[node.name]
        lines += ["== connection", *(repr(one) for one in charon.connections.values())]
        if network.keys is not None:
            lines += ["== credential"]
            lines += [f"{path} {path.read_bytes()!r}" for path in sorted((network.keys / node.name).rglob("*.pem"))]
        lines += ["== settings", *(path for path in sorted(node.files) if "overlay" in path or path.endswith(".conf"))]
    return "\n".join(lines) + "\n"


def _full(own: Interface) -> str:
    return f"inet {own}" if own.version == 4 else f"inet6 {own}"
