"""What the other tests here rest on: a page that loads only files and 127.0.0.1, and that nothing escapes notice."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.browser.conftest import Opened


def test_a_file_opens(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<h1>here</h1>", encoding="utf-8")
    opened.page.goto((tmp_path / "page.html").as_uri())
    assert opened.page.inner_text("h1") == "here"
    assert (opened.refused, opened.errors) == ([], [])


@pytest.mark.parametrize("address", ["http://192.0.2.1/x.js", "https://host.example/x.js", "http://[2001:db8::1]/x.js"])
def test_what_a_page_asks_of_others_is_refused_and_recorded(opened: Opened, tmp_path: Path, address: str) -> None:
    (tmp_path / "page.html").write_text(f"<script src='{address}'></script>", encoding="utf-8")
    opened.page.goto((tmp_path / "page.html").as_uri())
    assert opened.refused == [address]


def test_an_error_of_a_page_is_recorded(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<script>nothing.here()</script>", encoding="utf-8")
    opened.page.goto((tmp_path / "page.html").as_uri())
    assert ["nothing is not defined" in error for error in opened.errors] == [True]


def test_what_this_machine_serves_to_itself_opens(opened: Opened) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>served</h1>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        opened.page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert opened.page.inner_text("h1") == "served"
        server.shutdown()
        serving.join()
    assert opened.refused == []
