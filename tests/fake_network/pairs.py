"""Small scenarios for the kinds of faults that verdicts have to see through: two sites, and what stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Scenario

SWANCTL = """\
connections {{
    peer {{
        version = 2
        local_addrs = {own}
        remote_addrs = {peer}
        proposals = aes256gcm16-prfsha384-ecp384
        local {{
            auth = psk
            id = {own}
        }}
        remote {{
            auth = psk
            id = {peer}
        }}
        children {{
            sites {{
                local_ts = {local}
                remote_ts = {remote}
                esp_proposals = {esp}
                start_action = trap
            }}
        }}
    }}
}}
"""
FORWARDS = {"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1}
Places = Mapping[str, Mapping[str, str]]


def service(role: str, site: str, networks: Places, **more: object) -> dict[str, Any]:
    """A service of a stack."""
    labels = {key: value for key, value in (("tunnelbed.role", role), ("tunnelbed.site", site)) if value}
    return {"image": "example/node", "labels": labels, "networks": {**networks}, **more}


def network(role: str, site: str, *subnets: str) -> dict[str, Any]:
    """A network of a stack."""
    labels = {key: value for key, value in (("tunnelbed.role", role), ("tunnelbed.site", site)) if value}
    return {"labels": labels, "ipam": {"config": [{"subnet": subnet} for subnet in subnets]}}


class Pair:
    """Two sites with a gateway and a host each, a link between their gateways, and one tunnel; a test adds to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.services = {
            "gateway-a": self._gateway("a", "1"),
            "gateway-b": self._gateway("b", "2"),
            "host-a": service("host", "a", {"intranet_a": {"ipv4_address": "10.1.0.2"}}),
            "host-b": service("host", "b", {"intranet_b": {"ipv4_address": "10.2.0.2"}}),
        }
        self.networks = {
            "isp_link": network("isp_link", "", "192.0.2.0/24"),
            "intranet_a": network("intranet", "a", "10.1.0.0/24"),
            "intranet_b": network("intranet", "b", "10.2.0.0/24"),
        }
        self.batches = {
            "gateway-a": ["route replace default via 192.0.2.2"],
            "gateway-b": ["route replace default via 192.0.2.1"],
            "host-a": ["route replace default via 10.1.0.1"],
            "host-b": ["route replace default via 10.2.0.1"],
        }
        # Who has the tunnel, and what its ESP may be.
        self.tunnel, self.esp = True, "aes256gcm16-ecp384"

    @staticmethod
    def _gateway(site: str, number: str) -> dict[str, Any]:
        places = {
            "isp_link": {"ipv4_address": f"192.0.2.{number}"},
            f"intranet_{site}": {"ipv4_address": f"10.{number}.0.1"},
        }
        return service("gateway", site, places, sysctls=dict(FORWARDS))

    def load(self) -> Scenario:
        """Write the files, and read them as a scenario."""
        stack = {"services": self.services, "networks": self.networks}
        path = self.root / "compose" / "pair.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(stack, sort_keys=False), encoding="utf-8")
        for node, lines in self.batches.items():
            self._write(node, "ip.batch", "".join(f"{line}\n" for line in lines))
        for own, peer in (("1", "2"), ("2", "1")) if self.tunnel else ():
            ends = {"own": f"192.0.2.{own}", "peer": f"192.0.2.{peer}"}
            selectors = {"local": f"10.{own}.0.0/24", "remote": f"10.{peer}.0.0/24"}
            text = SWANCTL.format(**ends, **selectors, esp=self.esp)
            self._write({"1": "gateway-a", "2": "gateway-b"}[own], "swanctl.conf", text)
        return compose_file.load("pair", self.root)

    def _write(self, node: str, file: str, text: str) -> None:
        path = self.root / "configs" / "pair" / node / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def dual(pair: Pair) -> None:
    """Give the pair IPv6 besides, on every network, and routes for it; the tunnel carries IPv4 alone."""
    six = {
        ("gateway-a", "isp_link"): "2001:db8:ff::1",
        ("gateway-b", "isp_link"): "2001:db8:ff::2",
        ("gateway-a", "intranet_a"): "2001:db8:a::1",
        ("gateway-b", "intranet_b"): "2001:db8:b::1",
        ("host-a", "intranet_a"): "2001:db8:a::2",
        ("host-b", "intranet_b"): "2001:db8:b::2",
    }
    for (node, name), address in six.items():
        pair.services[node]["networks"][name]["ipv6_address"] = address
    for name, subnet in (("isp_link", "ff"), ("intranet_a", "a"), ("intranet_b", "b")):
        pair.networks[name]["ipam"]["config"].append({"subnet": f"2001:db8:{subnet}::/64"})
    pair.batches["host-a"].append("route replace default via 2001:db8:a::1")
    pair.batches["host-b"].append("route replace default via 2001:db8:b::1")
    pair.batches["gateway-a"].append("route replace 2001:db8:b::/64 via 2001:db8:ff::2")
    pair.batches["gateway-b"].append("route replace 2001:db8:a::/64 via 2001:db8:ff::1")
