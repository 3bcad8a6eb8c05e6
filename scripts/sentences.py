"""behave with this checkout's phrases, for features in any folder; and the list of the phrases.

    python scripts/sentences.py [BEHAVE OPTIONS] FEATURES...     as `behave`, for features in any folder
    python scripts/sentences.py --phrases                        every phrase and what it means, as Markdown

A folder `steps/` beside the features adds phrases of its own.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from behave.__main__ import run_behave
from behave.configuration import Configuration
from behave.model import Feature
from behave.parser import ParserError
from behave.runner import Runner
from behave.runner_util import load_step_modules, parse_features
from behave.step_registry import registry
from cucumber_tag_expressions.parser import TagExpressionError

from scripts import terminal
from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed import verification
from tunnelbed.topology.compose_file import names

ROOT = Path(__file__).resolve().parent.parent
# A feature says by it which scenario it is about (`environment`).
TAG = "scenario."
SLOT = re.compile(r"\{\w+(?::(?P<kind>\w+))?\}")
INTRODUCTION = """\
# Phrases

Every phrase that a feature can use. `invoke phrases` makes this list from steps/. `Given`, `When`, `Then`, `And` and
`But` may stand before any of them. In braces:

- `{node}`: a node, by its name, spoken (`client A1`) or as in the Compose file (`client-a1`), or by a role that one
  node alone has (`the server`, `the Internet`).
- `{nodes}`: likewise, or several: `every client`, `every client of site B`, `every gateway`, `every node`.
- `{networks}`: a network by its name (`isp_link_a`) or by role and site (`the ISP link of site A`); several:
  `any ISP link`, `every intranet`.
- `{kind}`: a kind of packet: `TCP port 80`, `UDP port 53`, `ICMP`; `{kinds}`: likewise, or several: `IKE and ESP`.
- `{targets}`: one or several nodes, or an IP address, of a node or not; `{face}`: a node, or an address.
- `{byversion}`: ` by IPv4`, ` by IPv6`, or nothing: then the sentence is about each IP version that both have.
- `{address}` an IP address; `{port}` a number; `{seconds}` a number, with or without a fraction.
"""


class SentenceRunner(Runner):  # type: ignore[misc] # behave ships no types
    """Takes hooks and phrases from this checkout, and more phrases from beside the features."""

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self._interrupted = False
        # behave prints which runner it uses, next and before it runs it.
        self._stdout, sys.stdout = sys.stdout, io.StringIO()

    def run(self) -> bool:
        """Run, with the output where it was. Ctrl-C or SIGTERM ends the process with exit code 130."""
        sys.stdout = self._stdout
        failed = bool(super().run())
        if self._interrupted:
            sys.exit(verification.INTERRUPTED)
        return failed

    def abort(self, reason: str | None = None) -> None:
        """End the run, for this reason: behave gives its own words."""
        self._interrupted |= str(reason).endswith((KeyboardInterrupt.__name__, shell.Terminated.__name__))
        super().abort(reason)

    def run_hook_with_capture(self, hook_name: str, *hooked: object, **sink: object) -> bool:
        """Run a hook; where a person sees our own report, its failure is a line there, not one that behave prints."""
        shown = terminal.ours(self.formatters)
        if not shown:
            return bool(super().run_hook_with_capture(hook_name, *hooked, **sink))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            done = bool(self.run_hook(hook_name, *hooked))
        # A feature and a scenario have their failures with them. After all of them only behave knows of one:
        # `HOOK-ERROR in after_all: CommandFailed: ...`.
        if hook_name == "after_all" and (told := said.getvalue().split(": ", 2)[2:]):
            for one in shown:
                one.hook_failed(" ".join(told[0].split()))
        return done

    def setup_paths(self) -> None:
        """Find what behave would look for beside the features here."""
        self.config.paths = self.config.paths or [self.DEFAULT_DIRECTORY]
        self.base_dir = self.config.base_dir = str(ROOT)
        self.config.steps_dir = str(ROOT / "steps")
        self.config.environment_file = str(ROOT / "environment.py")
        self.path_manager.add(self.base_dir)

    def run_with_paths(self) -> bool:
        """Look at what was chosen before anything is loaded or brought up."""
        locations = [found for found in self.feature_locations() if not self.config.exclude(found)]
        try:
            verification.Chosen(pause=self.config.userdata.getbool("pause")).refuse()
            chosen(self.config, parse_features(locations, language=self.config.lang))
        except ParserError as wrong:
            told = " ".join(str(wrong).split())
            sys.exit(
                _wrong(BadInput(str(wrong.filename), "", told, "a feature in Gherkin", "correct it", wrong.line or 0))
            )
        except BadInput as wrong:
            sys.exit(_wrong(wrong))
        return bool(super().run_with_paths())

    def load_step_definitions(self, extra_step_paths: Sequence[str] | None = None) -> None:
        """Ours first, then those beside the features."""
        folders = {(Path(path) if Path(path).is_dir() else Path(path).parent) for path in self.config.paths}
        own = [str(folder.parent / "steps") for folder in folders if folder.parent.resolve() != ROOT]
        super().load_step_definitions([*(extra_step_paths or ()), *(path for path in own if Path(path).is_dir())])


def chosen(config: Configuration, features: Sequence[Feature]) -> None:
    """Something is to be run, and each feature is about a scenario that exists. Raises `BadInput`.

    A run for one scenario passes over the features of others by their tags: one with a misspelt tag would be run by
    nobody, and nothing would say so. Nor would it of a scenario whose sentences behave reads as its description, since
    the first word of the first one is no keyword: one without sentences passes.
    """
    known = names(Path(config.userdata.get("path", ".")).resolve())
    for feature in features:
        tagged = [tag.removeprefix(TAG) for tag in feature.tags if tag.startswith(TAG)]
        if len(tagged) != 1 or tagged[0] not in known:
            found = f"tags {' '.join(f'@{tag}' for tag in feature.tags) or 'none'}"
            expected = f"one tag @{TAG}NAME, with NAME one of: {', '.join(known)}"
            raise BadInput(str(feature.filename), "", found, expected, "tag the feature", feature.line)
    scenarios = [one for feature in features for one in feature.walk_scenarios()]
    for one in scenarios:
        if not list(one.all_steps):
            found = f"no sentence in `{one.name}`"
            raise BadInput(str(one.filename), "", found, "lines with Given, When or Then", "write one", one.line)
    if not any(one.should_run(config) for one in scenarios):
        found = f"no scenario of a feature with {config.tag_expression}"
        raise BadInput("--tags", "", found, "tags that one has", "correct them, or write a feature")


def phrases() -> str:
    """Every phrase, a section for each file of steps, in the order in which they stand there."""
    load_step_modules([str(ROOT / "steps")])
    by_file: dict[Path, list[str]] = {}
    known = {id(matcher): matcher for kind in registry.steps.values() for matcher in kind}
    spoken_now = [matcher for matcher in known.values() if not hasattr(matcher.func, "retired")]
    for matcher in sorted(spoken_now, key=lambda matcher: (matcher.location.filename, matcher.location.line)):
        what = (matcher.func.__doc__ or "").strip()
        by_file.setdefault(Path(matcher.location.filename), []).append(f"- `{spoken(matcher.pattern)}`  \n  {what}")
    sections = [INTRODUCTION]
    for path, lines in by_file.items():
        title = path.read_text(encoding="utf-8").partition("\n")[0].strip('"').removeprefix("Phrases: ").rstrip(".")
        sections.append(f"## {title[0].upper()}{title[1:]}\n\n" + "\n".join(lines))
    return "\n\n".join(section.strip() for section in sections) + "\n"


def spoken(pattern: str) -> str:
    """A pattern with each slot named by what may stand there."""
    return SLOT.sub(lambda slot: "{" + _kind(slot["kind"]) + "}" if slot["kind"] else slot[0], pattern)


def _kind(name: str) -> str:
    """A type as the introduction calls it."""
    return "networks" if name == "Links" else name.casefold()


def main(words: Sequence[str]) -> int:
    """List the phrases or run behave; its exit code."""
    if list(words) == ["--phrases"]:
        print(phrases(), end="")
        return 0
    try:
        config = Configuration(list(words))
        # Without a configuration file around, behave has a default of its own.
        config.format = config.format or [verification.FORMATTER]
        return int(run_behave(config, runner_class=SentenceRunner))
    except TagExpressionError as wrong:
        # Its first line is the expression, the last one where in it.
        return _wrong(
            BadInput("--tags", "", str(wrong).strip().splitlines()[0], "behave's tag expressions", "correct it")
        )


def _wrong(told: BadInput) -> int:
    """Print the one line; the exit code."""
    print(f"tunnelbed: {told}", file=sys.stderr)
    return told.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
