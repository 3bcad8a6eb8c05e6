"""Remote access: N laptops behind a cafe's NAT, each with a tunnel to the office, which lends it an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address

from tunnelbed.errors import BadInput
from tunnelbed.topology.scaffold.templates import each, filled

# The cafe's router has 192.168.7.1, and laptop N the N-th address after it.
ROUTER, MOST_LAPTOPS = IPv4Address("192.168.7.1"), 253


def files(name: str, laptops: int) -> Iterator[tuple[str, str]]:
    """Each file's path below the root, and its text. Raises `BadInput` for a number that no addresses are left for."""
    if not 1 <= laptops <= MOST_LAPTOPS:
        expected = f"1 to {MOST_LAPTOPS}, which is what addresses of 192.168.7.0/24 the cafe has"
        raise BadInput("--laptops", "", laptops, expected, "choose another number")
    numbers = range(1, laptops + 1)

    def made(template: str) -> Callable[[int], str]:
        return lambda n: _filled(template, {"n": n, "name": name, "address": ROUTER + n})

    configs = f"configs/{name}"
    count = f"{laptops} laptop{'s' if laptops > 1 else ''}"
    stack = {"name": name, "count": count, "laptops": "\n".join(map(made("laptop.yaml"), numbers))}
    yield f"compose/{name}.yaml", _filled("compose.yaml", stack)
    yield f"features/{name}/proof.feature", _filled("proof.feature", {"name": name, **_proof(numbers)})
    yield f"{configs}/pki.yaml", _filled("pki.yaml", {"name": name, "leaves": each(numbers, made("leaf.yaml"))})
    for n in numbers:
        here = f"{configs}/laptop-{n}"
        yield f"{here}/swanctl.conf", made("laptop.conf")(n)
        yield f"{here}/strongswan.conf", made("laptop.settings")(n)
        yield f"{here}/nftables.conf", made("laptop.nft")(n)
        yield f"{here}/ip.batch", f"route replace default via {ROUTER}\n"
    yield f"{configs}/gateway/swanctl.conf", _filled("gateway.conf", {"name": name})
    yield f"{configs}/gateway/nftables.conf", _filled("gateway.nft", {})
    yield f"{configs}/gateway/ip.batch", "route replace default via 192.0.2.2\n"
    yield f"{configs}/server/ip.batch", "route replace default via 10.1.0.1\n"
    yield f"{configs}/cafe/nftables.conf", _filled("cafe.nft", {})


def _proof(numbers: Sequence[int]) -> Mapping[str, str]:
    """The sentences that need a second laptop."""
    if len(numbers) == 1:
        return {"apart": "", "others": ""}
    return {
        "apart": "    And laptop 1 cannot reach laptop 2\n",
        "others": "    But laptop 2 can reach the server through the tunnel\n",
    }


def _filled(template: str, said: Mapping[str, object]) -> str:
    return filled(f"remote-access/{template}", said)
