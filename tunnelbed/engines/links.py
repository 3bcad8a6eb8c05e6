"""Parents for MACVLAN networks, where the kernel cannot make its own.

Docker gives a MACVLAN network without a parent a `dummy` link. Small kernels have none (CONFIG_DUMMY); there each
network gets a veth pair as its parent: both ends up, the second end leading nowhere. The links live in the engine's
network namespace, which may be another machine's, so a short-lived container makes and removes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from tunnelbed.errors import EngineUnavailable

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "node" / "parents"


def are_needed(client: docker.DockerClient, project: str) -> bool:
    """Whether Docker fails to make a MACVLAN network by itself; only the attempt tells."""
    try:
        client.networks.create(f"{project}_trial", driver="macvlan", internal=True, labels=_mark(project)).remove()
    except APIError as refused:
        if "not supported" in str(refused):
            return True
        raise EngineUnavailable(f"the engine refuses a MACVLAN network: {refused.explanation}") from refused
    return False


def names(project: str, networks: Iterable[str]) -> Mapping[str, str]:
    """A parent's name for each network: unique on the machine, and short enough (IFNAMSIZ)."""
    return {network: f"{_stem(project)}{index:03d}" for index, network in enumerate(networks)}


def forget(client: docker.DockerClient, project: str) -> None:
    """Remove what an interrupted command left of our own: a trial's network, a helper that still runs."""
    mark: dict[str, str | list[str] | bool] = {"label": [f"{key}={value}" for key, value in _mark(project).items()]}
    for helper in client.containers.list(all=True, filters=mark, ignore_removed=True):
        # One that ends at this very moment removes itself.
        with contextlib.suppress(APIError):
            helper.remove(force=True)
    for trial in client.networks.list(filters=mark):
        trial.remove()


def make(client: docker.DockerClient, image: str, project: str, count: int) -> None:
    """Let exactly `count` parents exist, made anew."""
    _parents(client, image, project, count)


def remove(client: docker.DockerClient, image: str, project: str) -> int:
    """Remove every parent of a testbed; how many there were."""
    return _parents(client, image, project, 0)


def _parents(client: docker.DockerClient, image: str, project: str, count: int) -> int:
    try:
        output: bytes = client.containers.run(
            image,
            # The script of this checkout, since the image may be another one's: only its programs are used.
            command=[SCRIPT.read_text(encoding="utf-8"), "parents", _stem(project), str(count)],
            entrypoint=["/bin/sh", "-c"],
            network_mode="host",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            remove=True,
            labels=_mark(project),
        )
    except DockerException as refused:
        raise EngineUnavailable(f"could not make or remove the parents of MACVLAN networks: {refused}") from refused
    return int(output)


def _mark(project: str) -> dict[str, str]:
    """The label by which a testbed's helpers are found again."""
    return {"tunnelbed.helper": project}


def _stem(project: str) -> str:
    """What the names of all parents of a testbed begin with: 9 characters, so that 15 are never passed."""
    return "tb" + hashlib.sha256(project.encode()).hexdigest()[:7]
