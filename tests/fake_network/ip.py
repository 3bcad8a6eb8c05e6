"""ip(8) on a fake node: what it shows of interfaces and routes, and what it changes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.fake_network.parts import Link, Route
from tests.fake_network.passing import TUN
from tests.fake_network.stack import FakeNode
from tunnelbed.topology.model import Subnet

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork


def run(network: FakeNetwork, node: FakeNode, words: list[str]) -> str:
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
    change(node, words)
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
    tun = [Link(TUN, "")] if node.sealer.plane == "user" else []
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
    local = f"fe80::{link.mac[12:].replace(':', '')}"
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


def change(node: FakeNode, words: list[str]) -> None:
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
