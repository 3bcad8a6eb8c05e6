"""`invoke draw` on a testbed in earnest: a tunnel is drawn as it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.live.conftest import command
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology import compose_file


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("drawn")
    for words in (["new", "drawn", "--sites", "2"], ["up", "--scenario", "drawn"]):
        subprocess.run(command(root, *words), check=True, capture_output=True)
    yield root
    subprocess.run(command(root, "down", "--scenario", "drawn"), check=True, capture_output=True)


def states(root: Path) -> Mapping[str, str]:
    """The state of each tunnel in the picture."""
    line = command(root, "draw", "--scenario", "drawn")
    picture = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r'data-tunnel="([^"]+)" data-state="([^"]+)"', picture))


def test_a_tunnel_is_drawn_as_it_is(up: Path) -> None:
    assert states(up) == {"gateway-s gateway-1": "up", "gateway-s gateway-2": "up"}
    bed = open_testbed(compose_file.load("drawn", up), up)
    try:
        gateway = bed.node("gateway-1")
        for tunnel in gateway.tunnels():
            gateway.daemon.end(tunnel, politely=True)
    finally:
        bed.close()
    assert states(up) == {"gateway-s gateway-1": "down", "gateway-s gateway-2": "up"}
