"""The HTTP application of a page: what a browser may ask, and who may ask it.

The address has a random token, without which everything is refused. So is a Host that is not this machine's own (a name
that somebody else's DNS leads here), and a change that does not come from the page itself. Only POST changes anything.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.report.drawing import svg
from tunnelbed.report.live.view import View

HERE = Path(__file__).parent
FILES = {"": "page.html", "page.css": "page.css", "page.js": "page.js", "icon.svg": "icon.svg"}
# Bytes of a request's body: three short words.
LARGEST_BODY = 4096
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Passes on only what may be asked: `token` begins each path, `hosts` are this server's own names."""

    def __init__(self, inner: ASGIApp, token: str, hosts: tuple[str, ...]) -> None:
        self._inner, self._token, self._hosts = inner, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope)
            if refused := self._refused(request):
                await PlainTextResponse(f"{refused}\n", 403, HEADERS)(scope, receive, send)
            else:
                await self._inner(scope, receive, send)

    def _refused(self, request: Request) -> str:
        hosts, path = request.headers.getlist("host"), request.scope["path"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "this server has another name"
        if not secrets.compare_digest(path.removeprefix("/").partition("/")[0].encode(), self._token.encode()):
            return "the address has no valid token: use the one that `invoke show` prints"
        if request.method not in ("GET", "HEAD") and request.headers.getlist("origin") != [f"http://{hosts[0]}"]:
            return "only the page itself may change anything"
        return ""


def application(view: View, token: str, port: int) -> ASGIApp:
    """The application of a view, behind its guard."""
    return Guard(Starlette(routes=_Pages(view).routes(f"/{token}")), token, (f"127.0.0.1:{port}", f"localhost:{port}"))


class _Pages:
    """A route for each thing that a page asks for."""

    def __init__(self, view: View) -> None:
        self._view = view

    def routes(self, base: str) -> list[Route]:
        """All of them."""
        return [
            *(Route(f"{base}/{path}", _file(HERE / name)) for path, name in FILES.items()),
            Route(f"{base}/events", self.events),
            Route(f"{base}/picture.svg", self.picture),
            Route(f"{base}/picture.css", self.style),
            Route(f"{base}/nodes/{{name}}", self.details),
            Route(f"{base}/captures/{{number:int}}", self.download),
            Route(f"{base}/trace", self.trace, methods=["POST"]),
            Route(f"{base}/captures", self.capture, methods=["POST"]),
            Route(f"{base}/captures/{{number:int}}/stop", self.stop, methods=["POST"]),
        ]

    async def events(self, _: Request) -> Response:
        """What changes, as server-sent events."""

        async def events() -> AsyncIterator[str]:
            async for event in self._view.feed.listen():
                yield event

        return StreamingResponse(events(), headers=HEADERS, media_type="text/event-stream")

    async def picture(self, _: Request) -> Response:
        """The network's drawing."""
        return Response(await run_in_threadpool(self._view.picture), headers=HEADERS, media_type="image/svg+xml")

    async def style(self, _: Request) -> Response:
        """The drawing's colours and letters."""
        return Response(svg.style(), headers=HEADERS, media_type="text/css")

    async def details(self, request: Request) -> Response:
        """A node's details."""
        return await _answered(self._view.details, request.path_params["name"])

    async def trace(self, request: Request) -> Response:
        """Send a packet and report its path."""
        return await _asked(request, ("from", "to", "on"), self._view.trace)

    async def capture(self, request: Request) -> Response:
        """Begin a capture."""
        return await _asked(request, ("network",), self._view.capture)

    async def stop(self, request: Request) -> Response:
        """End a capture."""
        return await _answered(self._view.stop, request.path_params["number"])

    async def download(self, request: Request) -> Response:
        """The file of a capture that has ended."""
        try:
            saved = self._view.captures.get(request.path_params["number"])
        except BadInput as wrong:
            return _wrong(wrong)
        if saved.running:
            return _wrong(BadInput("capture", "", "one that is running", "one that has ended", "stop it first"))
        return FileResponse(saved.path, headers=HEADERS, media_type="application/x-pcapng", filename=saved.path.name)


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def file(_: Request) -> Response:
        return FileResponse(path, headers=HEADERS)

    return file


async def _asked(request: Request, keys: tuple[str, ...], do: Callable[..., Mapping[str, Any]]) -> Response:
    """Call a function with the texts of a request's JSON body."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _wrong(BadInput("request", "", "another type", "application/json", "use the page's buttons"))
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            return _wrong(BadInput("request", "", "a long body", f"{LARGEST_BODY} bytes", "use the page's buttons"))
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not all(isinstance(said.get(key, ""), str) for key in keys):
        return _wrong(BadInput("request", "", "another body", f"texts: {', '.join(keys)}", "use the page's buttons"))
    return await _answered(do, *(said.get(key, "") for key in keys))


async def _answered(do: Callable[..., Mapping[str, Any]], *given: object) -> Response:
    """What a function returns, which may take its time, or the line of what was wrong."""
    try:
        return JSONResponse(await run_in_threadpool(do, *given), headers=HEADERS)
    except TunnelbedError as wrong:
        return _wrong(wrong)


def _wrong(wrong: TunnelbedError) -> Response:
    return JSONResponse({"error": str(wrong)}, 400 if isinstance(wrong, BadInput) else 502, HEADERS)
