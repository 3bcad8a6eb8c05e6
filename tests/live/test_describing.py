"""What a description says of a testbed that is up holds when it is proven."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.live.conftest import command


def test_what_is_described_is_proven(mine: Path) -> None:
    words = ["describe", "--scenario", "mine", "--ports", "22"]
    said = subprocess.run(command(mine, *words), check=True, capture_output=True, text=True).stdout
    for sentence in (
        "host A can reach host B through the tunnel",
        "every host cannot reach every gateway on TCP port 22",
        "gateway A protects exactly 10.1.0.0/24 towards 10.2.0.0/24",
        "every host has exactly the capabilities NET_ADMIN and NET_RAW",
        "gateway B has interfaces only in isp_link and intranet_b",
        "every host has addresses only of the IP versions its stack gives",
        "no two nodes have the same address",
    ):
        assert f" {sentence}\n" in said
    # There, a closed port answers by a reset: neither reached nor stopped.
    assert "\n  #   host B is let through to host A and not served on TCP port 22\n" in said
    (mine / "features" / "mine" / "proof.feature").write_text(said)
    proven = subprocess.run(command(mine, "verify", "--scenario", "mine"), capture_output=True, text=True, check=False)
    assert "mine: 26 sentences hold, 0 fail, 0 could not be judged" in proven.stdout, proven.stdout


def test_what_cannot_be_tried_is_told_in_a_line(mine: Path) -> None:
    words = ["describe", "--scenario", "mine", "--ports", "22,x"]
    done = subprocess.run(command(mine, *words), capture_output=True, text=True, check=False)
    expected = "tunnelbed: --ports: found '22,x', expected ports, 1 to 65535, separated by commas; correct it"
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [expected])
