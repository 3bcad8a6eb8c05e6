"""A small testbed in earnest, as virtual machines. It needs QEMU: `scripts/setup --engine qemu`; `pytest tests/vms`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.conftest import Checkout, processes
from tests.live.conftest import STACK
from tunnelbed.engines.qemu import accelerator, files

HOME = Path(__file__).parents[2]
# Seconds for anything, where machines are emulated on a busy machine.
MOST = 600


class Person:
    """Somebody at a terminal who brings `tiny` up as machines."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        checkout.stack = yaml.safe_load(STACK)
        checkout.configure("client/note", "first")
        checkout.write()

    def start(self, *words: str) -> subprocess.Popen[str]:
        end = words.index("--") if "--" in words else len(words)
        words = (*words[:end], "--scenario", "tiny", "--path", str(self.checkout.root), *words[end:])
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(HOME), *words],
            env={**os.environ, "PYTHONPATH": str(HOME), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def does(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=MOST)
        return process.returncode, out, err

    def at(self, node: str, *command: str) -> str:
        code, out, err = self.does("exec", "--node", node, "--", *command)
        assert code == 0, err
        return out

    def left(self) -> list[str]:
        """Files of a testbed, and processes that know of one."""
        kept = f"{self.checkout.root}/.tunnelbed"
        return [*(line for line in processes().values() if kept in line), *map(str, Path(kept).glob("**/*"))]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = Person(Checkout(tmp_path_factory.mktemp("machines") / "checkout"))
    code, _, err = person.does("up", "--engine", "qemu", "--memory", "160")
    assert code == 0, err
    assert re.search(r"starting 3 machines on 1 networks, by (KVM|software emulation)", err)
    yield person
    assert person.does("down")[1].startswith("tiny: removed 3 VMs, 1 network")
    assert person.left() == []


def test_the_trial_of_an_accelerator_knows_one_that_boots(up: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TRIAL_SECONDS", MOST)
    shared = files.ensure(print)
    assert files.boots(shared, accelerator.emulation())
    assert not files.boots(shared, replace(accelerator.emulation(), words=("-accel", "no-such-thing")))


def test_a_script_reads_which_engine_it_is_on(up: Person) -> None:
    (bed,) = json.loads(up.does("status", "--json")[1])
    assert bed["up"]
    assert bed["options"]["engine"] == "qemu"
    assert {node["state"] for node in bed["nodes"]} == {"running"}
    assert re.search(r"engine QEMU .*kernel 6\..*accelerator (KVM|software emulation)", up.does("status")[1])


def test_a_command_keeps_its_words_and_its_status(up: Person) -> None:
    assert up.at("client", "printf", "%s|", "a  b", "'", "$HOME", "*") == "a  b|'|$HOME|*|"
    assert up.does("exec", "--node", "client", "--", "sh", "-c", "exit 7")[0] == 7


def test_a_node_is_its_own_machine_and_sees_nothing_around_itself(up: Person) -> None:
    links = {link["ifname"] for link in json.loads(up.at("client", "ip", "-json", "link"))}
    assert links == {"lo", "inside"}
    assert up.at("client", "cat", "/proc/1/comm") == "rest\n"
    assert up.at("client", "cat", "/proc/sys/kernel/hostname") == "client\n"
    status = up.at("client", "cat", "/proc/1/status")
    # NET_ADMIN and NET_RAW, as the stack says.
    assert re.findall(r"Cap(?:Eff|Bnd):\s+(\w+)", status) == ["0000000000003000"] * 2
    assert up.does("exec", "--node", "client", "--", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")[0] != 0


def test_its_clock_runs_as_ours_does(up: Person) -> None:
    def uptime() -> float:
        return float(up.at("client", "cat", "/proc/uptime").split()[0])

    began, first = time.monotonic(), uptime()
    threading.Event().wait(20)
    ended, last = time.monotonic(), uptime()
    assert 0.8 < (last - first) / (ended - began) < 1.25


def test_its_files_are_what_they_are_here_at_that_moment(up: Person) -> None:
    assert up.at("client", "cat", "/etc/tunnelbed/node/note") == "first"
    up.checkout.configure("client/note", "second")
    assert up.at("client", "cat", "/etc/tunnelbed/node/note") == "second"
    assert up.does("exec", "--node", "client", "--", "sh", "-c", "echo x >/etc/tunnelbed/node/note")[0] != 0


def test_the_other_engine_is_refused_while_this_one_has_it(up: Person) -> None:
    code, _, err = up.does("up", "--engine", "docker")
    assert code == 2
    assert "expected --engine qemu, on which it is up; take it down first" in err


def test_a_stack_that_no_machine_can_be_is_refused_and_leaves_nothing(checkout: Checkout) -> None:
    person = Person(checkout)
    checkout.stack["services"]["client"]["volumes"] = ["./here:/there"]
    checkout.write()
    code, _, err = person.does("up", "--engine", "qemu")
    assert code == 2
    assert "services.client" in err.splitlines()[-1]
    assert person.left() == []


@pytest.mark.parametrize("phase", ["starting 3 machines", "waiting for the nodes"])
def test_ctrl_c_takes_every_machine_down(checkout: Checkout, phase: str) -> None:
    person = Person(checkout)
    process = person.start("up", "--engine", "qemu")
    assert process.stderr
    for line in process.stderr:
        if phase in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=MOST)
    assert (process.returncode, "Traceback" in rest) == (130, False)
    assert person.left() == []
