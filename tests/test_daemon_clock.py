"""A daemon's clock that runs fast while it waits: compose/images/clock.c within a small daemon, and scripts/node/clock.

Times are compared with hours: what a busy machine takes is no reason to fail.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tunnelbed.host.waiting import until

HOME = Path(__file__).parent.parent
SCRIPT = HOME / "scripts" / "node" / "clock"
LIBRARY = HOME / "compose" / "images" / "clock.c"
DAEMON = Path(__file__).parent / "data" / "waiting.c"
# Where scripts/node/clock has these numbers.
BEYOND, GOAL = 0, 16
HOUR, BUSY, SOON = 3600.0, 60.0, 30.0
# For how long the clock waits for an answer, and until nothing is under way any more.
LONG, BRIEFLY, SETTLE = "60", "0.05", "0.005"
PACE = "100000"
# In which an hour passes at that pace many times over.
WHILE = 1.0

compiled = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine, to compile the clock with")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clock, compiled as compose/images/Dockerfile does it, and the daemon."""
    folder = tmp_path_factory.mktemp("programs")
    gcc = ("gcc", "-std=c17", "-O2", "-Wall", "-Wextra", "-pthread")
    for words in (
        ("-s", "-shared", "-fPIC", "-fvisibility=hidden", "-o", folder / "clock.so", LIBRARY),
        ("-o", folder / "waiting", DAEMON),
    ):
        subprocess.run([*gcc, *words], check=True)
    return folder


class Node:
    """A folder that stands for a node's /run/tunnelbed, with its `clock`."""

    def __init__(self, root: Path) -> None:
        self.file, self.log, self.script = root / "clock-of-daemon", root / "log", root / "clock"
        text = SCRIPT.read_text(encoding="utf-8")
        for where, moved in (("/run/tunnelbed/clock", self.file), ("/proc/1/fd/2", self.log)):
            assert f'"{where}"' in text
            text = text.replace(where, str(moved))
        self.script.write_text(text, encoding="utf-8")

    def made(self) -> Node:
        """As scripts/node/vpn makes the files."""
        self.file.write_bytes(bytes(4096))
        os.mkfifo(f"{self.file}.asked")
        return self

    @contextlib.contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run `clock`, and do not wait for it; it ends with the body."""
        command = [sys.executable, "-I", str(self.script), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def clock(self, *words: str) -> tuple[int, str]:
        """Run `clock` to its end: its status, and what it says."""
        with self.start(*words) as process:
            out, wrong = process.communicate(timeout=BUSY)
        return process.returncode, (out + wrong).strip()

    def pass_time(self, seconds: float, patience: str = BRIEFLY, pace: str = PACE) -> None:
        assert self.clock("pass", f"{seconds:g}", pace, patience, SETTLE) == (0, "")

    def ahead(self) -> float:
        """How many seconds have passed beyond the machine's."""
        return self._number(BEYOND) / 1e9

    def goal(self) -> int:
        return self._number(GOAL)

    def _number(self, at: int) -> int:
        return int(struct.unpack_from("q", self.file.read_bytes(), at)[0])


class Daemon:
    """The small daemon, and the lines that it has written."""

    def __init__(self, program: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(line.strip() for line in self.process.stdout)

    def tell(self, line: str, answer: str) -> str:
        """Tell it a line, and return what it then writes that fits."""
        assert self.process.stdin
        began = len(self.lines)
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.wrote(answer, began)

    def wrote(self, pattern: str, began: int = 0) -> str:
        """The first line that fits, sooner or later."""
        found = until(
            lambda: next((line for line in self.lines[began:] if re.fullmatch(pattern, line)), ""), BUSY, pattern
        )
        assert found
        return found

    def clocks(self) -> list[float]:
        """CLOCK_REALTIME, _MONOTONIC, _BOOTTIME, _REALTIME_COARSE, time(2), gettimeofday(2), its own processor's."""
        return [float(word) for word in self.tell("clocks", "clocks .*").split()[1:]]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path).made()


@contextlib.contextmanager
def running(programs: Path, clock: str = "") -> Iterator[Daemon]:
    """The daemon with the clock preloaded; `clock` is its file."""
    environment = {"LD_PRELOAD": str(programs / "clock.so"), **({"TUNNELBED_CLOCK": clock} if clock else {})}
    daemon = Daemon(programs / "waiting", environment)
    try:
        daemon.tell("preloaded", "preloaded .*")
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def daemon(programs: Path, node: Node) -> Iterator[Daemon]:
    with running(programs, str(node.file)) as found:
        yield found


def after(line: str) -> float:
    """Of `ended 60 after 60.002`, the last number."""
    return float(line.rsplit(maxsplit=1)[-1])


@compiled
@pytest.mark.parametrize("how", ["wait", "date"])
def test_an_hour_that_a_thread_waits_passes_at_once(node: Node, daemon: Daemon, how: str) -> None:
    daemon.tell(f"{how} 3600", "waits 3600")
    node.pass_time(2 * HOUR)
    assert HOUR <= after(daemon.wrote("ended 3600 .*")) < HOUR + BUSY
    assert node.ahead() == pytest.approx(2 * HOUR, abs=BUSY)


@compiled
def test_moments_come_in_their_order_and_each_thread_has_its_time(node: Node, daemon: Daemon) -> None:
    for seconds in (5000, 100, 7000, 1000, 9000):
        daemon.tell(f"wait {seconds}", f"waits {seconds}")
    node.pass_time(8000)
    daemon.wrote("ended 7000 .*")
    ended = [line.split() for line in daemon.lines if line.startswith("ended")]
    assert [words[1] for words in ended] == ["100", "1000", "5000", "7000"]
    # None oversleeps: the clock stops at each moment, whatever the pace.
    assert all(float(words[1]) <= float(words[3]) < float(words[1]) + SOON for words in ended)
    node.pass_time(2000)
    assert after(daemon.wrote("ended 9000 .*")) >= 9000


@compiled
def test_a_thread_that_works_is_not_overtaken(node: Node, daemon: Daemon) -> None:
    daemon.tell("busy 100", "waits 100")
    daemon.tell("wait 3600", "waits 3600")
    before = node.goal()
    with node.start("pass", "7200", PACE, LONG, SETTLE) as process:
        until(lambda: node.goal() > before, BUSY, "the clock to be asked")
        daemon.wrote("ended 100 .*")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(WHILE)
        assert node.ahead() < 100 + SOON
        assert not [line for line in daemon.lines if line.startswith("ended 3600")]
        daemon.tell("rest", "rests")
        assert process.wait(BUSY) == 0
    daemon.wrote("ended 3600 .*")


@compiled
@pytest.mark.parametrize("how", ["wait", "date"])
def test_a_signal_wakes_a_thread_at_once_whether_time_is_fast_or_not(node: Node, daemon: Daemon, how: str) -> None:
    for pace in ("1", "2"):
        before = node.goal()
        with node.start("pass", "100000", pace, LONG, SETTLE):
            until(lambda before=before: node.goal() > before, BUSY, "the clock to be asked")  # type: ignore[misc]
            daemon.tell(f"{how} 50000", "waits 50000")
            assert after(daemon.tell("wake", "woken 50000 .*")) < 50000


@compiled
def test_all_ways_to_ask_tell_the_same_time(node: Node, daemon: Daemon) -> None:
    node.pass_time(10 * HOUR)
    date, monotonic, boot, coarse, seconds, of_day, own = daemon.clocks()
    beyond = 10 * HOUR
    assert date - time.time() == pytest.approx(beyond, abs=BUSY)
    assert monotonic - time.monotonic() == pytest.approx(beyond, abs=BUSY)
    assert boot - time.clock_gettime(time.CLOCK_BOOTTIME) == pytest.approx(beyond, abs=BUSY)
    assert [coarse, seconds, of_day] == pytest.approx([date] * 3, abs=SOON)
    # What it has worked is no time of day.
    assert own < BUSY


@compiled
def test_both_times_are_logged_where_time_has_passed(node: Node, daemon: Daemon) -> None:
    node.pass_time(1)
    assert not node.log.exists()
    node.pass_time(10 * HOUR)
    (line,) = node.log.read_text(encoding="utf-8").splitlines()
    found = re.fullmatch("tunnelbed: it is (.*) for this node's daemon, and (.*) for the machine", line)
    assert found
    daemons, machines = (datetime.fromisoformat(when) for when in found.groups())
    assert (daemons - machines).total_seconds() == pytest.approx(10 * HOUR, abs=BUSY)


@compiled
def test_time_never_runs_backwards_and_not_by_itself(node: Node, daemon: Daemon) -> None:
    told = [daemon.clocks()]
    for seconds in (60, HOUR):
        node.pass_time(seconds)
        told.append(daemon.clocks())
    assert told[0][:6] < told[1][:6] < told[2][:6]
    ahead = node.ahead()
    daemon.clocks()
    assert node.ahead() == ahead


@compiled
def test_time_is_not_fast_while_a_request_awaits_its_answer(node: Node, daemon: Daemon) -> None:
    node.pass_time(1, LONG)
    daemon.tell("request", "sent")
    before = node.goal()
    with node.start("pass", "3600", PACE, LONG, SETTLE) as process:
        until(lambda: node.goal() > before, BUSY, "the clock to be asked")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(WHILE)
        assert node.ahead() < SOON
        daemon.tell("answer", "received 32")
        assert process.wait(BUSY) == 0
    assert node.ahead() >= HOUR - BUSY


@compiled
def test_an_answer_that_does_not_come_is_not_awaited_for_ever(node: Node, daemon: Daemon) -> None:
    node.pass_time(1, BRIEFLY)
    daemon.tell("request", "sent")
    node.pass_time(HOUR, BRIEFLY)


@compiled
def test_a_daemon_that_starts_again_goes_on_from_there(programs: Path, node: Node) -> None:
    with running(programs, str(node.file)):
        node.pass_time(HOUR)
    with running(programs, str(node.file)) as daemon:
        assert daemon.clocks()[0] - time.time() == pytest.approx(HOUR, abs=BUSY)
        node.pass_time(HOUR)
        assert daemon.clocks()[0] - time.time() == pytest.approx(2 * HOUR, abs=BUSY)


@compiled
def test_a_clock_that_is_set_right_ends_its_daemon_and_the_next_has_the_machine_s_time(
    programs: Path, node: Node
) -> None:
    with running(programs, str(node.file)) as daemon:
        node.pass_time(HOUR)
        assert node.clock("right") == (0, "")
        assert daemon.process.wait(BUSY) == -signal.SIGKILL
    assert node.ahead() == 0
    with running(programs, str(node.file)) as daemon:
        assert abs(daemon.clocks()[0] - time.time()) < BUSY


@compiled
@pytest.mark.parametrize("clock", ["", "/nowhere/clock"])
def test_without_a_file_all_goes_by_the_machine_s_time(programs: Path, clock: str) -> None:
    with running(programs, clock) as daemon:
        for how in ("wait", "date"):
            daemon.tell(f"{how} 0.05", "waits 0.05")
            assert after(daemon.wrote("ended 0.05 .*")) >= 0.05
        daemon.tell("wait 1000", "waits 1000")
        assert after(daemon.tell("wake", "woken 1000 .*")) < 1000
        daemon.tell("request", "sent")
        daemon.tell("answer", "received 32")
        assert abs(daemon.clocks()[0] - time.time()) < BUSY


@compiled
def test_what_a_daemon_starts_has_the_machine_s_time(node: Node, programs: Path) -> None:
    with running(programs, str(node.file)) as daemon:
        assert daemon.lines[0] == "preloaded nothing"
    with running(programs) as daemon:
        assert daemon.lines[0].endswith("/clock.so")


@compiled
def test_a_daemon_that_ends_while_time_passes_is_missed(programs: Path, node: Node) -> None:
    with running(programs, str(node.file)) as daemon:
        daemon.tell("request", "sent")
        before = node.goal()
        with node.start("pass", "100000000", "2", LONG, SETTLE) as process:
            until(lambda: node.goal() > before, BUSY, "the clock to be asked")
            daemon.close()
            out, wrong = process.communicate(timeout=BUSY)
    assert (process.returncode, out, wrong) == (1, "", "no daemon of this node reads a clock of ours\n")


@pytest.mark.parametrize("words", [("right",), ("pass", "60", "1800", "0.2", "0.002")])
def test_a_node_whose_image_has_no_clock_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert Node(tmp_path).clock(*words) == (1, "no daemon of this node reads a clock of ours")


@pytest.mark.parametrize("words", [("right",), ("pass", "60", "1800", "0.2", "0.002")])
def test_a_clock_that_no_daemon_has_read_is_nobody_s(node: Node, words: tuple[str, ...]) -> None:
    assert node.clock(*words) == (1, "no daemon of this node reads a clock of ours")
    assert node.ahead() == 0
