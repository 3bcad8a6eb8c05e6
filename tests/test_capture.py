"""What goes into a file of a capture, in which order, and what is asked for in vain."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from tests.conftest import MAC, Checkout
from tunnelbed.engines.agents import Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.host import waiting
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.testbed.capture import File, capture
from tunnelbed.testbed.capturing import Capturing
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

TUN = 65534  # ARPHRD_NONE
PING = IP(src="10.1.0.3", dst="192.0.2.2") / ICMP()


def frame(node: str, network: str, *, sent: bool, at: float, hardware: int = ETHERNET) -> Frame:
    return Frame(
        node,
        network,
        sent,
        hardware,
        at,
        bytes(Ether(dst=MAC) / PING) if hardware == ETHERNET else bytes(PING),
    )


def told(path: Path) -> list[tuple[str, bytes]]:
    """The places and packets in a file, in its order."""
    with RawPcapNgReader(str(path)) as reader:
        return [(cast("Any", about).ifname.decode(), data) for data, about in reader]


def places(path: Path) -> list[str]:
    return [place for place, _ in told(path)]


SEEN = [
    frame("client", "inside", sent=True, at=1),
    frame("gateway", "outside", sent=True, at=3),
    frame("gateway", "inside", sent=False, at=2),
    frame("server", "outside", sent=False, at=4),
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Capturing(), ["client inside", "gateway inside", "gateway outside", "server outside"]),
        (Capturing(network="outside"), ["gateway outside"]),
        (Capturing(network="inside"), ["client inside"]),
        (Capturing(node="gateway", network="inside"), ["gateway inside"]),
    ],
)
def test_a_file_has_what_is_wanted_in_the_order_of_time(tmp_path: Path, wanted: Capturing, expected: list[str]) -> None:
    file = File(tmp_path / "x.pcapng", wanted)
    # Only a node that is wanted is asked.
    for seen in SEEN:
        if wanted.node in ("", seen.node):
            file.hear(seen)
    file.close()
    assert places(tmp_path / "x.pcapng") == expected
    assert file.written == len(expected)


def test_what_is_too_new_waits_for_what_was_before_it(tmp_path: Path) -> None:
    file = File(tmp_path / "x.pcapng", Capturing())
    file.hear(SEEN[1])
    file.write(until=2.5)
    assert file.written == 0
    file.hear(SEEN[2])
    file.write(until=2.5)
    # Whoever reads along has it by now.
    assert places(tmp_path / "x.pcapng") == ["gateway inside"]
    file.close()
    assert places(tmp_path / "x.pcapng") == ["gateway inside", "gateway outside"]


def test_a_reader_that_went_away_is_noticed_though_nothing_is_said() -> None:
    reader, writer = os.pipe()
    file = File(writer, Capturing())
    file.write(until=0)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        file.write(until=0)
    with pytest.raises(BrokenPipeError):
        file.close()


def test_a_file_is_written_until_it_is_over(tmp_path: Path) -> None:
    file, ended = File(tmp_path / "x.pcapng", Capturing()), threading.Event()
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(file.go_on, ended)
        file.hear(SEEN[0])
        waiting.until(lambda: file.written, 10, "a frame to be written")
        ended.set()
        assert writing.result(10) is None
    assert places(tmp_path / "x.pcapng") == ["client inside"]
    file.close()


def test_what_has_no_link_header_gets_an_empty_one(tmp_path: Path) -> None:
    file = File(tmp_path / "x.pcapng", Capturing())
    file.hear(frame("gateway", "ipsec0", sent=True, at=1, hardware=TUN))
    file.close()
    ((place, data),) = told(tmp_path / "x.pcapng")
    assert place == "gateway ipsec0"
    assert data == bytes(12) + b"\x08\x00" + bytes(PING)


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Capturing(network="nowhere"), r"^--network: found 'nowhere', expected one of: inside, outside; choose one"),
        (Capturing(node="nobody"), r"^--node: found 'nobody', expected one of: client, gateway, server; choose one"),
        (Capturing(node="client", network="outside"), r"^--network: found outside, expected one of client's: inside;"),
        (Capturing(seconds=-1), r"^--seconds: found -1, expected 0 or more"),
        (Capturing(seconds=float("nan")), r"^--seconds: found nan, expected 0 or more"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(bed: Bed, tmp_path: Path, wanted: Capturing, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        capture(bed, wanted, tmp_path / "x.pcapng", lambda _: None)
    assert not (tmp_path / "x.pcapng").exists()


def test_a_testbed_that_is_down_is_said_to_be(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(NodeFailed, match="bring the testbed up first"):
        capture(bed, Capturing(), tmp_path / "x.pcapng", lambda _: None)
    assert not (tmp_path / "x.pcapng").exists()
