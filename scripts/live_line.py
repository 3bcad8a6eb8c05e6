"""The last line of a terminal, which changes while a run goes on."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text


class LiveLine:
    """What `now` returns, again and again; nothing where the console is no terminal, or one that cannot."""

    def __init__(self, console: Console, now: Callable[[], Text]) -> None:
        self._console, self._now = console, now
        self._live: Live | None = None

    def show(self) -> None:
        """Show it, if it is not shown."""
        if self._live is None and self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._now,
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def hide(self) -> None:
        """Take it away, if it is shown."""
        if self._live is not None:
            self._live.stop()
            self._live = None
