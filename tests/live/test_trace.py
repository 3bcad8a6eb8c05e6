"""A packet's way through a testbed that is up: told whole, whether it gets there or not."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.live.conftest import command


def traced(root: Path, *words: str) -> tuple[int, list[tuple[str, str, str]], str]:
    """The exit code, each line's node, way, and what it begins with, and the outcome."""
    words = ("--scenario", "mine", "--from", "host-a", *words)
    done = subprocess.run(command(root, "trace", *words), capture_output=True, text=True, check=False)
    head, *lines, outcome = done.stdout.splitlines()
    assert head.split() == ["ms", "node", "way", "network", "packet"]
    found = [re.fullmatch(r" *(?:-?[\d.]+)? +(\S+) +(in|out|rule) +(.*)", line) for line in lines]
    assert all(found), done.stdout
    return done.returncode, [(match[1], match[2], match[3]) for match in found if match], outcome


def test_a_ping_through_a_tunnel_is_told_there_and_back(mine: Path) -> None:
    code, lines, outcome = traced(mine, "--to", "host b")
    assert code == 0
    assert re.fullmatch(r"answered after [\d.]+ ms; in clear on intranet_a, intranet_b; ESP on isp_link", outcome)
    assert lines[0][:2] == ("host-a", "out")
    assert lines[-1][:2] == ("host-a", "in")
    assert [node for node, way, _ in lines if way == "rule"] == ["gateway-a", "gateway-b", "gateway-b", "gateway-a"]
    assert all("inet filter forward: " in what for _, way, what in lines if way == "rule")
    link = [
        (node, way) for node, way, what in lines if re.match(r"isp_link +192\.0\.2\.\d > 192\.0\.2\.\d  ESP SPI ", what)
    ]
    there = [("gateway-a", "out"), ("gateway-b", "in")]
    assert link == [*there, ("gateway-b", "out"), ("gateway-a", "in")]


def test_a_port_that_nobody_serves_is_told_by_who_answers_so(mine: Path) -> None:
    code, lines, outcome = traced(mine, "--to", "host-b", "--tcp", "22")
    assert code == 1
    assert re.fullmatch(r"host-b answers: TCP 22 > \d+ RA", outcome)
    assert lines[-1][:2] == ("host-a", "in")


def test_what_a_firewall_drops_ends_there_with_its_rule(mine: Path) -> None:
    code, lines, outcome = traced(mine, "--to", "192.0.2.77", "--udp", "53")
    assert (code, outcome) == (1, "dropped by the firewall of gateway-a: inet filter forward: policy drop")
    assert [line[:2] for line in lines] == [("host-a", "out"), ("gateway-a", "in"), ("gateway-a", "rule")]


def test_what_does_not_fit_the_tunnel_is_told_by_the_gateway(mine: Path) -> None:
    code, lines, outcome = traced(mine, "--to", "host-b", "--size", "1500")
    assert code == 1
    assert re.fullmatch(r"gateway-a answers: ICMP dest-unreach \(fragmentation-needed\), MTU 1\d\d\d", outcome)
    assert ("gateway-a", "rule") in [line[:2] for line in lines]


def test_a_tunnel_that_is_gone_is_made_and_the_way_through_it_told(mine: Path) -> None:
    down = ["exec", "--scenario", "mine", "--node", "gateway-a", "--", "swanctl", "--terminate", "--ike", "peer"]
    subprocess.run(command(mine, *down), check=True, capture_output=True)
    code, _, outcome = traced(mine, "--to", "host-b", "--udp", "7")
    assert code == 0
    assert re.fullmatch(r"arrived after [\d.]+ ms; in clear on intranet_a, intranet_b; ESP on isp_link", outcome)


def test_a_link_that_is_down_is_told(mine: Path) -> None:
    link = ["exec", "--scenario", "mine", "--node", "host-b", "--", "ip", "link", "set", "intranet_b"]
    subprocess.run(command(mine, *link, "down"), check=True, capture_output=True)
    try:
        code, lines, outcome = traced(mine, "--to", "host-b")
    finally:
        subprocess.run(command(mine, *link, "up"), check=True, capture_output=True)
        route = [*link[:6], "ip", "route", "replace", "default", "via", "10.2.0.1"]
        subprocess.run(command(mine, *route), check=True, capture_output=True)
    assert code == 1
    # Seen to leave where the neighbour's MAC is still known, else asked for in vain.
    assert lines[-1][0] == "gateway-b"
    assert re.fullmatch(r".*last seen (entering|leaving) gateway-b by .*; intranet_b is down at host-b", outcome)


def test_a_sentence_that_does_not_hold_tells_the_rule_that_stopped_the_packet(mine: Path) -> None:
    sentence = "Then host A can reach gateway B on TCP port 22"
    feature = f"@scenario.mine @wrong\nFeature: x\n  Scenario: x\n    {sentence}\n"
    (mine / "features" / "mine" / "wrong.feature").write_text(feature)
    report = mine / "report.json"
    words = ["verify", "--scenario", "mine", "--tags", "@wrong", "--json", str(report)]
    done = subprocess.run(command(mine, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = [line.strip() for line in done.stdout.splitlines()]
    dropped = "dropped by the firewall of gateway-a: inet filter forward: policy drop"
    assert told.count(dropped) == told.count(f"cause:    {dropped}") == 1
    (testbed,) = json.loads(report.read_text(encoding="utf-8"))["testbeds"]
    (failed,) = testbed["features"][0]["scenarios"][0]["sentences"]
    assert (failed["status"], failed["cause"]) == ("fails", dropped)
    assert failed["expected"] == "host-a reaches gateway-b by TCP port 22"
    path, packets, capture, *logs = failed["evidence"]
    assert (path["kind"], path["steps"][-1]["event"], path["answered"]) == ("path", "rule", False)
    assert {seen["node"] for seen in packets["seen"]} >= {"host-a", "gateway-a"}
    assert capture["kind"] == "capture"
    assert [one["kind"] for one in logs] == ["log", "log", *["node state"] * 4]
    assert {"host-a", "gateway-a"} < {one["node"] for one in logs[2:]}
    assert testbed["testbed"]["engine"].startswith("Docker ")


def test_a_packet_for_which_the_peer_refuses_a_tunnel_is_explained_by_the_refusal(mine: Path) -> None:
    """Another tunnel of the same gateways is up, so that the gateway is not without any."""

    def on(gateway: str, *words: str) -> str:
        line = command(mine, "exec", "--scenario", "mine", "--node", gateway, "--", *words)
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    asked = {"gateway-a": ("10.1.0.0/16", "10.77.0.0/16", "aes128-sha256-ecp256")}
    asked["gateway-b"] = ("10.77.0.0/16", "10.1.0.0/16", "aes256gcm16-ecp384")
    files = {gateway: mine / "configs" / "mine" / gateway / "swanctl.conf" for gateway in asked}
    before = {gateway: file.read_text(encoding="utf-8") for gateway, file in files.items()}
    rule = "rule inet filter forward"
    said = on("gateway-a", "nft", "--echo", "--handle", *f"insert {rule} ip daddr 10.77.0.0/16 accept".split())
    (handle,) = re.findall(r"# handle (\d+)", said)
    try:
        for gateway, (local, remote, proposals) in asked.items():
            more = f"local_ts = {local}\nremote_ts = {remote}\nesp_proposals = {proposals}\nstart_action = trap\n"
            text = before[gateway].replace("        children {\n", f"        children {{\nrefused {{\n{more}}}\n", 1)
            files[gateway].write_text(text, encoding="utf-8")
            on(gateway, "swanctl", "--load-conns")
        code, _, outcome = traced(mine, "--to", "10.77.0.1")
    finally:
        on("gateway-a", "nft", *f"delete {rule} handle {handle}".split())
        for gateway, text in before.items():
            files[gateway].write_text(text, encoding="utf-8")
            on(gateway, "swanctl", "--load-conns")
    assert code == 1
    assert outcome.startswith("gateway-a has no tunnel for 10.1.0.2 > 10.77.0.1, its VPN logged: ")
    assert "NO_PROPOSAL_CHOSEN" in outcome
    assert "ip route get" not in outcome


def test_nothing_of_the_tracing_is_left(mine: Path) -> None:
    traced(mine, "--to", "host-b")
    rules = ["exec", "--scenario", "mine", "--node", "gateway-b", "--", "nft", "list", "tables"]
    left = subprocess.run(command(mine, *rules), capture_output=True, text=True, check=True).stdout
    assert left.split() == ["table", "inet", "filter"]
