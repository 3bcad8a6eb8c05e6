"""Running the features of scenarios, one behave process for each, and the results.

behave itself stays outside: it is started as a command, and its JSON report is read.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed.options import Option
from tunnelbed.topology.model import Scenario, testbed_name

HOLDS, FAILED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130
FORMATTER = "scripts.terminal:Terminal"
LAUNCHER = Path(__file__).resolve().parents[2] / "scripts" / "sentences.py"


@dataclass(frozen=True)
class Chosen:
    """Which of the sentences run, in how many testbeds, where they stop, and what a person and a CI system get."""

    tags: Annotated[
        str, Option("only features and scenarios with these tags, as behave writes them: `@slow`, `not @slow`")
    ] = ""
    jobs: Annotated[int, Option("the number of testbeds used in parallel, by default 1", least=1)] = 1
    junit: Annotated[str, Option("write JUnit XML into this folder, for a CI system")] = ""
    stop: Annotated[bool, Option("stop at the first sentence that does not hold")] = False
    pause: Annotated[
        bool, Option("at each sentence that does not hold, before anything is undone, show a prompt (docs/terminal.md)")
    ] = False
    speed: Annotated[
        float,
        Option(
            "how many times as fast VPN daemons' time passes while a sentence waits for them, by default 1",
            least=1,
            most=100,
        ),
    ] = 1.0
    sentences: Annotated[bool, Option("print a line for each sentence; by default one for each scenario")] = False

    def refuse(self) -> None:
        """A prompt needs a terminal, and one run at a time. Raises `BadInput`."""
        if self.pause and self.jobs > 1:
            raise BadInput("--pause", "", f"--jobs {self.jobs}", "one run at a time", "omit one of them")
        if self.pause and not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise BadInput("--pause", "", "no terminal", "a terminal for its prompt", "omit it, or use one")


@dataclass(frozen=True)
class Asked:
    """What to run: scenarios of the folder `root`, with options of their testbeds."""

    root: Path
    scenarios: Sequence[Scenario]
    settings: Mapping[str, str]
    chosen: Chosen = Chosen()
    # Whether outcomes have a `report`, with the evidence.
    reported: bool = False
    reports: Path = Path("reports")


@dataclass(frozen=True)
class Outcome:
    """The result of one scenario's features: sentences by how they ended, and the time in seconds.

    `failed` are expectations that do not hold, `errors` sentences that could not be judged.
    """

    scenario: str
    passed: int
    failed: Sequence[str]
    errors: Sequence[str]
    seconds: float
    status: int
    output: str
    instance: str = ""
    # What `scripts/run_report.py` wrote, if it was asked to and came so far.
    report: Mapping[str, Any] | None = None

    @property
    def code(self) -> int:
        """The exit code, the worst that happened: 2 something could not be judged or run, 1 one failed, 0 all hold."""
        if self.errors:
            return COULD_NOT_RUN
        if self.failed:
            return FAILED
        return COULD_NOT_RUN if self.status or not self.passed else HOLDS


class Watch(Protocol):
    """Shows several runs at a time. `line` comes from any thread, `ended` in the order of the scenarios."""

    def line(self, text: str) -> None:
        """One of the runs printed this."""

    def ended(self, outcome: Outcome) -> None:
        """A run has ended, and so have those before it."""


def run(asked: Asked, watch: Watch) -> Sequence[Outcome]:
    """Run each scenario's features, `chosen.jobs` scenarios at a time, in the order given.

    One at a time, behave prints to the terminal as it goes; several at a time, what each printed comes when it ended.
    """
    jobs = asked.chosen.jobs
    quiet = jobs > 1 and len(asked.scenarios) > 1

    behaves = _Behaves()

    def one(scene: Scenario) -> Outcome:
        return _one(asked, scene, behaves, watch if quiet else None)

    outcomes = []
    with ThreadPoolExecutor(max_workers=jobs) as pool, _asking() if asked.chosen.pause else contextlib.nullcontext():
        try:
            for outcome in pool.map(one, asked.scenarios):
                outcomes.append(outcome)
                if quiet:
                    watch.ended(outcome)
        except KeyboardInterrupt:
            # Each takes down what it brought up, for which the pool waits; what has not begun is never begun.
            behaves.end()
            raise
    return outcomes


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Leave a terminal's Ctrl-C to behave, whose prompt a person types at: there it may end one command only.

    Where it ends the run, behave's exit code is `INTERRUPTED`.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Behaves:
    """The running processes of behave; after `end`, these end and no other starts."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._ending = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def started(self, command: Sequence[str], *, quiet: bool) -> Iterator[subprocess.Popen[str]]:
        """A process, until it has ended by itself."""
        out, errors = (subprocess.PIPE, subprocess.STDOUT) if quiet else (None, None)
        with subprocess.Popen(command, stdout=out, stderr=errors, text=True) as process:
            with self._lock:
                self._running.add(process)
                if self._ending:
                    process.terminate()
            yield process
            process.wait()
            with self._lock:
                self._running.discard(process)

    def end(self) -> None:
        """Ask each to end. One that a terminal's Ctrl-C has reached as well is ending already and goes on with it."""
        with self._lock:
            self._ending = True
            for process in self._running:
                process.terminate()


def summary(outcome: Outcome) -> str:
    """One line: `53 sentences hold, 0 fail, 0 could not be judged (7.1 s)`."""
    failed, errors = len(outcome.failed), len(outcome.errors)
    told = f"{outcome.passed} sentences hold, {failed} fail, {errors} could not be judged ({outcome.seconds:.1f} s)"
    return told if outcome.passed or failed or errors else f"no sentence was run: {_last(outcome.output)}"


def _one(asked: Asked, scene: Scenario, behaves: _Behaves, watch: Watch | None) -> Outcome:
    """Run one scenario's features to their end; `watch` has what is printed, by default the terminal."""
    chosen, instance = asked.chosen, asked.settings.get("instance", "")
    report = asked.reports / "verify" / f"{testbed_name(scene.name, instance)}.json"
    evidence = report.with_suffix(".evidence.json")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    evidence.unlink(missing_ok=True)
    command = [
        sys.executable,
        str(LAUNCHER),
        *("--format", FORMATTER, "--outfile", "-"),
        *("--format", "json", "--outfile", str(report)),
        "--no-skipped",
        *("--tags", f"@scenario.{scene.name}"),
        *(("--tags", chosen.tags) if chosen.tags else ()),
        *(("--junit", "--junit-directory", str(Path(chosen.junit, scene.name))) if chosen.junit else ()),
        *(("--stop",) if chosen.stop else ()),
        *(word for key, value in asked.settings.items() if value for word in ("-D", f"{key}={value}")),
        *(("-D", f"report={evidence}") if asked.reported else ()),
        # Whoever runs several sums up once, at the end.
        *("-D", "summary=no"),
        *(("-D", "pause=yes") if chosen.pause else ()),
        *(("-D", f"speed={chosen.speed:g}") if chosen.speed > 1 else ()),
        *(("-D", "sentences=yes") if chosen.sentences else ()),
        *("-D", f"path={asked.root}"),
        str(scene.features),
    ]
    shell.log.info("%s", shell.quoted(command))
    began = time.monotonic()
    output = ""
    with behaves.started(command, quiet=watch is not None) as process:
        for line in process.stdout or ():
            output += line
            if watch is not None:
                watch.line(line)
    if process.returncode == INTERRUPTED:
        # By Ctrl-C that reached behave alone, as with `--pause`: the whole command is meant.
        raise KeyboardInterrupt
    passed, failed, errors = _read(report)
    seconds = time.monotonic() - began
    found = None
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(evidence.read_text(encoding="utf-8"))
    return Outcome(scene.name, passed, failed, errors, seconds, process.returncode, output, instance, found)


def _read(report: Path) -> tuple[int, Sequence[str], Sequence[str]]:
    """Passed, failed and undecided sentences in behave's JSON report; nothing where behave wrote none."""
    features = []
    with contextlib.suppress(OSError, ValueError):
        features = json.loads(report.read_text(encoding="utf-8"))
    passed = 0
    failed: list[str] = []
    errors: list[str] = []
    for feature in features:
        for element in feature.get("elements", ()):
            for step in element["steps"]:
                status = step.get("result", {}).get("status")
                sentence = f"{step['location']}: {step['keyword']} {step['name']}"
                passed += status == "passed"
                if status == "failed":
                    failed.append(sentence)
                elif status in ("error", "undefined", "hook_error"):
                    errors.append(sentence)
        if feature.get("status") in ("error", "hook_error") and not errors:
            errors.append(f"{feature['location']}: {feature['name']}")
    return passed, failed, errors


def _last(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "the reason is printed above"
