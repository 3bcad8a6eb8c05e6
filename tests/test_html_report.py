"""`verify --report`: one HTML file of what docs/json.md describes. What a browser makes of it is in tests/browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from behave.model import Feature
from behave.parser import parse_file

from tests.runs import bed, recorded, run, sentence, whole
from tests.test_evidence import EVERY
from tunnelbed import vpn
from tunnelbed.observe import evidence_json
from tunnelbed.report import against
from tunnelbed.report.drawing import configured
from tunnelbed.report.drawing.svg import svg
from tunnelbed.report.html import page
from tunnelbed.report.html.path import CLEAR, SEALED, UNKNOWN, sequence
from tunnelbed.testbed import report_file
from tunnelbed.topology import compose_file

ROOT = Path(__file__).parent.parent
VOID = {"meta", "link", "input", "br"}
HOSTILE = "</script><img src=x onerror=alert(1)> & \"'"


class Outline(HTMLParser):
    """The elements of a page: that each is closed, its attributes, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads, on one line."""
        return " ".join("".join(self.words).split())

    def values(self, attribute: str) -> Iterator[str]:
        """All values of an attribute."""
        return (str(found[attribute]) for _, found in self.elements if attribute in found)


def failed(*evidence: dict[str, Any]) -> dict[str, Any]:
    """A run with one sentence, which fails with this evidence."""
    more = {"expected": "a pong", "seen": "no answer", "cause": "a rule", "evidence": list(evidence)}
    return whole(bed("tiny", [sentence("it fails", "fails", **more)]))


@pytest.mark.parametrize(
    "found",
    [recorded(), whole(), run(it="holds"), failed(*evidence_json.plain(EVERY))],
    ids=["real", "none", "one", "all"],
)
def test_a_page_is_well_formed_and_each_name_in_it_is_one_thing(found: dict[str, Any], tmp_path: Path) -> None:
    outline = Outline(page.render(found, tmp_path))
    ids = list(outline.values("id"))
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in outline.values("href") if link.startswith("#")]
    assert set(links) <= set(ids)
    for named in ("aria-labelledby", "aria-describedby", "for"):
        assert set(outline.values(named)) <= set(ids)


@pytest.mark.parametrize("found", [recorded(), failed(*evidence_json.plain(EVERY))], ids=["real", "all"])
def test_a_page_names_no_address_to_load_from(found: dict[str, Any], tmp_path: Path) -> None:
    outline = Outline(page.render(found, tmp_path))
    assert {tag for tag, _ in outline.elements} & {
        "img",
        "iframe",
        "object",
        "embed",
        "video",
        "audio",
        "base",
    } == set()
    assert "src" not in {key for _, found in outline.elements for key in found}
    assert all(link.startswith(("#", "data:")) for link in outline.values("href"))
    style = page.render(found, tmp_path).partition("<style>")[2].partition("</style>")[0]
    assert re.findall(r"url\(|@import", style) == []


@pytest.mark.parametrize("status", ["holds", "fails", "could not be judged"])
def test_the_verdict_comes_first(status: str, tmp_path: Path) -> None:
    text = Outline(page.render(run(it=status), tmp_path)).text
    assert page.VERDICTS[status] in text.partition("Results")[0]
    assert [verdict for verdict in page.VERDICTS.values() if verdict in text] == [page.VERDICTS[status]]


def test_the_counts_are_those_of_the_sentences(tmp_path: Path) -> None:
    found = run(a="holds", b="holds", c="fails", d="could not be judged", e="not run")
    text = Outline(page.render(found, tmp_path)).text
    assert "2 hold, 1 fail, 1 could not be judged, 1 not run of 5 sentences in 4.50 s" in text


def test_all_that_a_failure_has_is_in_the_page(tmp_path: Path) -> None:
    evidence = evidence_json.plain(EVERY)
    text = Outline(page.render(failed(*evidence), tmp_path)).text
    for word in ("a pong", "no answer", "a rule"):
        assert word in text
    for one in EVERY:
        for line in page_words(one):
            assert " ".join(line.split()) in text, line


def page_words(one: object) -> Iterator[str]:
    """The texts in a value, those that are a class of something else aside."""
    if isinstance(one, str):
        yield one
    elif isinstance(one, Path):
        yield str(one)
    elif isinstance(one, tuple):
        for part in one:
            yield from page_words(part)
    elif hasattr(one, "__dataclass_fields__"):
        # Said in a word of its own in the page: an arrow, a way.
        for name in one.__dataclass_fields__:
            if name not in ("event", "cause"):
                yield from page_words(getattr(one, name))


def test_what_nodes_and_files_say_is_text_and_nothing_else(tmp_path: Path) -> None:
    log = {"kind": "log", "node": HOSTILE, "lines": [HOSTILE]}
    state: dict[str, Any] = {"kind": "node state", "node": HOSTILE, "state": HOSTILE, "missing": HOSTILE}
    state["sections"] = [{"name": HOSTILE, "lines": [HOSTILE]}]
    path: dict[str, Any] = {"kind": "path", "outcome": HOSTILE, "cause": "", "answered": False, "traced": True}
    path["steps"] = [
        {"node": HOSTILE, "event": "rule", "what": HOSTILE, "network": HOSTILE, "at": None, "sealed": False}
    ]
    found = failed(log, state, path)
    found["testbeds"][0] |= {"scenario": HOSTILE, "instance": HOSTILE, "error": HOSTILE}
    found["command"] = ["invoke", HOSTILE]
    outline = Outline(page.render(found, tmp_path, changes=against.compare(run(it="holds"), found)))
    assert "img" not in {tag for tag, _ in outline.elements}
    assert not any(key.startswith("on") for _, attributes in outline.elements for key in attributes)
    assert [tag for tag, _ in outline.elements].count("script") == 1


def test_a_kind_of_evidence_that_is_not_known_yet_is_shown_as_it_is(tmp_path: Path) -> None:
    text = Outline(page.render(failed({"kind": "queue", "node": "gateway", "lost_frames": 7}), tmp_path)).text
    assert "Queue of gatewaylost frames7" in text


def test_a_capture_is_in_the_page(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "x.pcapng").write_bytes(b"packets")
    outline = Outline(page.render(failed({"kind": "capture", "path": "reports/x.pcapng"}), tmp_path))
    ((name, link),) = [(a["download"], str(a["href"])) for _, a in outline.elements if "download" in a]
    assert name == "x.pcapng"
    assert base64.b64decode(link.partition("base64,")[2]) == b"packets"


@pytest.mark.parametrize(
    ("size", "reason"),
    [(None, "not embedded: No such file"), (page.LARGEST + 1, "not embedded: it has 2.0 MB, the limit is 2 MB")],
)
def test_a_capture_that_is_left_out_is_named_with_the_reason(size: int | None, reason: str, tmp_path: Path) -> None:
    if size:
        (tmp_path / "x.pcapng").write_bytes(bytes(size))
    outline = Outline(page.render(failed({"kind": "capture", "path": "x.pcapng"}), tmp_path))
    assert reason in outline.text
    assert "download" not in {key for _, found in outline.elements for key in found}


def test_all_captures_together_have_a_limit(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.pcapng").write_bytes(bytes(page.LARGEST))
    embedded = page.Embedded(tmp_path)
    assert [bool(embedded.link(f"{number}.pcapng")) for number in range(6)] == [True] * 5 + [False]
    assert "10 MB for all captures together" in embedded.reason("5.pcapng")
    # One that several sentences have is there once.
    assert embedded.link("0.pcapng")
    assert embedded.left == page.ALL - 5 * page.LARGEST


def test_the_command_is_one_that_can_be_typed(tmp_path: Path) -> None:
    text = Outline(page.render(run(it="holds"), tmp_path)).text
    assert "commandinvoke verify --json report.json" in text


def test_a_picture_is_put_in_as_it_is(tmp_path: Path) -> None:
    text = page.render(run(it="holds"), tmp_path, {"tiny": "<svg><title>The network of tiny</title></svg>"})
    assert "<svg><title>The network of tiny</title></svg>" in text


def step(node: str, event: str, network: str = "", *, sealed: bool = False, what: str = "a packet") -> dict[str, Any]:
    """One step of a path."""
    return {"node": node, "event": event, "network": network, "what": what, "at": 0.0, "sealed": sealed}


def test_a_packet_that_leaves_a_node_and_comes_to_the_next_is_one_arrow() -> None:
    steps = [
        step("client", "out", "inside"),
        step("gateway", "in", "inside"),
        step("gateway", "rule", what="inet filter forward accept"),
        step("gateway", "out", "outside", sealed=True),
        step("router", "in", "outside", sealed=True),
    ]
    found = sequence(steps)
    assert found.nodes == ["client", "gateway", "router"]
    assert [(row.kind, row.start, row.end, row.network, row.protection) for row in found.rows] == [
        ("crossing", 0, 1, "inside", CLEAR),
        ("rule", 1, 1, "", ""),
        ("crossing", 1, 2, "outside", SEALED),
    ]


def test_the_answer_goes_back() -> None:
    found = sequence([step("a", "out", "x"), step("b", "in", "x"), step("b", "out", "x"), step("a", "in", "x")])
    assert [(row.start, row.end, row.left, row.lanes) for row in found.rows] == [(0, 1, 0, 2), (1, 0, 0, 2)]


def test_a_packet_that_comes_nowhere_is_sent_and_no_more() -> None:
    found = sequence([step("a", "out", "x"), step("b", "in", "y")])
    assert [row.kind for row in found.rows] == ["sent", "received"]


@pytest.mark.parametrize(
    ("what", "drops"),
    [
        ("inet filter forward: policy drop", True),
        ("inet filter forward: ip saddr 10.1.0.3 drop", True),
        ("inet filter input: reject with icmp port-unreachable", True),
        ('inet filter forward: ip saddr 10.1.0.3 drop comment "not from here"', True),
        ('inet filter forward: ip saddr 10.1.0.3 accept comment "or drop"', False),
        ("inet filter forward accept", False),
        ("inet filter forward: jump drop_later > accept", False),
    ],
)
def test_a_rule_that_ends_the_packet_is_marked(what: str, drops: bool) -> None:  # noqa: FBT001 # a test's parameter
    (row,) = sequence([step("a", "rule", what=what)]).rows
    assert row.drops is drops


def test_a_report_from_before_protection_was_recorded_claims_none(tmp_path: Path) -> None:
    old = {key: value for key, value in step("a", "out", "x").items() if key != "sealed"}
    (row,) = sequence([old]).rows
    assert row.protection == UNKNOWN
    path = {"kind": "path", "steps": [old], "outcome": "lost", "cause": "", "answered": False, "traced": False}
    text = Outline(page.render(failed(path), tmp_path)).text
    assert "protection not recorded" in text
    assert "in clear" not in text


def test_what_does_not_hold_is_named_on_top_and_of_many_the_first(tmp_path: Path) -> None:
    few = Outline(page.render(run(a="holds", b="fails", c="could not be judged"), tmp_path))
    assert [link for link in few.values("href") if link.startswith("#tiny")][:2] == [
        "#tiny.reach.all.2",
        "#tiny.reach.all.3",
    ]
    many = whole(bed("tiny", [sentence(f"sentence {number}", "fails") for number in range(page.LISTED + 3)]))
    assert "and 3 more" in Outline(page.render(many, tmp_path)).text.partition("Results")[0]


def test_links_stay_the_same_from_run_to_run(tmp_path: Path) -> None:
    one, other = (
        list(Outline(page.render(found, tmp_path)).values("id")) for found in (run(it="holds"), run(it="fails"))
    )
    assert one == other
    assert "tiny.reach.all.1" in one


def test_a_page_of_all_scenarios_can_be_mailed(tmp_path: Path) -> None:
    beds, pictures = [], {}
    for scene in (compose_file.load(name, ROOT) for name in compose_file.names(ROOT)):
        features = [parse_file(str(file)) for file in sorted(scene.features.rglob("*.feature"))]
        pictures[scene.name] = svg(scene, configured(scene, vpn.peers))
        beds.append(bed(scene.name, [], features=[one for found in features for one in as_reported(found)]))
    found = whole(*beds)
    assert sum(1 for one in beds for _ in report_file.sentences(one)) > 1200
    assert len(page.render(found, tmp_path, pictures).encode()) < 3_000_000


def as_reported(feature: Feature) -> Iterator[dict[str, Any]]:
    """A feature in which all holds, a scenario of an outline by itself."""
    found = bed("", [sentence("")])["features"][0]
    scenarios = [
        {
            **found["scenarios"][0],
            "scenario": scenario.name,
            "sentences": [sentence(step.name) for step in scenario.all_steps],
        }
        for scenario in feature.walk_scenarios()
    ]
    yield {**found, "feature": feature.name, "file": str(feature.filename), "scenarios": scenarios}
