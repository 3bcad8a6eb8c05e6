"""Links of the machine's that networks need and Docker cannot make, or not well enough.

Docker gives a MACVLAN network without a parent a `dummy` link. Small kernels have none (CONFIG_DUMMY); there each
network gets a veth pair as its parent: both ends up, the second end leading nowhere. A bridge that Docker makes has the
machine as a neighbour; ours have not. The links live in the engine's network namespace, which may be another machine's,
so a short-lived container makes and removes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from tunnelbed.errors import EngineUnavailable
from tunnelbed.host import waiting

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "node" / "parents"
# The driver options by which a network uses one of these links.
PARENT, BRIDGE = "parent", "com.docker.network.bridge.name"
OPTIONS = frozenset({PARENT, BRIDGE})
# What has ended, the engine takes away within a second.
GONE_SECONDS = 20.0


def are_needed(client: docker.DockerClient, project: str) -> bool:
    """Whether Docker fails to make a MACVLAN network by itself; only an attempt shows it."""
    try:
        client.networks.create(f"{project}_trial", driver="macvlan", internal=True, labels=_mark(project)).remove()
    except APIError as refused:
        if "not supported" in str(refused):
            return True
        raise EngineUnavailable(f"the engine refuses a MACVLAN network: {refused.explanation}") from refused
    return False


def names(project: str, networks: Iterable[str]) -> Mapping[str, str]:
    """A link's name for each network: unique on the machine, and short enough (IFNAMSIZ)."""
    return {network: f"{_stem(project)}{index:03d}" for index, network in enumerate(networks)}


def forget(client: docker.DockerClient, project: str) -> None:
    """Remove what an interrupted command left of our own: a trial's network, a helper that still runs."""
    mark = _marked(project)
    for helper in client.containers.list(all=True, filters=mark, ignore_removed=True):
        # One that ends at this very moment removes itself.
        with contextlib.suppress(APIError):
            helper.remove(force=True)
    for trial in client.networks.list(filters=mark):
        trial.remove()


def make(client: docker.DockerClient, image: str, project: str, kinds: Sequence[str]) -> None:
    """Let exactly these links exist, made anew, each of the kind `veth` (a parent) or `bridge`."""
    # The engine takes the helper away meanwhile.
    _links(client, image, project, kinds)


def remove(client: docker.DockerClient, image: str, project: str) -> int:
    """Remove every link of a testbed, of either kind; how many there were."""
    removed = _links(client, image, project, ())
    waiting.until(
        lambda: not client.api.containers(all=True, filters=_marked(project)), GONE_SECONDS, "the helper to be gone"
    )
    return removed


def _links(client: docker.DockerClient, image: str, project: str, kinds: Sequence[str]) -> int:
    """Let links of these kinds exist; how many older ones were removed. The helper is gone soon afterwards."""
    try:
        helper = client.containers.create(
            image,
            # The script of this checkout, since the image may be another one's: only its programs are used.
            command=[SCRIPT.read_text(encoding="utf-8"), "parents", _stem(project), str(len(kinds)), *kinds],
            entrypoint=["/bin/sh", "-c"],
            network_mode="host",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            auto_remove=True,
            labels=_mark(project),
        )
        # Listening from the start spares three requests: for its end, for what it said, and to take it away.
        said = helper.attach(stream=True)
        # The stream closes its socket alone, which the response around it goes on holding open.
        with contextlib.closing(said._response), contextlib.closing(said):  # type: ignore[attr-defined] # noqa: SLF001
            helper.start()
            output: str = b"".join(said).decode(errors="replace").strip()
    except DockerException as refused:
        raise EngineUnavailable(f"the links of the networks could not be made or removed: {refused}") from refused
    # It ends with the number, or at a complaint.
    if not output.isdecimal():
        raise EngineUnavailable(f"the links of the networks could not be made or removed: {output}")
    return int(output)


def _mark(project: str) -> dict[str, str]:
    """The label by which a testbed's helpers are found again."""
    return {"tunnelbed.helper": project}


def _marked(project: str) -> dict[str, str | list[str] | bool]:
    """The filter that finds them."""
    return {"label": [f"{key}={value}" for key, value in _mark(project).items()]}


def _stem(project: str) -> str:
    """What the names of all links of a testbed begin with: 9 characters, so that 15 are never passed."""
    return "tb" + hashlib.sha256(project.encode()).hexdigest()[:7]
