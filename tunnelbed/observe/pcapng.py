"""Frames in a file that Wireshark reads: pcapng, with an interface for each capture point."""

from __future__ import annotations

import select
from pathlib import Path

from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapNgWriter

from tunnelbed.engines.agents import Frame

ETHERNET = 1  # ARPHRD_ETHER of linux/if_arp.h, and LINKTYPE_ETHERNET of pcapng
NO_MAC = "00:00:00:00:00:00"
IPV4, IPV6 = 0x0800, 0x86DD  # linux/if_ether.h
INBOUND, OUTBOUND = 1, 2  # pcapng, epb_flags


class Pcapng:
    """A pcapng file that grows frame by frame; `to` is a path, or a descriptor that is open for writing.

    One link type for all: what a TUN device showed, which has no link header, gets an empty one of Ethernet.
    """

    def __init__(self, to: Path | int) -> None:
        self._writer = PcapNgWriter(to)  # type: ignore[arg-type] # it does what open() does with either
        self._writer.linktype = ETHERNET
        self._writer.write_header(None)
        self._reader = select.poll()
        if isinstance(to, int):
            self._reader.register(to, 0)

    def write(self, frame: Frame, place: str) -> None:
        """Write a frame that was seen at a place, such as `gateway-a isp_link_a`."""
        packet = Raw(frame.data if frame.hardware == ETHERNET else _headed(frame.data))
        packet.time = frame.at
        packet.sniffed_on = place
        packet.direction = OUTBOUND if frame.outgoing else INBOUND
        self._writer.write_packet(packet)

    def flush(self) -> None:
        """Flush all that was written by now. Raises `BrokenPipeError` if the reader has gone."""
        self._writer.flush()
        if any(event & select.POLLERR for _, event in self._reader.poll(0)):
            raise BrokenPipeError

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def _headed(data: bytes) -> bytes:
    """An IP packet behind an Ethernet header with empty addresses."""
    ethertype = IPV6 if data[:1] and data[0] >> 4 == 6 else IPV4
    return bytes(Ether(src=NO_MAC, dst=NO_MAC, type=ethertype)) + data
