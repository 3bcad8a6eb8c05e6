"""Whether Docker Compose is there and new enough, looked at while other things go on."""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor

from tunnelbed.errors import CommandFailed, EngineUnavailable
from tunnelbed.host import shell

# `!override` in a Compose file is understood from 2.24.4 on (Compose release notes).
OLDEST = (2, 24, 4)


def looked_at() -> Future[None]:
    """The look, which takes as long as a command; its result raises `EngineUnavailable` where Compose does not do."""
    thread = ThreadPoolExecutor(max_workers=1)
    looking = thread.submit(check)
    thread.shutdown(wait=False)
    return looking


def check() -> None:
    """Raise `EngineUnavailable` where Compose is missing or too old."""
    try:
        said = shell.run(["docker", "compose", "version", "--short"]).stdout.strip()
    except CommandFailed as missing:
        raise EngineUnavailable(
            f"Docker Compose v2 is not installed ({missing.output}); run scripts/setup, or install it"
        ) from missing
    if tuple(int(part) for part in re.findall(r"\d+", said)[:3]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineUnavailable(f"Docker Compose is {said}, and {oldest} or later is needed; update it")
