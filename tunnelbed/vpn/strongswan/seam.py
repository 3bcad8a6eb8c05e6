"""strongSwan as the rest of the library sees it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tunnelbed.engines import Mount
from tunnelbed.vpn.api import Carried, Daemon, Feature, Host, Listed, Needs, Setup
from tunnelbed.vpn.strongswan import proposals, swanctl_conf
from tunnelbed.vpn.strongswan.daemon import ENVIRONMENT
from tunnelbed.vpn.strongswan.daemon import StrongSwan as OnNode

if TYPE_CHECKING:
    from scapy.packet import Packet

CONF = "swanctl.conf"
# Connections, and settings that were laid over others.
STATE = """
[ ! -S /run/charon.vici ] || { echo '== connection'; swanctl --list-conns --raw; }
echo '== settings'; stat -c %N "${STRONGSWAN_CONF:-}" "${SWANCTL_DIR:-}"/overlay-*.conf 2>/dev/null
"""
# A silent charon lets swanctl wait for ever. `nokeys` omits the keys from the kernel's list (ip-xfrm(8)); an `ip` that
# does not know that word prints an error and no list. A kernel without IPsec answers `Operation not permitted`.
LISTED = """
patience=${TUNNELBED_PATIENCE:-1}
if [ -S /run/charon.vici ]; then
    for what in sas pols conns pools certs; do
        echo "== strongSwan: $what"
        timeout $((2 * ${patience%.*})) swanctl --list-$what 2>/dev/null || { echo 'charon does not answer'; break; }
    done
fi
echo '== kernel: SAs, without keys'; ip -s xfrm state list nokeys 2>&1
echo '== kernel: policies'; ip xfrm policy list 2>&1
echo '== kernel: errors of IPsec'; grep -v '[^0-9]0$' /proc/net/xfrm_stat 2>/dev/null
"""


class StrongSwan:
    """IKE by charon, and ESP by the kernel or, where that has none, by charon over a TUN device."""

    name = "strongSwan"
    # In a node's own folder, or where strongSwan looks by itself and a stack may mount a folder or the file.
    files = (f"/etc/swanctl/{CONF}", CONF)
    features = frozenset(Feature)
    data, handshake = "ESP", "IKE"
    devices = ("ipsec0",)
    state = STATE
    listed = LISTED

    def setup(self, file: Path) -> Setup:
        """What a node's swanctl.conf asks for."""
        tree = swanctl_conf.read(file).tree()
        actions = [re.split(r"[|\s]+", said) for said in tree.everywhere("start_action")]
        peers = [word for said in tree.everywhere("remote_addrs") for word in re.split(r"[,\s]+", said) if word]
        return Setup(tuple(peers), any("start" in words for words in actions), any(tree.everywhere("vips")))

    def needs(self, keys: Path | None, data_plane: str) -> Needs:
        """Keys, and a TUN device unless the kernel does ESP."""
        return Needs(
            (Mount(keys, "keys"),) if keys else (),
            () if data_plane == "kernel" else ("/dev/net/tun",),
            {"TUNNELBED_DATA_PLANE": data_plane, **ENVIRONMENT},
        )

    def classify(self, packet: Packet, listed: Listed) -> Carried | None:
        """ESP with an SPI that is listed, IKE, or a NAT keepalive."""
        # Scapy takes half a second to import, which no `up` or `status` waits for.
        from tunnelbed.vpn.strongswan import wire  # noqa: PLC0415

        return wire.classify(packet, listed)

    def proposal(self, words: str) -> str:
        """A proposal in swanctl.conf's keywords, as charon reports it."""
        return proposals.reported(words)

    def words(self, proposal: str) -> str:
        """A proposal as charon reports it, in swanctl.conf's keywords."""
        return proposals.keywords(proposal)

    def agrees(self, found: str, wanted: str, *, first_child: bool = False) -> bool:
        """Whether a reported proposal is the one wanted."""
        return proposals.agrees(found, wanted, first_child=first_child)

    def on(self, host: Host) -> Daemon:
        """Charon on a node."""
        return OnNode(host)
