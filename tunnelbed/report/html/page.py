"""One HTML file of a run's report: made of the values that docs/json.md describes, and of nothing else.

Style and script stand inside, and a policy in its head forbids it to load anything, so that it opens from a disk, in
a mail, or years later, and never asks the network.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunnelbed.report.against import KINDS, Comparison
from tunnelbed.report.html.path import sequence
from tunnelbed.testbed.report_file import JUDGED, NOT_RUN, sentences
from tunnelbed.testbed.verification import COULD_NOT_RUN, FAILED

# In bytes: of one capture, and of all in a page. Base64 makes them a third larger; a page must still go by mail.
LARGEST = 2_000_000
ALL = 10_000_000
# So many of the sentences that do not hold are named on top.
LISTED = 6
# A status as a class of the style sheet.
CLASSES = {**dict(zip(JUDGED.values(), ("holds", "fails", "unjudged"), strict=True)), NOT_RUN: "notrun"}
VERDICTS = dict(
    zip(JUDGED.values(), ("Everything holds", "Not everything holds", "Not everything could be judged"), strict=True)
)


@dataclass
class Embedded:
    """The captures in a page: each as a link that carries the file, or in words why it is left out."""

    folder: Path
    left: int = ALL
    links: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def link(self, path: str) -> str:
        """The address that carries the file; empty if it is left out, for which `reason` has the words."""
        if path not in self.links and path not in self.reasons:
            self._read(path)
        return self.links.get(path, "")

    def reason(self, path: str) -> str:
        """Why the file is not in the page."""
        return self.reasons.get(path, "")

    def _read(self, path: str) -> None:
        file = self.folder / path
        try:
            size = file.stat().st_size
            if size > min(LARGEST, self.left):
                limit = f"{LARGEST / 1e6:g} MB" if size > LARGEST else f"{ALL / 1e6:g} MB for all captures together"
                self.reasons[path] = f"not embedded: it has {size / 1e6:.1f} MB, the limit is {limit}"
                return
            content = file.read_bytes()
        except OSError as wrong:
            self.reasons[path] = f"not embedded: {wrong.strerror}"
            return
        self.left -= size
        self.links[path] = "data:application/x-pcapng;base64," + base64.b64encode(content).decode("ascii")


class Places:
    """Where each part of a report stands in its page: names for fragments, made of what the parts are called.

    So they are the same in each run: `site-to-site.connectivity.every-client-gets-its-answer.1`; the second of equal
    names ends in `~2`.
    """

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._given: Counter[str] = Counter()
        self._found: dict[int, str] = {}
        # The sentences that do not hold.
        self.unmet: list[Mapping[str, Any]] = []
        for testbed in whole["testbeds"]:
            bed = self._put(testbed, testbed["scenario"], testbed["instance"])
            for feature in testbed["features"]:
                stem = Path(feature["file"]).stem
                self._put(feature, bed, stem)
                for scenario in feature["scenarios"]:
                    place = self._put(scenario, bed, stem, scenario["scenario"])
                    for number, sentence in enumerate(scenario["sentences"], start=1):
                        self._found[id(sentence)] = f"{place}.{number}"
                        if sentence["status"] in (JUDGED[FAILED], JUDGED[COULD_NOT_RUN]):
                            self.unmet.append(sentence)

    def __call__(self, part: Mapping[str, Any]) -> str:
        """The name of a testbed, feature, scenario or sentence of this report."""
        return self._found[id(part)]

    def _put(self, part: Mapping[str, Any], *words: str) -> str:
        slug = ".".join(re.sub(r"[^\w.~-]+", "-", word.casefold()).strip("-") for word in words if word)
        self._given[slug] += 1
        count = self._given[slug]
        self._found[id(part)] = name = slug if count == 1 else f"{slug}~{count}"
        return name


def render(
    whole: Mapping[str, Any],
    folder: Path,
    pictures: Mapping[str, str] | None = None,
    changes: Comparison | None = None,
) -> str:
    """The page of a report; captures are read relative to `folder`.

    `pictures` are drawings of networks as SVG, by the scenario's name.
    """
    environment = Environment(
        loader=PackageLoader("tunnelbed.report.html", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": _duration, "clock": _clock, "stem": lambda path: Path(path).stem}
    here = Path(__file__).parent
    script = (here / "page.js").read_text(encoding="utf-8")
    total = dict.fromkeys(CLASSES, 0)
    for testbed in whole["testbeds"]:
        for sentence in sentences(testbed):
            total[sentence["status"]] += 1
    return environment.get_template("page.html.j2").render(
        whole=whole,
        verdict=VERDICTS[whole["status"]],
        total=total,
        classes=CLASSES,
        command=shlex.join(Path(word).name if not at else word for at, word in enumerate(whole["command"])),
        pictures=pictures or {},
        changes=changes,
        kinds=KINDS,
        captures=Embedded(folder),
        place=Places(whole),
        listed=LISTED,
        sequence=sequence,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        style=(here / "page.css").read_text(encoding="utf-8"),
    )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _clock(at: float) -> str:
    """A packet's time: of the day, in UTC, to the microsecond."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")
