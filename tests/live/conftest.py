"""What these tests need: a Docker engine that makes MACVLAN networks, and Compose. `pytest tests/live` runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import yaml

from tests.conftest import Checkout
from tunnelbed.engines.docker import links
from tunnelbed.engines.docker.containers import PROJECT
from tunnelbed.engines.docker.engine import DockerEngine
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

HOME = Path(__file__).parents[2]

# The least that is brought up in earnest: a gateway, and a client whose check asks the server.
STACK = """
services:
  gateway:
    image: tunnelbed/node
    cap_drop: [ALL]
    cap_add: [NET_ADMIN, NET_RAW]
    command: [rest]
    networks:
      inside: {ipv4_address: 10.1.0.2}
  client:
    image: tunnelbed/node
    cap_drop: [ALL]
    cap_add: [NET_ADMIN, NET_RAW]
    command: [rest]
    healthcheck:
      test: [CMD, pingpong, ask, 10.1.0.9, --count, "1", --timeout, "0.5"]
    networks:
      inside: {ipv4_address: 10.1.0.3}
  server:
    image: tunnelbed/node
    cap_drop: [ALL]
    cap_add: [NET_ADMIN, NET_RAW]
    command: [pingpong, serve]
    networks:
      inside: {ipv4_address: 10.1.0.9}
networks:
  inside:
    driver: macvlan
    internal: true
    ipam: {config: [{subnet: 10.1.0.0/16}]}
"""


def command(root: Path, task: str, *words: str) -> Sequence[str]:
    """A task in a folder; what a node is to do comes last."""
    return [sys.executable, "-m", "invoke", "--search-root", str(HOME), task, "--path", str(root), *words]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose scenario `mine` is up: two gateways with one tunnel, a host behind each."""
    root = tmp_path_factory.mktemp("mine")
    for words in (["new", "mine"], ["up", "--scenario", "mine"]):
        subprocess.run(command(root, *words), check=True, capture_output=True)
    yield root
    subprocess.run(command(root, "down", "--scenario", "mine"), check=True, capture_output=True)


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it said: the lines of progress apart from the rest of the error stream."""

    code: int
    out: str
    errors: tuple[str, ...]


class Person:
    """Somebody at a terminal, in a folder with one scenario, `tiny`."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        checkout.stack = yaml.safe_load(STACK)
        checkout.write()

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start an Invoke task as a terminal does, in a process group of its own; `--path` goes before any `--`."""
        end = words.index("--") if "--" in words else len(words)
        words = (*words[:end], "--path", str(self.checkout.root), *words[end:])
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(HOME), *words],
            env={**os.environ, "PYTHONPATH": str(HOME), "COLUMNS": "200", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def does(self, *words: str, env: Mapping[str, str] | None = None, seconds: float = 60) -> Answer:
        """Run a command to its end, which comes within so many seconds."""
        process = self.start(*words, env=env)
        out, err = process.communicate(timeout=seconds)
        errors = [line for line in err.splitlines() if not re.match(r"\[ *\d+\.\d s\] ", line)]
        return Answer(process.returncode, out, tuple(errors))

    def up(self, *words: str, env: Mapping[str, str] | None = None) -> Answer:
        """Bring the scenario up, or try to."""
        return self.does("up", "--scenario", "tiny", *words, env=env)

    def bed(self) -> Bed:
        """The testbed, for what no command tells."""
        return Bed(compose_file.named("tiny", self.checkout.root), self.checkout.root, DockerEngine(docker.from_env()))

    def left(self) -> list[str]:
        """Everything of this testbed that is there: containers, networks, links and files."""
        client, project = docker.from_env(), self.bed().project
        label: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={project}"}
        stem = links.names(project, ["x"])["x"].removesuffix("000")
        return [
            *(f"container {found.name}" for found in client.containers.list(all=True, filters=label)),
            *(f"network {found.name}" for found in client.networks.list() if (found.name or "").startswith(project)),
            *(f"link {path.name}" for path in Path("/sys/class/net").glob(f"{stem}*")),
            *(f"file {path}" for path in self.checkout.root.glob(".tunnelbed/**/*")),
        ]


@pytest.fixture
def person(checkout: Checkout) -> Iterator[Person]:
    """Whatever the test leaves is taken down after it."""
    somebody = Person(checkout)
    yield somebody
    if somebody.left():
        somebody.does("down")
