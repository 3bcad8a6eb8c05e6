"""Probes: packets that are sent to find something out. A kind of probe is a file of this folder.

Nothing outside lists the kinds: sentences, `invoke trace`, the firewall's trace and the names of packets on a network
ask `registry`, which finds every `SpokenProbe` in the folder. A new kind (SCTP, say) is one new file.
"""

from tunnelbed.observe.probes.foreign_esp import ForeignEsp
from tunnelbed.observe.probes.fragment import Fragment
from tunnelbed.observe.probes.packet_too_big import PacketTooBig
from tunnelbed.observe.probes.ping import Ping
from tunnelbed.observe.probes.probe import LINK_MTU, Marked, Probe, Question, SpokenProbe, filled
from tunnelbed.observe.probes.tcp_syn import TcpSyn
from tunnelbed.observe.probes.udp_datagram import Datagram

__all__ = [
    "LINK_MTU",
    "Datagram",
    "ForeignEsp",
    "Fragment",
    "Marked",
    "PacketTooBig",
    "Ping",
    "Probe",
    "Question",
    "SpokenProbe",
    "TcpSyn",
    "filled",
]
