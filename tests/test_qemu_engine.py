"""The QEMU engine from up to down, with its real supervisor and a stand-in for QEMU on the PATH."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Checkout, processes
from tunnelbed.engines import Plan
from tunnelbed.engines.agents import Agent
from tunnelbed.engines.qemu import accelerator, engine, files, vm_supervisor
from tunnelbed.engines.qemu.engine import FOLDER, QemuEngine
from tunnelbed.engines.qemu.machine import MEMORY
from tunnelbed.errors import CommandFailed, EngineUnavailable, NodeFailed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.topology import compose_file

HERE = Path(__file__).parent
PROJECT = "tiny-abc123"


def silent(text: str) -> None:
    """Progress nobody reads."""


class Beds:
    """A testbed of `tiny` on the engine."""

    def __init__(self, checkout: Checkout) -> None:
        for service in checkout.stack["services"].values():
            service["image"] = "tunnelbed/node"
        checkout.write()
        shared = checkout.root / "files"
        shared.mkdir()
        (shared / "release").write_text("6.12.0-test\n")
        self.state = checkout.root / ".tunnelbed" / "tiny"
        self.state.mkdir(parents=True)
        self.plan = Plan(compose_file.load("tiny", checkout.root), PROJECT, self.state, {"tunnelbed/node": str(shared)})
        self.engine = engine.connect(checkout.root)

    def up(self) -> QemuEngine:
        self.engine.start(self.plan, silent)
        waiting.until(lambda: all(map(self.has_spoken, self.plan.scenario.nodes)), 20, "all machines to be on")
        return self.engine

    def has_spoken(self, node: str) -> bool:
        return "ready" in self.engine.log(PROJECT, node)

    def supervisor(self) -> int:
        return int((self.state / FOLDER / "supervisor.pid").read_text())

    def machines(self) -> set[int]:
        """The processes of all machines; what one has just forked looks the same until it is another program."""
        mark = f"path={self.state / FOLDER}"
        found = {number for number, line in processes().items() if mark in line}
        return {number for number in found if parent(number) not in found}


def parent(number: int) -> int:
    """The process that started another; 0 for one that has ended."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0
    # After the program's name, in parentheses: state, parent (proc_pid_stat(5)).
    return int(stat.rpartition(")")[2].split()[1])


@pytest.fixture
def beds(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Beds]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / accelerator.architecture().program).symlink_to(HERE / "data" / "stand-in")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GUEST_AGENT", str(HERE.parent / "scripts" / "vm" / "guest-agent"))
    monkeypatch.setenv("TUNNELBED_ACCELERATOR", "tcg")
    monkeypatch.setenv(waiting.PATIENCE_VARIABLE, "1")
    made = Beds(checkout)
    yield made
    made.engine.stop(PROJECT, made.state)


def test_a_testbed_comes_up_and_goes_with_all_that_belongs_to_it(beds: Beds) -> None:
    assert beds.engine.states(PROJECT) == {}
    beds.up()
    assert len(beds.machines()) == 3
    waiting.until(lambda: "tunnelbed: ready" in beds.engine.log(PROJECT, "client"), 10, "a word")
    assert beds.engine.stop(PROJECT, beds.state) == {"VM": 3, "network": 2}
    waiting.until(lambda: not beds.machines(), 5, "the machines to be gone")
    assert beds.engine.states(PROJECT) == {}
    assert list(beds.state.iterdir()) == []
    assert beds.engine.stop(PROJECT, beds.state) == {}


def test_a_command_runs_to_its_end_with_its_input(beds: Beds) -> None:
    done = beds.up().run(PROJECT, "client", ["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin=b"in", check=False)
    assert (done.status, done.stdout, done.stderr) == (3, "in", "wrong\n")
    with pytest.raises(CommandFailed, match="on client ended with status 3"):
        beds.engine.run(PROJECT, "client", ["sh", "-c", "exit 3"])


def test_many_talk_at_once_each_with_its_own_command(beds: Beds) -> None:
    up = beds.up()
    heard: dict[int, str] = {}

    def ask(number: int) -> None:
        heard[number] = up.run(PROJECT, "server", ["sh", "-c", f"cat; echo {number}"], stdin=b"x" * 100_000).stdout[-9:]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {number: f"{'x' * 9}{number}\n"[-9:] for number in range(20)}


def test_an_agent_talks_through_it_and_its_clock_is_ours(beds: Beds, monkeypatch: pytest.MonkeyPatch) -> None:
    up = beds.up()
    monkeypatch.setattr("tunnelbed.engines.agents.AGENT", (str(HERE.parent / "scripts" / "node" / "agent"),))
    agent = Agent(up, PROJECT, "client")
    assert agent.run(["echo", "hello"]).stdout == "hello\n"
    assert abs(agent._measure()) < 1
    agent.close()


def test_a_command_that_ends_before_its_input_keeps_its_status(beds: Beds) -> None:
    done = beds.up().run(PROJECT, "client", ["sh", "-c", "echo enough; exit 5"], stdin=bytes(5_000_000), check=False)
    assert (done.status, done.stdout) == (5, "enough\n")


def test_a_command_is_told_each_size_of_its_terminal(beds: Beds) -> None:
    up = beds.up()
    ours, theirs = os.openpty()
    script = "until stty size | tee /dev/tty | grep -q '50 120'; do sleep 0.05; done"
    with subprocess.Popen(up.terminal(PROJECT, "client", ["sh", "-c", script]), stdin=theirs, stdout=theirs) as process:
        assert os.read(ours, 100).startswith(b"0 0")
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        process.send_signal(signal.SIGWINCH)
        assert process.wait(20) == 0
    os.close(ours)
    os.close(theirs)


def test_a_command_at_a_terminal_keeps_its_words_and_its_status(beds: Beds) -> None:
    words = beds.up().terminal(PROJECT, "client", ["sh", "-c", 'printf "<%s>" "$@"; cat; exit 4', "sh", "a  b", "*"])
    done = subprocess.run(words, input="typed", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (4, "<a  b><*>typed", "")


def test_what_a_node_says_is_kept_over_its_restart_and_told_since_a_mark(beds: Beds) -> None:
    up = beds.up()
    before = beds.machines()
    mark = up.mark(PROJECT, "server")
    assert up.log(PROJECT, "server", mark) == ""
    up.restart(PROJECT, "server")
    waiting.until(lambda: up.log(PROJECT, "server").count("tunnelbed: ready") == 2, 10, "a second word")
    assert up.log(PROJECT, "server", mark).count("tunnelbed: ready") == 1
    assert len(before & beds.machines()) == 2
    assert up.run(PROJECT, "server", ["echo", "there"]).stdout == "there\n"


def test_a_renewed_node_is_told_what_its_stack_says_now(beds: Beds, checkout: Checkout) -> None:
    up = beds.up()
    checkout.stack["services"]["server"]["environment"] = {"COLOUR": "green"}
    checkout.write()
    up.renew(replace(beds.plan, scenario=compose_file.load("tiny", checkout.root)), "server")
    assert "COLOUR=green" in (beds.state / FOLDER / "server.settings").read_text()


def test_nodes_renewed_at_once_each_become_what_their_own_plan_says(beds: Beds, checkout: Checkout) -> None:
    up = beds.up()
    plans: dict[str, Plan] = {}
    for node in ("server", "client"):
        plans[node] = replace(beds.plan, scenario=compose_file.load("tiny", checkout.root), memory=200 + len(plans))
    threads = [threading.Thread(target=up.renew, args=(plan, node)) for node, plan in plans.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {machine.node: machine.memory for machine in vm_supervisor.read(beds.state / FOLDER)}
    assert told == {"gateway": MEMORY, "server": 200, "client": 201}
    assert not list((beds.state / FOLDER).glob(".*"))


def test_a_node_whose_command_ends_is_off_and_says_so(beds: Beds) -> None:
    up = beds.up()
    (beds.state / FOLDER / "off-server").touch()
    waiting.until(lambda: up.states(PROJECT)["server"] == "exited", 10, "it to be off")
    with pytest.raises(NodeFailed, match="server: is exited; bring the testbed up first"):
        up.run(PROJECT, "server", ["true"])


def test_a_machine_that_cannot_be_started_says_why(beds: Beds, tmp_path: Path) -> None:
    up = beds.up()
    # Else the stand-in's guest agent, whose line is cut before its first word, complains into the same file.
    up.run(PROJECT, "server", ["true"])
    (tmp_path / "programs" / accelerator.architecture().program).unlink()
    machine = next(machine for machine in vm_supervisor.read(beds.state / FOLDER) if machine.node == "server")
    machine.log.unlink()
    up.restart(PROJECT, "server")
    waiting.until(lambda: up.states(PROJECT)["server"] == "exited", 10, "it to be off")
    assert accelerator.architecture().program in up.log(PROJECT, "server")


def test_a_killed_keeper_takes_its_machines_with_it_and_is_noticed(beds: Beds) -> None:
    up = beds.up()
    os.kill(beds.supervisor(), signal.SIGKILL)
    waiting.until(lambda: not beds.machines(), 10, "the machines to be gone")
    assert set(up.states(PROJECT).values()) == {"dead"}
    with pytest.raises(NodeFailed, match="bring the testbed up first"):
        up.run(PROJECT, "client", ["true"])
    assert up.stop(PROJECT, beds.state) == {"VM": 3, "network": 2}


def test_a_keeper_whose_folder_is_removed_ends_by_itself(beds: Beds) -> None:
    beds.up()
    supervisor = Path(f"/proc/{beds.supervisor()}")
    (beds.state / FOLDER).rename(beds.state / "moved")
    waiting.until(
        lambda: not supervisor.exists() or "Z" in (supervisor / "stat").read_text(), 20, "the supervisor to end"
    )


def test_a_keeper_that_does_not_answer_is_ended_all_the_same(beds: Beds) -> None:
    beds.up()
    os.kill(beds.supervisor(), signal.SIGSTOP)
    beds.engine.end_seconds = 0.3
    assert beds.engine.stop(PROJECT, beds.state) == {"VM": 3, "network": 2}
    waiting.until(lambda: not beds.machines(), 10, "the machines to be gone")


def test_who_asks_later_knows_by_what_it_runs(beds: Beds, checkout: Checkout) -> None:
    beds.up()
    told = engine.connect(checkout.root).describe()
    assert told == {"engine": "QEMU 9.9.9", "kernel": "6.12.0-test", "accelerator": "software emulation"}


@pytest.mark.parametrize(
    "text", ["", "[{", "{}", "[1]", '[{"node": "client"}]', '[{"accelerator": {"words": []}}]', "[]"]
)
def test_what_another_version_left_stops_nobody(beds: Beds, checkout: Checkout, text: str) -> None:
    (beds.state / FOLDER).mkdir()
    (beds.state / FOLDER / vm_supervisor.MACHINES).write_text(text)
    asked = engine.connect(checkout.root)
    assert asked.states(PROJECT) == {}
    with pytest.raises(NodeFailed, match="client: does not run"):
        asked.log(PROJECT, "client")
    assert asked.stop(PROJECT, beds.state) == {"VM": 0, "network": 0}


@pytest.mark.parametrize("text", ["", "{", "[1]", "7"])
def test_a_broken_note_of_accelerators_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    note = tmp_path / "accelerators.json"
    note.write_text(text)
    monkeypatch.setattr(accelerator, "chosen", lambda: None)
    monkeypatch.setattr(files, "boots", lambda *_: True)
    assert files.find_accelerator(tmp_path / "files", silent) == accelerator.kvm()
    assert list(json.loads(note.read_text()).values()) == ["kvm"]


def test_what_every_machine_took_is_counted(beds: Beds) -> None:
    taken = beds.up().usage(PROJECT)
    assert taken.peak_memory > 3 << 20
    assert taken.cpu_seconds >= 0
    beds.engine.stop(PROJECT, beds.state)
    with pytest.raises(TunnelbedError, match="bring the testbed up first"):
        beds.engine.usage(PROJECT)


def test_an_old_qemu_is_refused(beds: Beds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_VERSION", "QEMU emulator version 6.2.0 (Debian)")
    with pytest.raises(EngineUnavailable, match=r"6\.2\.0.*7\.2 is needed"):
        accelerator.version()
