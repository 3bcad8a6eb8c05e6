"""Serving a page until Ctrl-C, or until the testbed is gone."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator

import uvicorn

from tunnelbed.engines import Progress
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.report.live.application import application
from tunnelbed.report.live.view import View
from tunnelbed.testbed.testbed import Testbed

HOST = "127.0.0.1"
# The random bytes of the token in the address.
TOKEN_BYTES = 24


def show(bed: Testbed, tracer: Testbed, port: int, progress: Progress) -> None:
    """Show a testbed on a page of this machine until Ctrl-C; `tracer` is another handle of the same testbed.

    Port 0 is any free one. Raises `BadInput` where the port is in use or the testbed is not up, and `TunnelbedError`
    where it is taken down meanwhile.
    """
    view = View(bed, tracer)
    try:
        # Ctrl-C is how a person ends it.
        with contextlib.suppress(KeyboardInterrupt), view.shown(), served(view, port) as address:
            progress(f"{bed.name}: {address} shows it; Ctrl-C ends it")
            view.over.wait()
    finally:
        for opened in (bed, tracer):
            opened.close()
    if view.gone:
        raise TunnelbedError(f"{bed.name}: {view.gone}; the page has ended, `invoke up` brings the testbed up again")


@contextlib.contextmanager
def served(view: View, port: int) -> Iterator[str]:
    """Serve the page of a view while the body runs; its address, token included."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _listening(port) as listening:
        own = listening.getsockname()[1]
        config = uvicorn.Config(
            application(view, token, own), log_config=None, access_log=False, lifespan="off", server_header=False
        )
        server = uvicorn.Server(config)
        # Not in the main thread, so that Ctrl-C is ours.
        serving = threading.Thread(target=server.run, args=([listening],), name="show")
        serving.start()
        try:
            yield f"http://{HOST}:{own}/{token}/"
        finally:
            # Events never end by themselves, and the server waits for whatever it still answers.
            view.feed.end()
            server.should_exit = True
            serving.join()


def _listening(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()
    except OSError as refused:
        listening.close()
        expected, advice = "a free port of this machine", "choose another one, or omit it"
        raise BadInput("--port", "", f"{port}: {refused.strerror}", expected, advice) from refused
    return listening
