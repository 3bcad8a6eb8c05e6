"""The picture of a report in README.md: `python -m tests.browser.picture` makes it again after the page has changed."""

from __future__ import annotations

import base64
import copy
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, program
from tests.runs import recorded
from tunnelbed import vpn
from tunnelbed.report import against
from tunnelbed.report.drawing import configured
from tunnelbed.report.drawing.svg import svg
from tunnelbed.report.html import page
from tunnelbed.topology import compose_file

ROOT = Path(__file__).parents[2]
SCENE = "site-to-site"
FILE = ROOT / "docs" / "report.webp"
WIDTH, HEIGHT = 1180, 1720


def rendered(folder: Path, *, compared: bool = True) -> str:
    """The page of the recorded run, compared with one in which all held; captures are those of the folder."""
    found = recorded()
    scene = compose_file.load(SCENE, ROOT)
    pictures = {SCENE: svg(scene, configured(scene, vpn.peers))}
    return page.render(found, folder, pictures, against.compare(_better(found), found) if compared else None)


def _better(found: dict[str, Any]) -> dict[str, Any]:
    """The same run, in which all held."""
    before = copy.deepcopy(found)
    for feature in before["testbeds"][0]["features"]:
        for scenario in feature["scenarios"]:
            for sentence in scenario["sentences"]:
                sentence["status"] = "holds"
    return before


def main() -> None:
    """Show the page in Chromium, and write what is seen of it."""
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        file = Path(made) / "report.html"
        file.write_text(rendered(Path(made), compared=False), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        shown.goto(file.as_uri())
        # Playwright itself writes no WebP, which is a third of a PNG.
        seen = shown.context.new_cdp_session(shown).send("Page.captureScreenshot", {"format": "webp", "quality": 80})
        FILE.write_bytes(base64.b64decode(seen["data"]))
        browser.close()


if __name__ == "__main__":
    main()
