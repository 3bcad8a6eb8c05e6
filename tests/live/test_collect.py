"""`invoke collect` on a testbed in earnest: every node, dead ones told, and none of its secrets."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import command
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology import compose_file


@pytest.fixture(scope="module", params=["certificates", "psk"])
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp(request.param)
    for words in (["new", "safe", "--auth", request.param], ["up", "--scenario", "safe"]):
        subprocess.run(command(root, *words), check=True, capture_output=True)
    yield root
    subprocess.run(command(root, "down", "--scenario", "safe"), check=True, capture_output=True)


def collected(root: Path, *words: str) -> str:
    line = command(root, "collect", "--scenario", "safe", *words)
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def secrets(root: Path) -> set[str]:
    """The secrets of the testbed, in the forms in which one could be printed: text, Base64, hex."""
    found = set()
    for file in root.glob("configs/safe/*/swanctl.conf"):
        found |= set(re.findall(r"secret\s*=\s*\"?([^\s\"]+)", file.read_text(encoding="utf-8")))
    for file in root.glob(".tunnelbed/safe/pki/*/private/*"):
        found |= {line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("-")}
    bed = open_testbed(compose_file.load("safe", root), root)
    try:
        for gateway in bed.gateways():
            kernel = bed.node(gateway).run(["ip", "xfrm", "state"]).stdout
            found |= set(re.findall(r"0x([0-9a-f]{32,})", kernel))
    finally:
        bed.close()
    return found


def test_every_node_is_collected_and_no_secret_of_the_testbed_leaves(up: Path, tmp_path: Path) -> None:
    file = tmp_path / "nodes.json"
    collected(up, "--json", str(file))
    text = file.read_text(encoding="utf-8")
    known = secrets(up)
    assert known
    assert [secret for secret in sorted(known) if secret in text] == []
    nodes = {one["node"]: one for one in json.loads(text)["nodes"]}
    assert len(nodes) > 3
    assert all((one["state"], one["missing"]) == ("running", "") for one in nodes.values())
    gateway = {part["name"]: "\n".join(part["lines"]) for part in nodes["gateway-a"]["sections"]}
    assert "ESTABLISHED" in gateway["strongSwan: sas"]
    assert "default" in gateway["routes"]
    assert "chain forward" in gateway["firewall"]
    assert ":500" in gateway["sockets"]
    assert "ipv4/ip_forward:1" in gateway["sysctls"]


def test_a_paused_node_is_told_and_the_others_are_collected(up: Path) -> None:
    bed = open_testbed(compose_file.load("safe", up), up)
    container = f"{bed.project}-host-a-1"
    bed.close()
    subprocess.run(["docker", "pause", container], check=True, capture_output=True)
    try:
        said = collected(up)
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True)
    assert "\nhost-a: paused; only its log can be read\n" in f"\n{said}"
    assert re.search(r"^gateway-b: running$", said, re.MULTILINE)


def test_a_daemon_that_is_silent_is_told_in_seconds(up: Path) -> None:
    bed = open_testbed(compose_file.load("safe", up), up)
    signal = (
        'for file in $(grep -lx charon /proc/[0-9]*/comm); do file=${file#/proc/}; kill -"$1" "${file%/comm}"; done'
    )
    try:
        bed.node("gateway-b").run(["sh", "-ec", signal, "sh", "STOP"], check=True)
        said = collected(up)
        bed.node("gateway-b").run(["sh", "-ec", signal, "sh", "CONT"], check=True)
    finally:
        bed.close()
    assert said.count("charon does not answer") == 1
    assert said.count("strongSwan: sas:") == 2
    assert said.count("strongSwan: pools") == 1
