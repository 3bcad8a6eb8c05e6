"""The containers of a testbed, as Docker lists them, and their logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import docker

from tunnelbed.engines.images.node_images import OURS
from tunnelbed.errors import NodeFailed

# Labels that Compose gives to what it makes.
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
# Lines of a log that are likely to be all since a mark.
SOME_LINES = 400


@dataclass(frozen=True)
class Found:
    """A container as the engine lists it."""

    id: str
    name: str
    node: str
    state: str
    # The tag of an image of ours, the ID of another.
    image: str


def of(client: docker.DockerClient, project: str, node: str = "") -> Sequence[Found]:
    """The containers of a testbed, or a node's, by one request: the library's own list inspects each."""
    labels = [f"{PROJECT}={project}", *([f"{SERVICE}={node}"] if node else ())]
    found = client.api.containers(all=True, filters={"label": labels})
    return [
        Found(
            one["Id"],
            one["Names"][0].lstrip("/"),
            one["Labels"][SERVICE],
            one["State"],
            one["Image"] if one["Image"].startswith(OURS) else one["ImageID"],
        )
        for one in found
    ]


def one(client: docker.DockerClient, project: str, node: str) -> Found:
    """A node's container. Raises `NodeFailed` where there is none."""
    found = of(client, project, node)
    if not found:
        raise NodeFailed(node, "does not run", "bring the testbed up first")
    return found[0]


def log(client: docker.DockerClient, container: Found, since: str = "") -> str:
    """A container's log, or what follows an `end_of_log`.

    Docker reads a log from its end, but needs a number of lines: some, and more where these do not reach back so far.
    """
    if not since:
        return _lines(client, container)
    last = SOME_LINES
    while True:
        lines = _lines(client, container, last, timestamps=True).splitlines(keepends=True)
        stamped = [line.partition(" ") for line in lines]
        if len(lines) < last or stamped[0][0] <= since:
            return "".join(text for stamp, _, text in stamped if stamp > since)
        last *= 8


def end_of_log(client: docker.DockerClient, container: Found) -> str:
    """When the last line was written, by the engine's clock; empty where there is none."""
    return _lines(client, container, 1, timestamps=True).partition(" ")[0]


def last_lines(client: docker.DockerClient, container: Found, count: int) -> str:
    """The last lines of a log."""
    return _lines(client, container, count)


def _lines(
    client: docker.DockerClient, container: Found, last: int | Literal["all"] = "all", *, timestamps: bool = False
) -> str:
    output: bytes = client.api.logs(container.id, tail=last, timestamps=timestamps)
    return output.decode(errors="replace")
