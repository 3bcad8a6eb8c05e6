"""The page of a testbed in a browser: by mouse, by keyboard, in both colour schemes, and what it may load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from scapy.layers.ipsec import ESP
from scapy.utils import PcapNgReader

from tests.browser.conftest import Opened
from tests.fake_network.beds import brought_up
from tests.fake_network.network import FakeNetwork
from tests.fake_network.pairs import Pair
from tunnelbed.report.live import show
from tunnelbed.report.live.view import View
from tunnelbed.testbed.testbed import Testbed as Bed


@pytest.fixture
def network(pair: Pair) -> Iterator[tuple[Bed, FakeNetwork]]:
    with brought_up(pair.load(), pair.root) as found:
        yield found


@pytest.fixture
def address(network: tuple[Bed, FakeNetwork], pair: Pair) -> Iterator[str]:
    """The address of the page of two sites that a tunnel joins."""
    bed, engine = network
    tracer = Bed(bed.scenario, pair.root, engine)
    tracer.pool.shutdown()
    tracer.pool = engine.workers
    view = View(bed, tracer)
    with view.shown(), show.served(view, 0) as found:
        yield found
    tracer.close()


@pytest.fixture
def page(opened: Opened, address: str) -> Iterator[Opened]:
    opened.page.goto(address)
    expect(opened.page.locator("#connection")).to_have_text("live")
    yield opened
    # Nothing in the page breaks its own policy, nor asks for what is not there.
    assert opened.errors == []
    assert opened.refused == []


def test_two_clicks_trace_a_packet_through_the_tunnel(page: Opened) -> None:
    found = page.page
    expect(found.locator("#tunnels")).to_contain_text("gateway-a to gateway-b: down")
    found.get_by_role("button", name="Trace by two clicks").click()
    found.locator('#picture [data-node="host-a"]').click()
    expect(found.locator("#hint")).to_contain_text("From host-a")
    found.locator('#picture [data-node="host-b"]').click()
    outcome = found.locator("#outcome")
    expect(outcome).to_contain_text("host-a to host-b, ping: answered after")
    expect(outcome).to_contain_text("in clear on intranet_a, intranet_b; ESP on isp_link")
    steps = found.locator("#path li")
    expect(steps.first).to_contain_text("host-a out intranet_a in clear")
    expect(found.locator('#path li[data-form="sealed"]').first).to_contain_text("gateway-a out isp_link sealed")
    # What crossed is counted and listed, in words.
    expect(found.locator("#lines")).to_contain_text("sealed")
    row = found.get_by_role("row", name="isp_link")
    expect(row.locator('[data-form="clear"]')).to_have_text("0")
    expect(row.locator('[data-form="sealed"]')).not_to_have_text("0")
    expect(found.locator("#tunnels")).to_contain_text("gateway-a to gateway-b: up")
    # The picture is drawn anew with the tunnel up; the path stays marked in it.
    expect(found.locator('#picture [data-tunnel="gateway-a gateway-b"]')).to_have_attribute("data-state", "up")
    for part in ('[data-node="gateway-a"]', '[data-network="isp_link"]'):
        expect(found.locator(f"#picture {part}")).to_have_class(re.compile(r"\bon-path\b"))


def test_the_picture_has_its_own_style_and_its_nodes_are_buttons(page: Opened) -> None:
    found = page.page
    tunnel = found.locator('#picture [data-tunnel="gateway-a gateway-b"] path')
    width = tunnel.get_attribute("stroke-width")
    assert width
    expect(tunnel).to_have_css("stroke-width", f"{width}px")
    expect(tunnel).to_have_css("stroke", "rgb(207, 59, 46)")
    for name in ("gateway-a", "gateway-b", "host-a", "host-b"):
        expect(found.get_by_role("button", name=f"node {name}")).to_be_visible()


def test_a_port_is_traced_by_the_form(page: Opened) -> None:
    found = page.page
    found.get_by_label("from", exact=True).select_option("host-a")
    found.get_by_label("to", exact=True).select_option("host-b")
    found.get_by_label("by", exact=True).select_option("UDP port")
    found.get_by_label("port", exact=True).fill("53")
    found.get_by_role("button", name="Trace", exact=True).click()
    expect(found.locator("#outcome")).to_contain_text("host-a to host-b, UDP port 53: arrived after")


def test_all_can_be_done_by_keyboard(page: Opened) -> None:
    found = page.page
    node = found.locator('#picture [data-node="gateway-a"]')
    node.focus()
    node.press("Enter")
    expect(found.get_by_role("heading", name="Node gateway-a")).to_be_visible()
    details = found.locator("#details")
    expect(details).to_contain_text("isp_link up 192.0.2.1/24")
    expect(details).to_contain_text("default via 192.0.2.2 dev isp_link")
    found.get_by_role("button", name="Trace by two clicks").press("Enter")
    found.locator('#nodes [data-name="host-a"]').press("Enter")
    found.locator('#nodes [data-name="host-b"]').press(" ")
    expect(found.locator("#outcome")).to_contain_text("answered after")
    found.get_by_role("button", name="Trace by two clicks").press("Enter")
    found.keyboard.press("Escape")
    expect(found.get_by_role("button", name="Trace by two clicks")).to_have_attribute("aria-pressed", "false")


def test_everything_that_can_be_pressed_has_a_name(page: Opened) -> None:
    nameless = page.page.evaluate(
        """() => [...document.querySelectorAll("button, a, select, input, [role=button]")]
            .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_a_capture_is_downloaded(page: Opened, tmp_path: Path) -> None:
    found = page.page
    found.locator("#network").select_option("isp_link")
    found.get_by_role("button", name="Start capture").click()
    expect(found.get_by_role("button", name="Stop capture 1")).to_be_visible()
    found.get_by_label("to", exact=True).select_option("host-b")
    found.get_by_label("from", exact=True).select_option("host-a")
    found.get_by_role("button", name="Trace", exact=True).click()
    expect(found.locator("#outcome")).to_contain_text("answered after")
    found.get_by_role("button", name="Stop capture 1").click()
    with found.expect_download() as saving:
        found.get_by_role("link", name="Download capture 1").click()
    saved = tmp_path / "saved.pcapng"
    saving.value.save_as(saved)
    with PcapNgReader(str(saved)) as reader:
        assert [packet for packet in reader if ESP in packet]


def test_a_refused_trace_is_one_line(page: Opened, network: tuple[Bed, FakeNetwork], pair: Pair) -> None:
    with Bed(network[0].scenario, pair.root, network[1]).proven_alone():
        page.page.get_by_role("button", name="Trace", exact=True).click()
        expect(page.page.locator("#outcome")).to_contain_text("found another run of its features")
    page.errors.clear()  # the browser itself writes that an answer was 400


def test_the_end_of_the_testbed_is_shown(
    page: Opened, network: tuple[Bed, FakeNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network[1], "states", lambda _: {})
    expect(page.page.get_by_role("alert").filter(has_text="This page has ended")).to_contain_text(
        "the testbed was taken down", timeout=20_000
    )
    expect(page.page.get_by_role("button", name="Trace", exact=True)).to_be_disabled()


def test_several_browsers_look_at_once(page: Opened, chromium: Browser, address: str) -> None:
    second = chromium.new_page()
    second.goto(address)
    expect(second.locator("#connection")).to_have_text("live")
    page.page.get_by_role("button", name="Start capture").click()
    expect(second.get_by_role("button", name="Stop capture 1")).to_be_visible()
    second.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_both_schemes_and_on_a_narrow_window(chromium: Browser, address: str, scheme: str) -> None:
    """The contrast of text and paper is at least 4.5 (WCAG 2.2, 1.4.3), and nothing needs scrolling sideways."""
    context = chromium.new_context(viewport={"width": 420, "height": 900})
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    poor = page.evaluate(CONTRAST)
    context.close()
    assert poor == []


CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [red, green, blue] = numbers(colour).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("body *:not(#picture *)")].filter((one) => !one.disabled)
    .filter((one) => [...one.childNodes].some((text) => text.nodeType === 3 && text.textContent.trim()))
    .filter((one) => !["SCRIPT", "STYLE"].includes(one.tagName) && getComputedStyle(one).opacity === "1")
    .map((one) => [one.outerHTML.slice(0, 80), light(getComputedStyle(one).color), light(behind(one))])
    .filter(([, ink, paper]) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5)
    .map(([html]) => html);
}"""
