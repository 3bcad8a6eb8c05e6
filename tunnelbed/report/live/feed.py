"""Server-sent events to any number of browsers, from threads that wait for none of them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

# Events that wait for a browser; one that reads slower loses the oldest.
WAITING = 64
Event = tuple[str, Any]


class Listener:
    """One browser's events, which wait in its own loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def offer(self, text: str) -> None:
        """Give it an event, from any thread; the empty text ends it."""
        self._loop.call_soon_threadsafe(self._put, text)

    async def next(self) -> str:
        """The next event; empty at the end."""
        return await self._events.get()

    def _put(self, text: str) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(text)


class Feed:
    """The events of a page; `first` gives those with which a browser begins."""

    def __init__(self, first: Callable[[], Iterable[Event]]) -> None:
        self._first = first
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._ended = False

    def publish(self, name: str, data: object) -> None:
        """Give every browser an event."""
        with self._lock:
            for listener in self._listeners:
                listener.offer(_text(name, data))

    def end(self) -> None:
        """End every browser's events, and those of whoever comes later at once."""
        with self._lock:
            self._ended = True
            for listener in self._listeners:
                listener.offer("")

    async def listen(self) -> AsyncIterator[str]:
        """One browser's events, as text for the connection."""
        listener = Listener()
        with self._lock:
            ended = self._ended
            self._listeners.add(listener)
        try:
            for name, data in self._first():
                yield _text(name, data)
            while not ended and (text := await listener.next()):
                yield text
        finally:
            with self._lock:
                self._listeners.discard(listener)


def _text(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
