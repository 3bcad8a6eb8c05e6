"""The doorman of a node's machine, run here: what a command says and is told, however much, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunnelbed.engines.qemu.conversation import HEADER, HELLO, WINDOW, Conversation, asked, message

GUEST_AGENT = Path(__file__).parents[1] / "scripts" / "vm" / "guest-agent"
# As the first process of a machine has them when it becomes the doorman.
BEGIN = 'trap "" INT QUIT && exec 3<&"$1" 4<&"$2" 5<&"$3" && exec "$4" -IS "$5"'


class Machine:
    """A doorman with the other ends of its descriptors."""

    def __init__(self) -> None:
        self.fuse, fuse = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.talk, talk = socket.socketpair()
        self.files, files = socket.socketpair()
        ends = [end.fileno() for end in (fuse, talk, files)]
        words = [*map(str, ends), sys.executable, str(GUEST_AGENT)]

        self.process = subprocess.Popen(["bash", "-c", BEGIN, "sh", *words], pass_fds=ends)
        # Has the flags of the doorman's own, since it is the same open file.
        self.fuse_theirs = fuse
        for end in (talk, files):
            end.close()
        self.number = 0

    def hello(self) -> tuple[int, bytes]:
        number, what, _ = HEADER.unpack(self.talk.recv(HEADER.size))
        return number, what

    def begin(self, *argv: str, terminal: tuple[int, int] | None = None) -> Conversation:
        """Start a command; its conversation has the port to itself."""
        self.talk.sendall(message(0, b"R", asked(argv, terminal)))
        return Conversation(self.talk)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.fuse, self.fuse_theirs, self.talk, self.files):
            end.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    assert made.hello() == (0, HELLO)
    yield made
    made.end()


def test_what_a_command_says_comes_apart_from_its_errors_and_with_its_status(machine: Machine) -> None:
    stream = machine.begin("sh", "-c", "echo said; echo wrong >&2; exit 7")
    assert stream.all() == (b"said\n", b"wrong\n")
    assert stream.status == 7


def test_a_command_that_is_not_there_ends_as_in_a_shell(machine: Machine) -> None:
    stream = machine.begin("no-such-command")
    assert stream.all() == (b"", b"no-such-command: No such file or directory\n")
    assert stream.status == 127


def test_one_that_is_killed_says_by_which_signal(machine: Machine) -> None:
    stream = machine.begin("sh", "-c", "kill -KILL $$")
    stream.all()
    assert stream.status == 128 + 9


def test_input_reaches_it_and_so_does_its_end(machine: Machine) -> None:
    stream = machine.begin("cat")
    stream.send(b"one\n")
    assert stream.receive() == b"one\n"
    stream.send(b"two\n")
    stream.end()
    assert stream.all() == (b"two\n", b"")
    assert stream.status == 0


def test_far_more_than_the_window_passes_both_ways(machine: Machine) -> None:
    stream = machine.begin("cat")
    data = os.urandom(6 * WINDOW + 1)

    def hand_in() -> None:
        stream.send(data)
        stream.end()

    sender = threading.Thread(target=hand_in)
    sender.start()
    out, _ = stream.all()
    sender.join()
    assert out == data
    assert stream.status == 0


def test_output_that_nobody_takes_stops_at_the_window(machine: Machine) -> None:
    machine.begin("sh", "-c", "exec cat /dev/zero")
    machine.talk.settimeout(0.5)
    taken = 0
    with contextlib.suppress(TimeoutError):
        while data := machine.talk.recv(1 << 20):
            taken += len(data)
    assert WINDOW <= taken < 2 * WINDOW


def test_a_person_s_command_has_a_terminal_of_that_size(machine: Machine) -> None:
    stream = machine.begin("sh", "-c", "tty >/dev/null && stty size", terminal=(33, 77))
    out, _ = stream.all()
    assert out == b"33 77\r\n"
    assert stream.status == 0


@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_a_key_at_a_terminal_ends_a_command(machine: Machine, key: bytes, number: signal.Signals) -> None:
    stream = machine.begin("sh", "-c", "echo on; exec sleep 100", terminal=(24, 80))
    assert stream.receive() == b"on\r\n"
    stream.send(key)
    stream.all()
    assert stream.status == 128 + number


def test_a_request_that_is_taken_back_stops_nobody(machine: Machine) -> None:
    assert not os.get_blocking(machine.fuse_theirs.fileno())


def test_files_are_asked_for_and_answered_as_they_are(machine: Machine) -> None:
    request = struct.pack("=I", 12) + b"question"
    machine.fuse.send(request)
    assert machine.files.recv(100) == request
    answers = struct.pack("=I", 10) + b"answer" + struct.pack("=I", 9) + b"other"
    machine.files.sendall(answers[:13])
    assert machine.fuse.recv(100) == answers[:10]
    machine.files.sendall(answers[13:])
    assert machine.fuse.recv(100) == answers[10:]


def test_it_ends_with_its_port(machine: Machine) -> None:
    machine.talk.shutdown(socket.SHUT_RDWR)
    assert machine.process.wait(5) == 0
