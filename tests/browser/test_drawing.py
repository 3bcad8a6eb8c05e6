"""Pictures in Chromium: letters are no wider than the layout takes them to be, and colours follow the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Opened
from tunnelbed import vpn
from tunnelbed.report.drawing import Tunnel, configured
from tunnelbed.report.drawing.svg import svg
from tunnelbed.topology import compose_file, scaffold
from tunnelbed.topology.model import Scenario

HOME = Path(__file__).parents[2]
# Every label as it is drawn, with the picture's part that it belongs to.
LABELS = """() => [...document.querySelectorAll('text')].map(text => {
    const {x, y, width, height} = text.getBBox();
    return {text: text.textContent, owner: text.closest('g').getAttribute('class'), x, y, width, height};
})"""
BOXES = """() => [...document.querySelectorAll('.node rect, .network rect')].map(rect => {
    const {x, y, width, height} = rect.getBBox();
    return {text: rect.closest('g').querySelector('text').textContent, x, y, width, height};
})"""
COLOUR = "() => getComputedStyle(document.querySelector('.paper')).fill"


def opens(opened: Opened, scene: Scenario, folder: Path) -> None:
    """Open the picture of a scenario as a file."""
    (folder / "drawn.svg").write_text(svg(scene, configured(scene, vpn.peers)), encoding="utf-8")
    opened.page.goto((folder / "drawn.svg").as_uri())


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two areas have more in common than the gap between letters and the edge of a line."""
    return all(
        one[at] + one[size] - 1 > other[at] and other[at] + other[size] - 1 > one[at]
        for at, size in (("x", "width"), ("y", "height"))
    )


def apart(opened: Opened) -> None:
    """No label covers another, nor a box that is not its own; each box holds its labels."""
    labels, boxes = opened.page.evaluate(LABELS), opened.page.evaluate(BOXES)
    assert len(labels) > len(boxes) > 0
    pairs = [(one, other) for index, one in enumerate(labels) for other in labels[:index]]
    assert [(one["text"], other["text"]) for one, other in pairs if overlap(one, other)] == []
    for label in labels:
        around = [box for box in boxes if overlap(label, box)]
        assert len(around) == (0 if label["owner"] == "site" else 1), (label, around)
        for box in around:
            assert box["x"] < label["x"], (label, box)
            assert label["x"] + label["width"] < box["x"] + box["width"], (label, box)
    assert (opened.refused, opened.errors) == ([], [])


@pytest.mark.parametrize("name", compose_file.names(HOME))
def test_no_label_covers_another_or_a_box(opened: Opened, tmp_path: Path, name: str) -> None:
    opens(opened, compose_file.load(name, HOME), tmp_path)
    apart(opened)


@pytest.mark.parametrize("kind", ["sites", "laptops"])
def test_no_label_covers_another_or_a_box_in_a_large_network(opened: Opened, tmp_path: Path, kind: str) -> None:
    scaffold.make("mine", tmp_path, **{kind: 12})  # type: ignore[arg-type] # either of two parameters
    opens(opened, compose_file.load("mine", tmp_path), tmp_path)
    apart(opened)


def test_colours_follow_the_reader_and_a_page_may_set_them(opened: Opened, tmp_path: Path) -> None:
    opens(opened, compose_file.load("ipv6", HOME), tmp_path)
    light = opened.page.evaluate(COLOUR)
    opened.page.emulate_media(color_scheme="dark")
    assert (light, opened.page.evaluate(COLOUR)) == ("rgb(255, 255, 255)", "rgb(16, 22, 28)")
    opened.page.evaluate("() => document.documentElement.style.setProperty('--drawing-paper', 'rgb(1, 2, 3)')")
    assert opened.page.evaluate(COLOUR) == "rgb(1, 2, 3)"


def test_two_pictures_in_a_page_are_images_with_names_and_change_nothing_else(opened: Opened, tmp_path: Path) -> None:
    scene = compose_file.load("ipv6", HOME)
    drawn = svg(scene, [Tunnel("gateway-a", "gateway-s", "up"), Tunnel("gateway-b", "gateway-s", "down")])
    page = f"<!doctype html><meta charset=utf-8><title>two</title><p class=node>text</p>{drawn}{drawn}"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    opened.page.goto((tmp_path / "page.html").as_uri())
    assert opened.page.get_by_role("img", name="ipv6: the network and its tunnels").count() == 2
    assert opened.page.evaluate("() => getComputedStyle(document.querySelector('p')).fontFamily").count("Mono") == 0
    strokes = "() => [...document.querySelectorAll('.tunnel path')].map(path => getComputedStyle(path).stroke)"
    assert opened.page.evaluate(strokes) == ["rgb(26, 154, 104)", "rgb(207, 59, 46)"] * 2
    assert (opened.refused, opened.errors) == ([], [])
