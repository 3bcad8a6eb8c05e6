"""The commands that a fake node knows: ip, nft, cat and a few more, as far as the library and tests use them.

One that is not known raises `ValueError`: an empty answer would pass for what the node says.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.fake_network import application, swanctl
from tests.fake_network.parts import Link, Route
from tests.fake_network.passing import TUN
from tests.fake_network.stack import FakeNode
from tunnelbed.checks.host_isolation import LOOK
from tunnelbed.faults.changes import STATE
from tunnelbed.faults.links_and_nodes import KILL
from tunnelbed.observe import nftrace
from tunnelbed.shell import Completed
from tunnelbed.topology import capabilities
from tunnelbed.topology.model import Interface, Subnet

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
        said = _said(network, node, words)
    except (ValueError, KeyError, IndexError) as wrong:
        if isinstance(wrong, ValueError) and str(wrong).startswith(("Error:", "RTNETLINK", "loading", "cat:")):
            # swanctl ends with 22 where a file is wrong, ip with 2 where the kernel refuses.
            status = 22 if "loading" in str(wrong) else 2 if "RTNETLINK" in str(wrong) else 1
            return Completed(tuple(command), status, "", f"{wrong}\n")
        raise ValueError(f"the fake node {node.name} does not know {command}: {wrong!r}") from wrong
    return said if isinstance(said, Completed) else Completed(tuple(command), 0, said, "")


def _said(network: FakeNetwork, node: FakeNode, words: list[str]) -> str | Completed:
    """What a command writes."""
    match words:
        case ["sh", "-c" | "-ec", text, *_] if text == LOOK:
            return look(node)
        case ["sh", "-c", text, *_] if text.startswith(STATE):
            return state(network, node)
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
        case ["swanctl", *rest]:
            return swanctl.run(network.charons[node.name], rest)
        case ["nft", *rest]:
            return _nft(node, rest)
        case ["ip", *rest]:
            return _ip(network, node, rest)
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
            ip_change(node, one.partition("#")[0].split())
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


# ip(8).


def _ip(network: FakeNetwork, node: FakeNode, words: list[str]) -> str:
    match words:
        case ["-json" | "-j", "address", *rest]:
            return json.dumps(
                links(
                    node,
                    [
                        link
                        for link in shown(network, node)
                        if ("global" not in rest or link.name != "lo") and (link.up or "up" not in rest)
                    ],
                )
            )
        case ["-json", "link", "show", *rest]:
            return json.dumps([{"ifname": link.name} for link in shown(network, node) if link.up or "up" not in rest])
        case ["-json", "route", "get", target, *rest]:
            return _route_get(node, target, rest)
        case ["-4" | "-6" as version, "--json", "route", "show", "table", "main"]:
            return json.dumps(list(_routes(node, int(version[1]))))
        case ["maddress", verb, group, "dev", name]:
            groups = node.links[name].groups
            (groups.add if verb == "add" else groups.discard)(group)
            return ""
    ip_change(node, words)
    return ""


def _route_get(node: FakeNode, target: str, rest: Sequence[str]) -> str:
    del rest
    address = ipaddress.ip_address(target)
    route, source = node.route(address), node.source_for(address)
    if route is None or source is None:
        raise ValueError("RTNETLINK answers: Network is unreachable")
    if not route.device:
        raise ValueError("RTNETLINK answers: Invalid argument")
    said = {"dst": target, "dev": route.device, "prefsrc": str(source), "flags": [], "uid": 0, "cache": []}
    return json.dumps([{**said, **({"gateway": str(route.via)} if route.via else {})}])


def shown(network: FakeNetwork, node: FakeNode) -> Sequence[Link]:
    """The interfaces that a node shows, lo first."""
    lo = node.links.get("lo") or Link("lo", "00:00:00:00:00:00")
    own = [link for link in node.links.values() if link.name != "lo"]
    tun = [Link(TUN, "")] if network.plane == "user" and node.name in network.charons else []
    return [lo, *own, *tun]


def links(node: FakeNode, found: Sequence[Link]) -> list[Mapping[str, object]]:
    """Interfaces with their addresses, as `ip -json address show` prints them."""
    return [
        {
            "ifname": link.name,
            "operstate": "UP" if link.up else "DOWN",
            "address": link.mac,
            **({"linkinfo": {"info_kind": "tun"}} if link.name == TUN else {}),
            "addr_info": [
                {
                    "family": "inet" if own.version == 4 else "inet6",
                    "local": str(own.ip),
                    "prefixlen": own.network.prefixlen,
                    "scope": "global",
                }
                for own in link.addresses
            ]
            + _link_local(node, link),
        }
        for link in found
    ]


def _link_local(node: FakeNode, link: Link) -> list[Mapping[str, object]]:
    """What an interface has by itself where IPv6 is left on."""
    if node.sysctls.get("net.ipv6.conf.all.disable_ipv6") != "0" or link.name in ("lo", TUN):
        return []
    local = f"fe80::{link.mac[9:].replace(':', '')}"
    return [{"family": "inet6", "local": local, "prefixlen": 64, "scope": "link"}]


def _routes(node: FakeNode, version: int) -> Iterator[Mapping[str, str]]:
    for name, own in node.addresses():
        if own.version == version and node.links[name].up:
            yield {"dst": str(own.network), "dev": name, "protocol": "kernel"}
    for route in node.routes:
        if route.target.version == version and route.table == "main":
            target = str(route.target) if route.target.prefixlen else "default"
            via = {"gateway": str(route.via)} if route.via else {}
            yield {"dst": target, "dev": route.device, "protocol": "boot", **via}


def ip_change(node: FakeNode, words: list[str]) -> None:
    """A change by ip(8): `address replace 10.1.0.99/16 dev intranet_a`, `route add ... via ...`."""
    match words:
        case []:
            pass
        case ["address" | "addr", "add" | "replace" as verb, text, *rest]:
            own, device = ipaddress.ip_interface(text), rest[rest.index("dev") + 1]
            link = node.links.setdefault(device, Link(device, "00:00:00:00:00:00"))
            if own in link.addresses and verb == "add":
                raise ValueError("RTNETLINK answers: File exists")
            link.addresses += [own] if own not in link.addresses else []
        case ["address" | "addr", "delete" | "del", text, *rest]:
            link = node.links[rest[rest.index("dev") + 1]]
            link.addresses.remove(ipaddress.ip_interface(text))
        case ["route", verb, *rest]:
            _change_route(node, verb, rest)
        case ["rule", "add", *rest]:
            told = dict(zip(rest[::2], rest[1::2], strict=False))
            node.steers.append((_subnet(told["from"]), _subnet(told["to"]), told["lookup"]))
        case ["link", *rest]:
            _change_link(node, rest)
        case _:
            raise ValueError(f"ip {' '.join(words)}")


def _change_route(node: FakeNode, verb: str, words: list[str]) -> None:
    blackhole = words[:1] == ["blackhole"] and bool(words.pop(0))
    table = "main"
    if "table" in words:
        at = words.index("table")
        table = words[at + 1]
        del words[at : at + 2]
    told = dict(zip(words[1::2], words[2::2], strict=False))
    via = ipaddress.ip_address(told["via"]) if "via" in told else None
    target = _subnet(words[0] if words[0] != "default" else ("::/0" if via and via.version == 6 else "0.0.0.0/0"))
    if verb in ("delete", "del", "replace"):
        node.routes = [one for one in node.routes if (one.target, one.table) != (target, table)]
    if verb in ("add", "replace"):
        device = told.get("dev", "")
        if via is not None and not device:
            near = [name for name, own in node.addresses() if via in own.network]
            if not near:
                raise ValueError("RTNETLINK answers: Network is unreachable")
            device = near[0]
        node.routes.append(Route(target, "" if blackhole else device, via, table))


def _change_link(node: FakeNode, words: list[str]) -> None:
    if words[:2] == ["set", "dev"]:
        del words[1]
    match words:
        case ["set", name, "up" | "down" as how]:
            node.links[name].up = how == "up"
            if how == "down":
                node.routes = [route for route in node.routes if route.device != name]
        case ["set", name, "type", "macvlan", "mode", mode]:
            node.links[name].private = mode == "private"
        case ["set", name, "address", mac]:
            node.links[name].mac = mac
        case ["add", name, "type", "veth", "peer", "name", other]:
            node.links |= {name: Link(name, "02:00:00:00:fe:01", private=True), other: Link(other, "02:00:00:00:fe:02")}
        case ["delete" | "del", name]:
            node.links = {key: link for key, link in node.links.items() if key not in (name, "other")}
        case _:
            raise ValueError(f"ip link {' '.join(words)}")


def _subnet(text: str) -> Subnet:
    return ipaddress.ip_network(text, strict=False)


# Scripts of the library's.


def look(node: FakeNode) -> str:
    """What `host_isolation.LOOK` prints."""
    addresses = links(node, shown(node.network, node))
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
