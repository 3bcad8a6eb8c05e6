"""A checkout of its own for each test: a folder with compose/ and configs/, and a small scenario to bend."""

from __future__ import annotations

import contextlib
import copy
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from scapy.config import conf
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.fake_network.pairs import Pair

# How long an example takes says how busy the machine is.
settings.register_profile("tunnelbed", deadline=None)
settings.load_profile("tunnelbed")

# A job that a shell runs in the background ignores Ctrl-C, and so does what it starts: tests of Ctrl-C start things.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _nobody_asks(frame: Packet, _: Packet) -> None:
    raise AssertionError(f"no receiver's MAC in {frame!r}: Scapy would ask this machine's own network for it")


# Tests make frames as if nodes had sent them; none may be a reason to speak to a network that is no testbed's.
for protocol in (IP, IPv6):
    conf.neighbor.register_l3(Ether, protocol, _nobody_asks)

# Somebody's.
MAC = "02:00:00:00:00:02"

# A client and a server, and a gateway between them: two networks, one address each.
TINY: dict[str, Any] = {
    "services": {
        "gateway": {
            "image": "example/node",
            "labels": {"tunnelbed.role": "gateway", "tunnelbed.site": "a"},
            "networks": {"inside": {"ipv4_address": "10.1.0.2"}, "outside": {"ipv4_address": "192.0.2.1"}},
        },
        "client": {
            "image": "example/node",
            "labels": {"tunnelbed.role": "client", "tunnelbed.site": "a"},
            "healthcheck": {"test": ["CMD", "ask", "once"]},
            "networks": {"inside": {"ipv4_address": "10.1.0.3"}},
        },
        "server": {
            "image": "example/node",
            "labels": {"tunnelbed.role": "server"},
            "networks": {"outside": {"ipv4_address": "192.0.2.2"}},
        },
    },
    "networks": {
        "inside": {
            "driver": "macvlan",
            "internal": True,
            "labels": {"tunnelbed.role": "intranet", "tunnelbed.site": "a"},
            "ipam": {"config": [{"subnet": "10.1.0.0/16"}]},
        },
        "outside": {"driver": "macvlan", "internal": True, "ipam": {"config": [{"subnet": "192.0.2.0/24"}]}},
    },
}


class Checkout:
    """A folder of scenarios, and the document of one of them, `tiny`, that a test changes before it is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stack = copy.deepcopy(TINY)
        (root / "compose").mkdir(parents=True)
        self.write()

    def write(self, text: str = "") -> None:
        """Write the stack, or instead of it a text."""
        (self.root / "compose" / "tiny.yaml").write_text(text or yaml.safe_dump(self.stack), encoding="utf-8")

    def configure(self, file: str, text: str) -> None:
        """Write one of the scenario's native files, such as `gateway/nftables.conf`."""
        path = self.root / "configs" / "tiny" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """One checkout, and the current folder is it, so that paths in messages are short."""
    made = Checkout(tmp_path / "checkout")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Two sites with a tunnel, for the fake network; the current folder is another one."""
    monkeypatch.chdir(tmp_path)
    return Pair(tmp_path / "checkout")


def processes() -> dict[int, str]:
    """What runs on this machine: numbers, and command lines. A minimal Debian has no ps(1)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended meanwhile
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return found
