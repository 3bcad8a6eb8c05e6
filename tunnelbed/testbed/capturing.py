"""The options of `invoke capture`: which packets, until when, and the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tunnelbed.testbed.options import NetworkName, NodeName, Option


@dataclass(frozen=True)
class Capturing:
    """Which packets a person asks for: of one node, of one network, or of all where empty; `seconds` 0: until Ctrl-C.

    With `keys`, the tunnels are set up again: the file then has all IKE packets, and every key is known.
    """

    node: NodeName = ""
    network: NetworkName = ""
    seconds: Annotated[float, Option("end after this number of seconds; by default at Ctrl-C")] = 0
    keys: Annotated[
        bool, Option("set the tunnels up again and save their keys, so that Wireshark can decrypt IKE and ESP")
    ] = False
    output: Annotated[
        str, Option("the file to write, or `-` for standard output; by default a new file in reports/captures/")
    ] = ""
