"""The options of `invoke trace`: from where, to where, and which packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tunnelbed.errors import BadInput
from tunnelbed.testbed.options import Option, Source, Target
from tunnelbed.topology.model import LAST_PORT


@dataclass(frozen=True)
class Tracing:
    """The packet that a person asks for; `packet_trace.Asked` is the same in a testbed."""

    from_: Source
    to: Target
    on: Annotated[
        str, Option("the kind of packet, as in a sentence: `TCP port 80`, `UDP port 53`; by default a ping")
    ] = ""
    tcp: Annotated[
        int, Option("send a TCP SYN to this port: short for `--on 'TCP port N'`", least=1, most=LAST_PORT)
    ] = 0
    udp: Annotated[
        int, Option("send a UDP datagram to this port: short for `--on 'UDP port N'`", least=1, most=LAST_PORT)
    ] = 0
    size: Annotated[int, Option("the packet's size in bytes with its IP header; routers may not fragment it (DF)")] = 0

    @property
    def kind(self) -> str:
        """The kind of packet, as a sentence names it; empty by default. Raises `BadInput` for several."""
        short = [f"{name} port {port}" for name, port in (("TCP", self.tcp), ("UDP", self.udp)) if port]
        if len(found := [*([self.on] if self.on else []), *short]) > 1:
            told = " and ".join(found)
            raise BadInput("trace", "", told, "one of --on, --tcp and --udp", "trace one, then the other")
        return "".join(found)
