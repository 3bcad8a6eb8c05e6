"""A page in Chromium, which may load files and 127.0.0.1 and nothing else: scripts/setup --browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, sync_playwright

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
# Where nobody listens (RFC 863's port, which no browser's test has): what gets past `refuse` ends there.
NOWHERE = "http://127.0.0.1:9"
# Chromium's sandbox needs user namespaces, which neither root nor a container has by default; the pages are our own.
FLAGS = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-component-update")


def allowed(address: str) -> bool:
    """Whether a page may load this: a file, what it carries itself, or what this machine serves to itself."""
    found = urlsplit(address)
    return found.scheme in ("file", "data", "blob", "about") or found.hostname == "127.0.0.1"


def program() -> str:
    """The Chromium that is there."""
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    assert found, "there is no Chromium: scripts/setup --browser"
    return found


@dataclass
class Opened:
    """A page, and what it asked for: every request, those refused, and errors on its console."""

    page: Page
    requests: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record from now on; whatever may not be loaded fails."""

        def refuse(route: Route) -> None:
            if allowed(route.request.url):
                route.continue_()
            else:
                self.refused.append(route.request.url)
                route.abort()

        def asked(request: Request) -> None:
            self.requests.append(request.url)

        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.errors.append(message.text)

        def failed(error: object) -> None:
            self.errors.append(str(error))

        self.page.route("**/*", refuse)
        self.page.on("request", asked)
        self.page.on("console", said)
        self.page.on("pageerror", failed)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests; without a Chromium there is none, which is an error and no skip."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program(), args=list(FLAGS), proxy={"server": NOWHERE, "bypass": "127.0.0.1"}
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opened]:
    """A page of 1280 by 900 in English, light, with nothing of another test's."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="en-GB")
    found = Opened(context.new_page())
    found.watch()
    yield found
    context.close()
