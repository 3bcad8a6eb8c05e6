"""The page of a real testbed: what crosses is shown, traced, captured; it ends with Ctrl-C and with the testbed."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scapy.layers.ipsec import ESP
from scapy.utils import PcapNgReader

from tests.live.conftest import Person, command


class Shown:
    """A page, and the command that serves it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr
        line = next(line for line in process.stderr if "http://" in line)
        found = re.search(r"http://\S+", line)
        assert found, line
        self.address = urlsplit(found[0])

    def asks(self, path: str, **body: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port or 0, timeout=60)
        origin = f"http://{self.address.netloc}"
        if path.startswith("POST "):
            headers = {"Origin": origin, "Content-Type": "application/json"}
            connection.request("POST", self.address.path + path.removeprefix("POST "), json.dumps(body), headers)
        else:
            connection.request("GET", self.address.path + path)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    @contextlib.contextmanager
    def events(self) -> Iterator[Iterator[tuple[str, Any]]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port or 0, timeout=60)
        connection.request("GET", self.address.path + "events")
        answer = connection.getresponse()

        def events() -> Iterator[tuple[str, Any]]:
            while line := answer.readline():
                if line.startswith(b"event: "):
                    yield line.decode().split()[1], json.loads(answer.readline().decode().removeprefix("data: "))

        yield events()
        connection.close()

    def ends(self) -> tuple[int, str]:
        """Its exit code, and all that it printed since the address."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


@pytest.fixture
def shown(mine: Path) -> Iterator[Shown]:
    process = subprocess.Popen(
        command(mine, "show", "--scenario", "mine"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Shown(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def ping(mine: Path) -> None:
    words = ["exec", "--scenario", "mine", "--node", "host-a", "--", "ping", "-c", "3", "-i", "0.2", "10.2.0.2"]
    subprocess.run(command(mine, *words), check=True, capture_output=True)


def test_a_ping_is_clear_in_its_site_and_sealed_between_gateways(mine: Path, shown: Shown) -> None:
    with shown.events() as events:
        counts: dict[str, dict[str, int]] = next(data["counts"] for name, data in events if name == "traffic")
        ping(mine)
        lines: list[dict[str, str]] = []
        while counts["intranet_b"]["clear"] < 6:
            name, data = next(events)
            if name == "traffic":
                counts, lines = data["counts"], [*lines, *data["lines"]]
    assert (counts["intranet_a"]["clear"], counts["isp_link"]["clear"]) == (6, 0)
    assert (counts["intranet_a"]["sealed"], counts["isp_link"]["sealed"]) == (0, 6)
    assert not any(found[form] for found in counts.values() for form in ("unlisted", "unexamined"))
    text = {(line["network"], line["form"]): line["text"] for line in lines}
    assert "ICMP echo-re" in text["intranet_a", "clear"]
    assert "ESP SPI" in text["isp_link", "sealed"]


def test_a_trace_reports_the_path(shown: Shown) -> None:
    status, text = shown.asks("POST trace", **{"from": "host-a", "to": "host-b", "on": ""})
    path = json.loads(text)
    assert (status, path["answered"]) == (200, True), path
    assert {step["network"] for step in path["steps"] if step["sealed"]} == {"isp_link"}


def test_a_capture_is_a_pcapng(mine: Path, shown: Shown, tmp_path: Path) -> None:
    assert shown.asks("POST captures", network="isp_link")[0] == 200
    ping(mine)
    assert shown.asks("POST captures/1/stop")[0] == 200
    status, data = shown.asks("captures/1")
    assert status == 200
    saved = tmp_path / "saved.pcapng"
    saved.write_bytes(data)
    with PcapNgReader(str(saved)) as reader:
        assert len([packet for packet in reader if ESP in packet]) == 6


def test_a_proof_beside_it_holds(mine: Path, shown: Shown) -> None:
    words = ["verify", "--scenario", "mine"]
    done = subprocess.run(command(mine, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # The nodes that were restarted meanwhile are watched again.
    with shown.events() as events:
        seen = (data for name, data in events if name == "state")
        assert next(state for state in seen if all(node["watched"] for node in state["nodes"]))


def test_ctrl_c_ends_it_with_its_captures(mine: Path, shown: Shown) -> None:
    status, text = shown.asks("POST captures", network="")
    assert status == 200
    with shown.events() as events:
        next(events)
        shown.process.send_signal(signal.SIGINT)
        assert shown.ends() == (0, "")
    with PcapNgReader(json.loads(text)["file"]) as reader:
        list(reader)


def test_a_port_in_use_is_one_line(mine: Path, shown: Shown) -> None:
    port = str(shown.address.port)
    words = ["show", "--scenario", "mine", "--port", port]
    done = subprocess.run(command(mine, *words), capture_output=True, text=True, check=False)
    expected = "expected a free port of this machine; choose another one, or omit it"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"tunnelbed: --port: found {port}: Address already in use, {expected}\n"


def test_a_testbed_that_is_not_up_is_one_line(person: Person) -> None:
    answer = person.does("show", "--scenario", "tiny")
    advice = "bring it up: `invoke up --scenario tiny`"
    assert answer.errors == (f"tunnelbed: tiny: found no testbed that is up, expected one that is up; {advice}",)
    assert answer.code == 2


def test_the_end_of_the_testbed_ends_it(person: Person) -> None:
    assert person.up().code == 0
    shown = Shown(person.start("show", "--scenario", "tiny"))
    with shown.events() as events:
        assert person.does("down", "--scenario", "tiny").code == 0
        assert next(data for name, data in events if name == "state" and data["gone"])
        code, said = shown.ends()
    advice = "the page has ended, `invoke up` brings the testbed up again"
    assert (code, said) == (2, f"tunnelbed: tiny: the testbed was taken down; {advice}\n")
    assert person.left() == []
