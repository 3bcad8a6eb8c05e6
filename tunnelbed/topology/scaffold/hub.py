"""A scenario of any size: N sites, each a gateway and a client, and the cloud that they reach through tunnels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunnelbed.errors import BadInput
from tunnelbed.topology.scaffold.templates import each, filled

# Site N has 10.0.N.0/24 and 100.64.N.0/24 (RFC 6598, between a provider and its customers): N is an octet.
MOST_SITES = 254
CLOUD, CLOUD_GATEWAY = "10.255.0.0/24", "192.0.2.2"


def files(name: str, sites: int) -> Iterator[tuple[str, str]]:
    """Each file's path below the root, and its text. Raises `BadInput` for a number that no addresses are left for."""
    if not 1 <= sites <= MOST_SITES:
        expected = f"1 to {MOST_SITES}: a site's number is a part of its addresses, 10.0.N.0/24 and 100.64.N.0/24"
        raise BadInput("--sites", "", sites, expected, "choose another number")
    numbers = range(1, sites + 1)
    configs = f"configs/{name}"
    yield f"compose/{name}.yaml", _filled("compose.yaml", _stack(name, numbers))
    yield f"features/{name}/proof.feature", _filled("proof.feature", {"name": name, **_proof(numbers)})
    leaves = each(numbers, lambda n: _filled("leaf.yaml", {"n": n, "name": name}))
    yield f"{configs}/pki.yaml", _filled("pki.yaml", {"name": name, "leaves": leaves})
    for n in numbers:
        here = f"{configs}/gateway-{n}"
        yield f"{here}/swanctl.conf", _filled("site.conf", {"n": n, "name": name})
        yield f"{here}/nftables.conf", _filled("nftables.conf", _site_firewall(n))
        yield f"{here}/ip.batch", f"route replace default via 100.64.{n}.1\n"
        yield f"{configs}/client-{n}/ip.batch", f"route replace default via 10.0.{n}.1\n"
    here = f"{configs}/gateway-s"
    connections = each(numbers, lambda n: _filled("connection.conf", {"n": n, "name": name}))
    yield f"{here}/swanctl.conf", _filled("cloud.conf", {"name": name, "connections": connections})
    yield f"{here}/nftables.conf", _filled("nftables.conf", _cloud_firewall(numbers))
    yield f"{here}/ip.batch", "route replace default via 192.0.2.1\n"
    yield f"{configs}/server-s1/ip.batch", "route replace default via 10.255.0.1\n"


def _stack(name: str, numbers: Sequence[int]) -> Mapping[str, str]:
    return {
        "name": name,
        "count": f"{len(numbers)} site{'s' if len(numbers) > 1 else ''}",
        "router": each(numbers, lambda n: f"      isp_link_{n}: {{ipv4_address: 100.64.{n}.1}}\n"),
        "services": "\n".join(_filled("services.yaml", {"n": n}) for n in numbers),
        "networks": each(numbers, lambda n: _filled("networks.yaml", {"n": n})),
    }


def _proof(numbers: Sequence[int]) -> Mapping[str, str]:
    """The sentences about single sites: each has its tunnel, and none reaches the next one."""
    words = ["Then", *["And"] * len(numbers)]
    tunnels = [f"    {word} gateway S has a tunnel with gateway {n}" for word, n in zip(words, numbers, strict=False)]
    if len(numbers) == 1:
        return {"tunnels": "\n".join(tunnels), "apart": ""}
    ring = zip(words, numbers, [*numbers[1:], numbers[0]], strict=False)
    apart = [f"    {word} client {n} cannot reach client {other}" for word, n, other in ring]
    return {"tunnels": "\n".join(tunnels), "apart": "\n".join(["", "  Scenario: Sites are kept apart", *apart, ""])}


def _site_firewall(n: int) -> Mapping[str, object]:
    return {
        "SITE": n,
        "whom": "the cloud's gateway",
        "link": f"isp_link_{n}",
        "inside": f"intranet_{n}",
        "peers": CLOUD_GATEWAY,
        "here": f"10.0.{n}.0/24",
        "there": CLOUD,
    }


def _cloud_firewall(numbers: Sequence[int]) -> Mapping[str, object]:
    return {
        "SITE": "S",
        "whom": "the sites' gateways",
        "link": "isp_link_s",
        "inside": "cloud_network_s",
        "peers": ", ".join(f"100.64.{n}.2" for n in numbers),
        "here": CLOUD,
        "there": ", ".join(f"10.0.{n}.0/24" for n in numbers),
    }


def _filled(template: str, said: Mapping[str, object]) -> str:
    return filled(f"hub-and-spoke/{template}", said)
