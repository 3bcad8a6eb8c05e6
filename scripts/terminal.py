"""What a person sees of a run of features: a line a scenario, what does not hold in full, and a summary.

behave's formatter `tunnelbed`, the default here (`pyproject.toml`). On a terminal the last line is live: the sentence
being judged, how many are done, and the time left where that is known. Anywhere else there are plain lines.
Options, as `behave -D NAME=VALUE`: `sentences=yes` for a line a sentence; `summary=no` where somebody else sums up.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from behave.configuration import Configuration
from behave.formatter.base import Formatter, StreamOpener
from behave.matchers import Match, StepParseError
from behave.model import Feature, Scenario, Step
from behave.model_type import Status
from behave.reporter.summary import SummaryReporter
from behave.runner import Context
from rich.console import Console
from rich.text import Text

from scripts import closer, run_report, time_left
from scripts.live_line import LiveLine
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe import evidence_text

HOLDS, FAILS, NOT_JUDGED = Status.passed, Status.failed, Status.error
# Where a stream cannot show the first ones, the others.
MARKS = {HOLDS: ("✓", "+"), FAILS: ("✗", "x"), NOT_JUDGED: ("!", "!")}
STYLES = {HOLDS: "green", FAILS: "bold red", NOT_JUDGED: "bold yellow"}
PASSED_OVER = (Status.skipped, Status.untested)
# Where the times of earlier runs are kept, for each scenario of the folder.
TIMES = Path("reports") / "times.json"
INDENT = " " * 6


class Terminal(Formatter):  # type: ignore[misc] # behave ships no types
    """A run as a person reads it."""

    name = "tunnelbed"
    description = "A line a scenario; what does not hold with its evidence; live on a terminal"

    def __init__(self, stream_opener: StreamOpener, config: Configuration) -> None:
        super().__init__(stream_opener, config)
        self.stream = self.open()
        # It sums up itself, and proposes no Python to write.
        config.reporters = [one for one in config.reporters if not isinstance(one, SummaryReporter)]
        config.show_snippets = False
        plain = str(config.color) in ("off", "never", "False")
        self.console = Console(
            file=self.stream,
            # All is shown as it is: `:100:` in fd00:100::1 is no emoji.
            emoji=False,
            markup=False,
            highlight=False,
            no_color=plain or None,
            force_terminal=False if plain and not self.stream.isatty() else None,
        )
        self._each_sentence = config.userdata.getbool("sentences")
        self._sums_up = config.userdata.getbool("summary", default=True)
        self._context: Context | None = None
        self._feature: Feature | None = None
        self._scenario: Scenario | None = None
        self._headed = False
        self._shown = False
        self._paused = False
        self._said: Mapping[str, object] = {}
        self._counts = dict.fromkeys(MARKS, 0)
        self._wrong: list[tuple[Status, str]] = []
        self._total = 0
        self._left: time_left.TimeLeft | None = None
        self._took: dict[str, float] = {}
        self._sentence = ""
        self._began = self._scenario_began = time.monotonic()
        self._live = LiveLine(self.console, self._now)

    def begin(self, context: Context) -> None:
        """The run begins: what it is about to judge is known."""
        self._context = context
        features = context._runner.features  # noqa: SLF001 # a hook has no other way to it
        ahead = [one for feature in features for one in feature.walk_scenarios() if one.should_run(self.config)]
        self._total = sum(len(list(one.all_steps)) for one in ahead)
        self._left = time_left.TimeLeft([_key(one) for one in ahead], time_left.read(TIMES))

    def feature(self, feature: Feature) -> None:
        """A feature begins: its heading comes with its first line."""
        self.pause()
        self._feature, self._scenario, self._headed = feature, None, False

    def scenario(self, scenario: Scenario) -> None:
        """A scenario begins; the one before has ended, with all that it changed undone."""
        self._end()
        self._scenario, self._shown, self._paused = scenario, False, False
        self._scenario_began = time.monotonic()
        if scenario.should_run(self.config):
            self.go_on()

    def match(self, match: Match) -> None:
        """A sentence begins."""
        self._said = {str(one.name): one.value for one in match.arguments or () if one.name}

    def step(self, step: Step) -> None:
        """A sentence is announced, before any of its scenario is judged."""
        if not self._sentence:
            self._sentence = step.name

    def result(self, step: Step) -> None:
        """A sentence was judged, or is passed over after one that does not hold."""
        if step.status in PASSED_OVER or self._scenario is None or isinstance(step.exception, KeyboardInterrupt):
            return
        status = _judged(step.status)
        self._counts[status] += 1
        steps = list(self._scenario.all_steps)
        following = steps[steps.index(step) + 1 :] if step in steps else []
        self._sentence = following[0].name if following and status is HOLDS else ""
        if status is HOLDS:
            if self._each_sentence:
                self._heading(HOLDS)
                self._line(status, f"    {self._mark(status)} ", f"{step.keyword} {step.name}")
            return
        self._heading(status)
        where = f"{step.filename}:{step.line}"
        self._wrong.append((status, f"{where}  {step.keyword} {step.name}"))
        mark = f"{self._mark(status)} " if self._each_sentence else ""
        self._line(status, f"    {mark}", f"{step.keyword} {step.name}")
        self._print(Text(f"{INDENT}{where}", "dim"))
        for line in self._why(step):
            self._print(line)

    def eof(self) -> None:
        """A feature has ended."""
        self._end()
        self.pause()
        feature = self._feature
        if feature is not None and feature.hook_failed and feature.exception is not None:
            self._feature_heading()
            self._undecided(f"{feature.filename}:{feature.line}  {feature.name}", feature)
        self._feature = None

    def close(self) -> None:
        """The run has ended."""
        self.pause()
        time_left.write(TIMES, self._took)
        if self._sums_up and self._context is not None:
            self._print(Text(""))
            for status, sentence in self._wrong:
                told = "fails" if status is FAILS else "could not be judged"
                self._print(Text.assemble((f"{self._mark(status)} {told}: ", STYLES[status]), sentence))
            holds, fails, errors = self._counts.values()
            seconds = time.monotonic() - self._began
            counted = f"{holds} sentences hold, {fails} fail, {errors} could not be judged ({seconds:.1f} s)"
            worst = NOT_JUDGED if errors or not holds else FAILS if fails else HOLDS
            self._print(Text(counted, STYLES[worst]))
        self.close_stream()

    def hook_failed(self, told: str) -> None:
        """Something around the sentences could not be done: before all of them, or after."""
        self.pause()
        self._wrong.append((NOT_JUDGED, told))
        self._counts[NOT_JUDGED] += 1
        self._line(NOT_JUDGED, f"{self._mark(NOT_JUDGED)} ", f"tunnelbed: {told}")

    def pause(self) -> None:
        """Take the live line away: somebody else writes to the terminal."""
        self._live.hide()

    def go_on(self) -> None:
        """Show the live line, where there is a terminal for it."""
        self._live.show()

    def forget_times(self) -> None:
        """Somebody stopped to think: what this scenario took tells nothing."""
        self._paused = True

    def _now(self) -> Text:
        """The live line."""
        done = sum(self._counts.values())
        running = time.monotonic() - self._scenario_began
        left = time_left.said(self._left.seconds(running) if self._left else None)
        parts = [f"{done} of {self._total} sentences" if self._total else f"{done} sentences", left, self._sentence]
        line = Text("  " + " · ".join(part for part in parts if part), "dim", no_wrap=True)
        line.truncate(self.console.width, overflow="ellipsis")
        return line

    def _end(self) -> None:
        """The scenario has ended, if there is one."""
        scenario, self._scenario, self._sentence = self._scenario, None, ""
        if scenario is None or scenario.status in PASSED_OVER:
            return
        seconds = time.monotonic() - self._scenario_began
        if self._left:
            self._left.done(_key(scenario), None if self._paused else seconds)
        if scenario.status is Status.passed:
            self._took[_key(scenario)] = seconds
            if not self._each_sentence:
                self._feature_heading()
                count = len(list(scenario.all_steps))
                told = f"  {count} sentence{'s' if count != 1 else ''}, {seconds:.1f} s"
                mark = Text(f"  {self._mark(HOLDS)} ", STYLES[HOLDS])
                self._print(Text.assemble(mark, _title(scenario), (told, "dim")))
        elif scenario.hook_failed and scenario.exception is not None:
            self._scenario = scenario
            self._heading(NOT_JUDGED)
            self._scenario = None
            self._undecided(f"{scenario.filename}:{scenario.line}  {scenario.name}", scenario)

    def _heading(self, status: Status) -> None:
        """The scenario's line, before the first of what there is to tell of it."""
        self._feature_heading()
        if not self._shown and self._scenario is not None:
            self._shown = True
            # With a line for each sentence, those have the marks.
            self._line(status, "  " if self._each_sentence else f"  {self._mark(status)} ", _title(self._scenario))

    def _feature_heading(self) -> None:
        if not self._headed and self._feature is not None:
            self._headed = True
            self._print(Text(""))
            self._print(Text.assemble((self._feature.name, "bold"), (f"  {self._feature.filename}", "dim")))

    def _undecided(self, what: str, one: Feature | Scenario) -> None:
        """A feature's or a scenario's own failure, in a line: its testbed, or what could not be undone."""
        self._wrong.append((NOT_JUDGED, what))
        self._counts[NOT_JUDGED] += 1
        wrong = one.exception
        told = " ".join(str(wrong if wrong is not None else one.error_message).split())
        indent = "  " if isinstance(one, Feature) else "    "
        self._line(NOT_JUDGED, f"{indent}{self._mark(NOT_JUDGED)} ", f"tunnelbed: {told}")
        if wrong is not None and not isinstance(wrong, TunnelbedError | OSError):
            self._print(Text(_traceback(wrong), "dim"))

    def _why(self, step: Step) -> Iterator[Text]:
        """Expected, seen, cause, evidence, and how to look closer; or the one line of what could not be judged."""
        wrong = step.exception
        if isinstance(wrong, Unmet):
            facts = {"expected": wrong.expected, "seen": wrong.seen, "cause": wrong.cause}
            for word, told in facts.items():
                if told:
                    style = "bold" if word == "cause" else ""
                    first, *more = told.splitlines()
                    yield Text.assemble(f"{INDENT}{word + ':':9} ", (first, style))
                    yield from (Text(f"{INDENT}{'':9} {line}", style) for line in more)
            for line in evidence_text.lines(wrong.evidence):
                yield Text(f"{INDENT}{line}", "dim" if line.startswith(" ") else "")
        else:
            told = run_report.why(step)
            expected = isinstance(wrong, AssertionError) or told.partition(":")[0] != type(wrong).__name__
            yield Text(f"{INDENT}{'tunnelbed: ' if expected else 'a fault of Tunnelbed or of a phrase: '}{told}")
            if wrong is not None and not expected:
                yield from (Text(f"{INDENT}{line}", "dim") for line in _traceback(wrong).splitlines())
        if closer_by := self._closer(step):
            yield Text.assemble(f"{INDENT}closer:   ", (closer_by, "cyan"))

    def _closer(self, step: Step) -> str:
        """The command that looks closer, where there is a testbed to look at."""
        context = self._context
        if context is None or "bed" not in context or isinstance(_cause(step), BadInput | None):
            return ""
        bed = context.bed
        if "changes" in context and context.changes.pending:
            # What the scenario changed is undone after it: only then is there anything to see.
            return closer.paused(bed, context.root)
        words = closer.look(step.exception, self._said, bed.scenario)
        return closer.command(words, bed, context.root, stays=context.keep or bed not in context.brought_up)

    def _mark(self, status: Status) -> str:
        best, plain = MARKS[status]
        try:
            best.encode(self.console.encoding)
        except (UnicodeError, LookupError):
            return plain
        return best

    def _line(self, status: Status, mark: str, text: str) -> None:
        self._print(Text.assemble((mark, STYLES[status]), (text, "" if status is HOLDS else "bold")))

    def _print(self, text: Text) -> None:
        """A line that stays, above the live one; as long as it is, so that it can be copied whole."""
        self.console.print(text, soft_wrap=True)


def begin(context: Context) -> None:
    """Tell those of a run's formatters that are ours what it is about."""
    for one in ours(context._runner.formatters):  # noqa: SLF001 # a hook has no other way to it
        one.begin(context)


def ours(formatters: Sequence[Formatter]) -> Sequence[Terminal]:
    """Those that a person looks at."""
    return [one for one in formatters if isinstance(one, Terminal)]


def _judged(status: Status) -> Status:
    return status if status in (HOLDS, FAILS) else NOT_JUDGED


def _key(scenario: Scenario) -> str:
    return f"{scenario.filename}: {scenario.name}"


def _cause(step: Step) -> BaseException | None:
    """Why a sentence does not hold; none where no phrase is like it. A word in it may be what cannot be used."""
    wrong: BaseException | None = step.exception
    return (wrong.__cause__ or wrong) if isinstance(wrong, StepParseError) else wrong


def _title(scenario: Scenario) -> str:
    """A scenario's name; of an outline's example its row instead of behave's numbers."""
    name = str(scenario.name).partition(" -- @")[0]
    row = scenario._row  # noqa: SLF001 # it has no other name
    return f"{name} ({', '.join(row.cells)})" if row is not None else name


def _traceback(wrong: BaseException) -> str:
    return "".join(traceback.format_exception(wrong)).rstrip()
