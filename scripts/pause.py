"""The prompt of `invoke verify --pause`: a sentence does not hold, and everything is as it was when it was judged.

Last of a run's formatters, so that what does not hold is shown before. What the scenario changed is undone after it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from behave.formatter.base import Formatter, StreamOpener
from behave.model import Step
from behave.model_type import Status
from behave.runner import Context

from scripts import terminal
from scripts.checkout import INVOKE, which
from tunnelbed.checks import packet_trace
from tunnelbed.checks.tracing import Tracing
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe import evidence_text
from tunnelbed.testbed.testbed import Testbed

WELL = (Status.passed, Status.skipped, Status.untested)
HELP = """\
trace FROM TO [--tcp PORT | --udp PORT | --on KIND] [--size BYTES]   one packet's path: trace client-a1 server-s1
exec NODE [COMMAND]      run a command on a node; by default a shell
logs [NODE]              the log of a node, or of all
status                   every node, its addresses and its tunnels
collect [NODE]           the state of all nodes, or of one: addresses, routes, firewall, SAs, log
continue                 undo what the scenario changed, and go on with the next scenario
quit                     undo it, take down what this run brought up, and end; likewise Ctrl-D and Ctrl-C"""


class Words(argparse.ArgumentParser):
    """The words after a command; a mistake is one line, and no end of the run."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise BadInput(self.prog, "", message, self.format_usage().removeprefix("usage: ").strip(), "correct it")


@dataclass(frozen=True)
class Prompt:
    """Reads commands about a testbed, until one goes on or ends the run."""

    bed: Testbed
    root: Path
    # What shows lines to the person.
    show: Callable[[str], None] = print
    read: Callable[[str], str] = field(default_factory=lambda: typed)

    def goes_on(self) -> bool:
        """Whether the run goes on: read and do commands until that is known."""
        self.show(f"    paused: everything is as it is now. Commands: {', '.join(self._commands())}")
        while True:
            try:
                words = shlex.split(self.read(f"{self.bed.name}> "))
            except (EOFError, KeyboardInterrupt):
                self.show("")
                return False
            except ValueError as wrong:
                self.show(f"tunnelbed: {wrong}: correct the line")
                continue
            if words in (["continue"], ["quit"]):
                return words == ["continue"]
            # Ctrl-C ends what was asked for, and nothing else.
            with contextlib.suppress(KeyboardInterrupt):
                self._do(words)

    def _commands(self) -> Mapping[str, Callable[[Sequence[str]], None]]:
        """What each command does with the words after it."""
        return {
            "trace": self._trace,
            "exec": self._exec,
            "logs": lambda words: self._of_node("logs", words),
            "status": lambda words: self._invoke("status", words),
            "collect": lambda words: self._of_node("collect", words),
            "continue": _alone("continue"),
            "quit": _alone("quit"),
            "help": self._help,
        }

    def _do(self, words: Sequence[str]) -> None:
        if not words:
            return
        try:
            if words[0] not in self._commands():
                raise BadInput("prompt", "", repr(words[0]), ", ".join(self._commands()), "name one")
            self._commands()[words[0]](words[1:])
        except (TunnelbedError, OSError) as wrong:
            self.show(f"tunnelbed: {wrong}")

    def _trace(self, words: Sequence[str]) -> None:
        """In this process: another one would be refused the testbed, which this run holds."""
        parser = Words("trace", add_help=False)
        parser.add_argument("ends", nargs="*", metavar="NODE")
        parser.add_argument("--from", dest="source", default="")
        parser.add_argument("--to", default="")
        parser.add_argument("--on", default="")
        for name in ("--tcp", "--udp", "--size"):
            parser.add_argument(name, type=int, default=0)
        given = parser.parse_args(words)
        ends = [word for word in (given.source, given.to) if word] + given.ends
        if len(ends) != 2:
            raise BadInput("trace", "", " ".join(ends) or "nothing", "two nodes, or a node and an address", "name both")
        kind = Tracing(*ends, given.on, given.tcp, given.udp).kind
        found = packet_trace.traced(self.bed, packet_trace.asked(self.bed, *ends, kind, given.size))
        self.show("\n".join(evidence_text.path(found)))

    def _exec(self, words: Sequence[str]) -> None:
        node, command = _node(words), list(words)[2 if words[:1] == ["--node"] else 1 :]
        if not node:
            raise BadInput("exec", "", "no node", f"one of: {', '.join(self.bed.scenario.nodes)}", "name it")
        command = command[1:] if command[:1] == ["--"] else command
        self._invoke("exec", ["--node", node, *(["--", *command] if command else [])])

    def _of_node(self, task: str, words: Sequence[str]) -> None:
        """A task that is about all nodes, or about the one that comes first."""
        node = _node(words)
        self._invoke(task, ["--node", node, *words[1:]] if words[:1] == [node] else words)

    def _invoke(self, task: str, words: Sequence[str]) -> None:
        """The task itself, for this testbed."""
        command = [*INVOKE, task, *which(self.bed, self.root), *words]
        with subprocess.Popen(command) as process:
            try:
                process.wait()
            except KeyboardInterrupt:
                # A terminal's Ctrl-C has reached it as well.
                process.wait()

    def _help(self, words: Sequence[str]) -> None:
        del words
        self.show(HELP)


class Pause(Formatter):  # type: ignore[misc] # behave ships no types
    """Prints nothing: stops where a sentence does not hold."""

    name = "pause"
    description = "A prompt where a sentence does not hold"

    def __init__(self, context: Context) -> None:
        self._runner = context._runner  # noqa: SLF001 # a hook has no other way to it
        super().__init__(StreamOpener(stream=sys.stdout), self._runner.config)

    def result(self, step: Step) -> None:
        """Ask what to do, where there is something to look at."""
        context = self._runner.context
        if step.status in WELL or self._runner.aborted or "bed" not in context:
            return
        shown = terminal.ours(self._runner.formatters)
        for one in shown:
            one.pause()
            one.forget_times()
        if Prompt(context.bed, context.root).goes_on():
            for one in shown:
                one.go_on()
        else:
            # No further scenario; this one's changes are undone, and the testbed is taken down, as at any end.
            self._runner.config.stop = True


def add(context: Context) -> None:
    """Let a run stop where a sentence does not hold, if that is asked for."""
    if context.config.userdata.getbool("pause"):
        context._runner.formatters.append(Pause(context))  # noqa: SLF001 # likewise


def typed(prompt: str) -> str:
    """A line from the terminal. Raises `EOFError` at Ctrl-D and `KeyboardInterrupt` at Ctrl-C.

    `input` loses a Ctrl-C that comes after it has printed the prompt and before it reads: it then waits for a line.
    """
    print(prompt, end="", flush=True)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before = signal.set_wakeup_fd(waker)
    try:
        # A signal makes `woken` readable, and Python then calls the signal's handler, which raises.
        while sys.stdin not in select.select([sys.stdin, woken], [], [])[0]:
            os.read(woken, 1)
        line = sys.stdin.readline()
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(waker)
    if not line:
        raise EOFError
    return line


def _node(words: Sequence[str]) -> str:
    """The node that comes first, with `--node` before it or without; empty where none does."""
    rest = list(words)[1:] if words[:1] == ["--node"] else list(words)
    return rest[0] if rest and not rest[0].startswith("-") else ""


def _alone(command: str) -> Callable[[Sequence[str]], None]:
    def refuse(words: Sequence[str]) -> None:
        raise BadInput(command, "", " ".join(words), "nothing after it", "omit that")

    return refuse
