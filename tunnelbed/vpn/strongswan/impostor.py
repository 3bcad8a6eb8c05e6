"""A charon on a node that runs none and poses as a gateway: with the gateway's connections, and its own credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tunnelbed.vpn.api import Host

HOME = "/run/tunnelbed/rogue"
CONF = "rogue.conf"
# A node of no VPN may not listen on port 500 (CAP_NET_BIND_SERVICE), but translate addresses (CAP_NET_ADMIN).
PORT = 1500
# Seconds charon has to listen.
START_SECONDS = 5.0
# ESP is left to the kernel, and no ESP is agreed on (`NO_ESP`), since the kernel may have none: what the impostor is
# after, its peer's trust, comes first.
SETTINGS = f"""\
include /usr/lib/tunnelbed/strongswan-kernel.conf
charon {{
    retransmit_tries = 1
    port = {PORT}
    start-scripts {{
        load = swanctl --load-all --noprompt --file {HOME}/{CONF}
    }}
}}
"""
NO_ESP = "start_action = none\nesp_proposals = aes128-sha256"
# Packet by packet, and untracked: for connections, the kernel remembers those of the gateway whose place is taken.
TRANSLATION = f"""\
table inet tunnelbed_rogue {{
    chain towards {{
        type filter hook prerouting priority raw;
        fib daddr type local udp dport 500 udp dport set {PORT} notrack
    }}
    chain away {{
        type filter hook output priority raw;
        udp sport {PORT} udp sport set 500 notrack
    }}
}}
"""
START = f"STRONGSWAN_CONF={HOME}/strongswan.conf /usr/lib/ipsec/charon >{HOME}/log 2>&1 &"
STOP = f"""
[ ! -f /run/charon.pid ] || kill "$(cat /run/charon.pid)"
tries=100
while [ -f /run/charon.pid ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
[ ! -f /run/charon.pid ] || {{ kill -KILL "$(cat /run/charon.pid)"; rm -f /run/charon.pid; }}
nft delete table inet tunnelbed_rogue
rm -rf {HOME}
"""
# A gateway's swanctl.conf and what it includes from its own folder.
FIND = "cd /etc/tunnelbed/node && find . -name '*.conf' -type f"


def own_conf(gateway: Host) -> dict[str, str]:
    """The gateway's swanctl.conf and what stands beside it, by path."""
    names = [name.removeprefix("./") for name in gateway.run(["sh", "-c", FIND], check=True).stdout.splitlines()]
    return {
        name: gateway.run(["cat", f"/etc/tunnelbed/node/{name}"], check=True).stdout
        for name in names
        if name not in ("nftables.conf", "strongswan.conf")
    }


@contextlib.contextmanager
def running(host: Host, files: Mapping[str, str]) -> Iterator[None]:
    """Charon runs on the node with these files, and logs into the node's log, as it does at a gateway."""
    everything = {"strongswan.conf": SETTINGS, "nftables.conf": TRANSLATION, **files}
    try:
        folders = sorted({f"{HOME}/{name}".rpartition("/")[0] for name in everything})
        host.run(["mkdir", "-p", *folders], check=True)
        for name, content in everything.items():
            host.write(f"{HOME}/{name}", content)
        host.run(["nft", "-f", f"{HOME}/nftables.conf"], check=True)
        host.run(["sh", "-c", START], check=True)
        yield
    finally:
        # Whatever of it was not yet there is no failure.
        host.run(["sh", "-c", STOP])
