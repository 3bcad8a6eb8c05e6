"""The page of `invoke verify --report` in Chromium: read, searched, linked and printed, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Opened
from tests.browser.picture import rendered
from tests.runs import bed, recorded, run, sentence, whole
from tunnelbed.report.html import page as html
from tunnelbed.testbed import report_file

FAILED = "site-to-site.connectivity.every-client-gets-its-answer-through-the-tunnel.1"
HOLDS = "site-to-site.tunnels.the-first-request-sets-the-tunnel-up.2"
PACKETS = b"\x0a\x0d\x0d\x0apackets"
# The contrast of each text with what is behind it, WCAG 2.2 (1.4.3), and the first 80 letters of the text.
CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = channels(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || element.closest("svg, script, style") || !element.checkVisibility()) continue;
    const both = [channels(getComputedStyle(element).color), behind(element)];
    const [one, other] = both.map(light).sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), text.data.trim().slice(0, 80)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run's page: two sentences do not hold, with their captures, and an earlier run in which they did."""
    folder = tmp_path_factory.mktemp("report")
    for said in report_file.sentences(recorded()["testbeds"][0]):
        for kept in (part["path"] for part in said["evidence"] if part["kind"] == "capture"):
            (folder / kept).parent.mkdir(parents=True, exist_ok=True)
            (folder / kept).write_bytes(PACKETS)
    made = folder / "report.html"
    made.write_text(rendered(folder), encoding="utf-8")
    return made


@pytest.fixture
def report(opened: Opened, file: Path) -> Iterator[Page]:
    """That page, opened from the disk. Whatever a test does, it asks for nothing and has no error."""
    opened.page.goto(file.as_uri())
    yield opened.page
    assert {address for address in opened.requests if not address.startswith("data:")} == {file.as_uri()}
    assert (opened.refused, opened.errors) == ([], [])


def test_it_opens_from_the_disk_with_the_verdict_and_the_network_in_view(report: Page) -> None:
    expect(report.get_by_role("heading", level=1)).to_have_text("Not everything holds")
    expect(report.get_by_role("heading", level=1)).to_be_in_viewport()
    expect(report.locator("svg [data-node='gateway-s']")).to_be_in_viewport()
    assert "30 hold, 2 fail, 4 not run of 36 sentences" in report.locator("header").inner_text()


def test_what_does_not_hold_is_unfolded_and_what_holds_is_not(report: Page) -> None:
    expect(report.locator(f"[id='{FAILED}']")).to_be_visible()
    expect(
        report.get_by_text("dropped by the firewall of gateway-s: inet filter forward: ip saddr").first
    ).to_be_visible()
    expect(report.locator(f"[id='{HOLDS}']")).to_be_hidden()


def test_the_changes_since_the_earlier_run_are_listed_the_worst_first(report: Page) -> None:
    rows = report.locator(".changes tbody tr")
    kinds = [row.split("\t")[0] for row in rows.all_inner_texts()]
    assert kinds == ["worse", "worse", *["not comparable"] * (len(kinds) - 2)]
    assert len(kinds) > 2


def test_the_path_goes_from_node_to_node_and_ends_at_the_rule_that_ended_it(report: Page) -> None:
    path = report.locator("ol.path").first
    lanes = {lane.inner_text(): box(lane) for lane in path.locator(".lane").all()}
    assert list(lanes) == ["client-a1", "gateway-a", "router", "gateway-s"]
    edges = [at["x"] for at in lanes.values()]
    assert edges == sorted(edges)
    middle = {name: at["x"] + at["width"] / 2 for name, at in lanes.items()}
    crossings = path.locator(".crossing").all()
    assert [("sealed" if "sealed" in str(one.get_attribute("class")) else "clear") for one in crossings] == [
        "clear",
        "sealed",
        "sealed",
    ]
    for crossing, (start, end) in zip(
        crossings, [("client-a1", "gateway-a"), ("gateway-a", "router"), ("router", "gateway-s")], strict=True
    ):
        at = box(crossing)
        assert at["x"] == pytest.approx(middle[start], abs=12)
        assert at["x"] + at["width"] == pytest.approx(middle[end], abs=12)
        assert f"from {start} to {end}" in crossing.inner_text().replace("\n", " ")
    rows = path.locator(".row").all()
    tops = [box(row)["y"] for row in rows]
    assert tops == sorted(tops)
    last = rows[-1]
    assert "drops" in str(last.get_attribute("class"))
    assert last.inner_text().startswith("rule, ends it here")
    assert box(last)["x"] <= middle["gateway-s"] <= box(last)["x"] + box(last)["width"]


def box(found: Any) -> dict[str, float]:  # noqa: ANN401 # a locator; its type says that it may have none
    """Where something is."""
    at = found.bounding_box()
    assert at is not None
    return dict(at)


def test_the_capture_can_be_saved(report: Page) -> None:
    with report.expect_download() as saved:
        report.get_by_role("link", name="Save the capture").first.click()
    assert saved.value.suggested_filename.endswith(".pcapng")
    assert Path(saved.value.path()).read_bytes() == PACKETS


def test_the_state_of_the_nodes_unfolds_section_by_section(report: Page) -> None:
    report.get_by_text("State of all nodes at that moment").first.click()
    node = report.locator(".states > details").filter(has=report.locator("summary", has_text="gateway-s"))
    node.locator("> summary").click()
    firewall = node.locator("> details").filter(has=report.locator("summary", has_text="firewall"))
    firewall.locator("summary").click()
    expect(firewall.locator("pre")).to_be_visible()
    assert "table inet filter" in firewall.locator("pre").inner_text()


def test_search_finds_sentences_in_folds_and_gives_them_back(report: Page) -> None:
    search = report.get_by_role("searchbox", name="Search")
    search.fill("GATEWAY a has a tunnel")
    expect(report.locator(f"[id='{HOLDS}']")).to_be_visible()
    expect(report.locator(f"[id='{FAILED}']")).to_be_hidden()
    shown = report.locator("li.sentence:visible")
    assert report.get_by_role("status").inner_text() == f"{shown.count()} of 36 sentences shown"
    search.press("Escape")
    expect(report.locator(f"[id='{FAILED}']")).to_be_visible()
    expect(report.locator(f"[id='{HOLDS}']")).to_be_hidden()
    assert report.get_by_role("status").inner_text() == "36 sentences"


def test_search_for_what_is_nowhere_shows_nothing(report: Page) -> None:
    report.get_by_role("searchbox", name="Search").fill("no such word anywhere")
    assert report.locator("li.sentence:visible").count() == 0
    assert report.get_by_role("status").inner_text() == "0 of 36 sentences shown"


def test_only_what_does_not_hold_can_be_shown(report: Page) -> None:
    report.get_by_role("checkbox", name="only what does not hold").check()
    assert report.locator("li.sentence:visible").count() == 2
    report.get_by_role("checkbox", name="only what does not hold").uncheck()
    assert report.locator("li.sentence:visible").count() > 2


def test_all_can_be_unfolded_and_folded(report: Page) -> None:
    report.get_by_role("button", name="Unfold all").click()
    assert report.locator("li.sentence:visible").count() == 36
    report.get_by_role("button", name="Fold all", exact=True).click()
    assert report.locator("li.sentence:visible").count() == 0
    assert report.locator("details.feature > summary:visible").count() == 2


@pytest.mark.parametrize("filtered", [False, True])
def test_a_link_to_a_sentence_unfolds_what_it_is_in(report: Page, filtered: bool) -> None:  # noqa: FBT001 # a parameter
    if filtered:
        report.get_by_role("searchbox", name="Search").fill("no such word anywhere")
    report.evaluate("where => (location.hash = where)", HOLDS)
    expect(report.locator(f"[id='{HOLDS}']")).to_be_in_viewport()


def test_a_link_from_elsewhere_opens_at_its_sentence(opened: Opened, file: Path) -> None:
    opened.page.goto(f"{file.as_uri()}#{HOLDS}")
    expect(opened.page.locator(f"[id='{HOLDS}']")).to_be_in_viewport()


def test_the_sentences_that_do_not_hold_are_named_on_top(report: Page) -> None:
    report.get_by_role("button", name="Fold all", exact=True).click()
    report.locator("header").get_by_role("link", name="every client of site A gets a pong").click()
    expect(report.locator(f"[id='{FAILED}']")).to_be_in_viewport()


def test_each_sentence_has_its_link(report: Page) -> None:
    report.get_by_role("button", name="Unfold all").click()
    report.locator(f"[id='{HOLDS}']").get_by_role("link", name="Link to this sentence").click()
    assert report.url.endswith(f"#{HOLDS}")


def test_the_keyboard_reaches_all(report: Page) -> None:
    report.keyboard.press("Tab")
    expect(report.get_by_role("link", name="To the results")).to_be_focused()
    expect(report.get_by_role("link", name="To the results")).to_be_in_viewport()
    report.keyboard.press("Enter")
    expect(report.get_by_role("heading", name="Results")).to_be_focused()
    report.keyboard.press("/")
    expect(report.get_by_role("searchbox")).to_be_focused()
    # A slash is a letter there.
    report.keyboard.press("/")
    expect(report.get_by_role("searchbox")).to_have_value("/")
    report.keyboard.press("Escape")
    summary = report.locator("details.feature > summary").last
    summary.focus()
    assert report.locator("details.feature").last.get_attribute("open") is None
    report.keyboard.press("Enter")
    assert report.locator("details.feature").last.get_attribute("open") is not None
    assert report.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_what_can_be_operated_or_scrolled_has_a_name(report: Page) -> None:
    report.get_by_role("button", name="Unfold all").click()
    tree = report.context.new_cdp_session(report).send("Accessibility.getFullAXTree")
    roles = {"button", "link", "searchbox", "textbox", "checkbox", "region", "image", "DisclosureTriangle", "search"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in tree["nodes"]
        if not node.get("ignored") and node.get("role", {}).get("value") in roles
    ]
    assert len(named) > 100
    assert [role for role, name in named if not name] == []
    # Whatever takes the focus to be scrolled is a region with a name, and not a nameless box.
    unnamed = report.locator("[tabindex='0']:not([role='region'][aria-label])")
    assert unnamed.all_inner_texts() == []


def test_the_picture_is_told_in_words(report: Page) -> None:
    drawing = report.get_by_role("img", name="site-to-site: the network and its tunnels")
    expect(drawing).to_be_visible()
    assert "gateway-a" in str(drawing.locator("desc").text_content())


def test_headings_leave_out_no_level(report: Page) -> None:
    levels = report.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert [(one, after) for one, after in pairwise(levels) if after > one + 1] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(report: Page, scheme: Any) -> None:  # noqa: ANN401 # a literal of Playwright's
    report.emulate_media(color_scheme=scheme)
    report.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = report.evaluate(CONTRASTS)
    assert len(found) > 300
    assert [(round(contrast, 2), text) for contrast, text in found if contrast < 4.5] == []


def test_it_follows_the_scheme_of_the_system(report: Page) -> None:
    colours = []
    for scheme in ("light", "dark"):
        report.emulate_media(color_scheme=scheme)
        colours.append(report.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


@pytest.mark.parametrize("width", [1280, 760, 360])
def test_it_fits(report: Page, width: int) -> None:
    report.set_viewport_size({"width": width, "height": 800})
    report.get_by_role("button", name="Unfold all").click()
    assert report.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_all_sentences_are_there_and_no_tools(report: Page) -> None:
    report.evaluate("dispatchEvent(new Event('beforeprint'))")
    report.emulate_media(media="print", color_scheme="dark")
    expect(report.locator(f"[id='{HOLDS}']")).to_be_visible()
    assert report.locator("li.sentence:visible").count() == 36
    expect(report.locator("#tools")).to_be_hidden()
    expect(report.locator(".states > details").first).to_be_hidden()
    expect(report.get_by_text("(not printed)").first).to_be_visible()
    assert report.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")
    report.emulate_media(media="screen")
    report.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(report.locator(f"[id='{HOLDS}']")).to_be_hidden()


def test_it_prints_on_a_few_pages(report: Page) -> None:
    pages = report.pdf(format="A4").count(b"/Type /Page\n")
    assert 1 < pages < 12


def test_without_its_script_it_can_be_read_and_unfolded(chromium: Browser, file: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    report = context.new_page()
    report.goto(file.as_uri())
    expect(report.locator(f"[id='{FAILED}']")).to_be_visible()
    expect(report.locator("#tools")).to_be_hidden()
    report.locator("details.feature > summary").last.click()
    report.locator("details.scenario > summary").last.click()
    assert report.locator("li.sentence:visible").count() > 6
    context.close()


def test_a_node_that_logs_a_script_runs_none(opened: Opened, tmp_path: Path) -> None:
    hostile = "</pre></script><script>document.title = 'mine'</script><img src=http://192.0.2.1/x onerror=alert(1)>"
    log = {"kind": "log", "node": hostile, "lines": [hostile]}
    found = whole(bed(hostile, [sentence(hostile, "fails", seen=hostile, expected="a pong", evidence=[log])]))
    made = tmp_path / "report.html"
    made.write_text(html.render(found, tmp_path), encoding="utf-8")
    opened.page.goto(made.as_uri())
    assert opened.page.title().startswith("Not everything holds")
    assert opened.page.locator("img:not(svg)").count() == 0
    assert (opened.refused, opened.errors) == ([], [])


def test_a_script_that_got_in_would_not_run(opened: Opened, tmp_path: Path) -> None:
    """The policy by itself: a script that is not the page's own, and an image of another machine."""
    text = html.render(run(it="holds"), tmp_path)
    text = text.replace("</footer>", "<script>document.title = 'mine'</script><img src=http://192.0.2.1/x></footer>")
    made = tmp_path / "report.html"
    made.write_text(text, encoding="utf-8")
    opened.page.goto(made.as_uri())
    assert opened.page.title().startswith("Everything holds")
    assert opened.refused == []
    assert any("Content Security Policy" in error for error in opened.errors)


def test_a_run_that_came_to_no_end_says_so(opened: Opened, tmp_path: Path) -> None:
    made = tmp_path / "report.html"
    made.write_text(html.render(whole(), tmp_path), encoding="utf-8")
    opened.page.goto(made.as_uri())
    expect(opened.page.get_by_text("No scenario was run to its end.")).to_be_visible()
    assert opened.errors == []
