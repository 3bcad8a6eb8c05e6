"""What a network's interface is called in every node: like the network, where the kernel allows that.

A name of Compose's may be longer than an interface's (IFNAMSIZ), or one that the kernel, strongSwan or an engine gives
to interfaces of its own. Such a network's interface gets a name made of it, the same at every `up`:

    customer_network_berlin  ->  customer_n_899a        default  ->  net_default
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from tunnelbed.topology.model import LONGEST_NAME

# What dev_valid_name() of net/core/dev.c allows, of what Compose allows; no word that looks like an option.
USABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# Names the kernel gives to interfaces, or to all of them together below /proc/sys/net; those of its fallback tunnels;
# and what strongSwan, WireGuard and an engine in a node make.
TAKEN = re.compile(
    r"lo|all|default|eth\d+|ipsec\d+|wg\d+|docker\d+|dummy\d+|tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|sit0|ip6tnl0|ip6gre0"
)
DIGITS = 4


def interface_names(networks: Iterable[str]) -> Mapping[str, str]:
    """A name for the interfaces of each network: its own where it can be one, no other network's in any case."""
    names = list(networks)
    found = {name: name for name in names if _is_usable(name)}
    for name in names:
        if name not in found:
            taken = set(found.values())
            found[name] = next(one for one in _made_of(name) if one not in taken)
    return {name: found[name] for name in names}


def _is_usable(name: str) -> bool:
    return len(name) <= LONGEST_NAME and USABLE.fullmatch(name) is not None and TAKEN.fullmatch(name) is None


def _made_of(name: str) -> Iterable[str]:
    """Names made of one, the most readable first, without an end."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_")
    if len(name) <= LONGEST_NAME - 4 and _is_usable(f"net_{plain}"):
        yield f"net_{plain}"
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{name} {attempt}".encode()).hexdigest()[:DIGITS]
        # Never one of the kernel's: those end in a digit after letters, this in an underscore and hexadecimal digits.
        yield f"{(plain or 'net')[: LONGEST_NAME - DIGITS - 1]}_{digest}"
        attempt += 1
