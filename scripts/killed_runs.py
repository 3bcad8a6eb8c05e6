"""Kill `invoke up` at random moments, and see what it leaves: `scripts/killed-runs --runs 200 --seed 7`.

Each run brings up a small scenario (two gateways with certificates, on one network), and kills that with SIGKILL,
SIGTERM or SIGINT, the command alone or its whole process group, at a random moment from its start to a little after its
end.
Every third run then does `invoke up` over the ruins, which must succeed, tunnel included; all end with `invoke down`.
After that nothing of it may be there: no container, network, link, file, key or process.

Prints each run that failed, and at the end `N of N`. The exit code is 0 if all of them held, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from tunnelbed.engines.docker import links  # noqa: E402
from tunnelbed.engines.docker.containers import PROJECT  # noqa: E402
from tunnelbed.engines.docker.engine import DockerEngine  # noqa: E402
from tunnelbed.errors import DeadlinePassed  # noqa: E402
from tunnelbed.host import waiting  # noqa: E402 # found by the line above
from tunnelbed.testbed.testbed import Testbed  # noqa: E402
from tunnelbed.topology import compose_file  # noqa: E402

NAME = "ruins"
GATEWAY = """\
  {name}:
    image: tunnelbed/node
    command: [vpn]
    cap_drop: [ALL]
    cap_add: [NET_ADMIN, NET_RAW, NET_BIND_SERVICE]
    labels: {{tunnelbed.role: gateway}}
    healthcheck: {{test: [CMD, ping, -c, "1", -W, "1", {peer}]}}
    networks: {{outside: {{ipv4_address: {own}}}}}
"""
NETWORK = """\
networks:
  outside:
    driver: macvlan
    labels: {tunnelbed.role: isp_link}
    ipam: {config: [{subnet: 192.0.2.0/24}]}
"""
CONNECTION = """\
connections {{
    pair {{
        local_addrs = {own}
        remote_addrs = {peer}
        local {{
            certs = {name}.pem
        }}
        remote {{
            auth = pubkey
        }}
        children {{
            pair {{
                start_action = trap
            }}
        }}
    }}
}}
"""
PKI = """\
root: C=FI, O=Example, CN=Root
intermediate: C=FI, O=Example, CN=Intermediate
leaves:
  east: {subject: "C=FI, O=Example, CN=east", address: 192.0.2.1, usage: server}
  west: {subject: "C=FI, O=Example, CN=west", address: 192.0.2.2, usage: client}
"""
ENDS = (("east", "192.0.2.1", "192.0.2.2"), ("west", "192.0.2.2", "192.0.2.1"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Seconds: until a command must have ended, and until what ends by itself must be gone. Both stretched.
LONGEST, GONE = 120.0, 10.0
# How far beyond the end of an undisturbed `up` a moment may be: it is not always as fast.
BEYOND = 1.1
SAID_EVERY = 20


@dataclass(frozen=True)
class Attempt:
    """One run: how and when `up` is killed, and what is done to the ruins."""

    number: int
    kill: signal.Signals
    group: bool
    after: float
    again: bool

    def __str__(self) -> str:
        whom = "its group" if self.group else "it alone"
        then = "up, then down" if self.again else "down"
        return f"run {self.number}: {self.kill.name} to {whom} after {self.after:.2f} s, then {then}"


class Ruins:
    """A scenario in a folder of its own, to be brought up and killed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        configs = root / "configs" / NAME
        for folder in (root / "compose", *(configs / name for name, _, _ in ENDS)):
            folder.mkdir(parents=True)
        services = "".join(GATEWAY.format(name=name, own=own, peer=peer) for name, own, peer in ENDS)
        (root / "compose" / f"{NAME}.yaml").write_text(f"services:\n{services}{NETWORK}", encoding="utf-8")
        for name, own, peer in ENDS:
            text = CONNECTION.format(name=name, own=own, peer=peer)
            (configs / name / "swanctl.conf").write_text(text, encoding="utf-8")
        (configs / "pki.yaml").write_text(PKI, encoding="utf-8")
        self._client = docker.from_env()
        self._project = Testbed(compose_file.named(NAME, root), root, DockerEngine(self._client)).project

    def begin(self, task: str) -> subprocess.Popen[str]:
        """Start a task as a terminal does, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(HOME), task, "--scenario", NAME, "--path", self.root],
            env={**os.environ, "PYTHONPATH": str(HOME)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def does(self, task: str) -> str:
        """Carry a task out to its end; what is wrong with how it ended, or nothing."""
        process = self.begin(task)
        said = _ended(process)
        if said is None:
            return f"`{task}` did not end"
        return f"`{task}` ended with {process.returncode}: {said.strip()}" if process.returncode else ""

    def undergoes(self, attempt: Attempt) -> Iterator[str]:
        """Carry one run out, and yield everything that is wrong."""
        process = self.begin("up")
        # No condition to wait for: a moment is what is tried.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(attempt.after)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if attempt.group else os.kill)(process.pid, attempt.kill)
        said = _ended(process)
        if said is None:
            yield "the killed `up` did not end"
        elif "Traceback" in said:
            yield f"the killed `up` ended in a traceback: {said.strip()}"
        if attempt.again and (wrong := self.does("up")):
            yield wrong
        if wrong := self.does("down"):
            yield wrong
        try:
            waiting.until(self.left, GONE, "nothing to be left", every=0.1, good=lambda left: not left)
        except DeadlinePassed as late:
            yield f"left: {late.last}"

    def left(self) -> Sequence[str]:
        """All that is there of the testbed."""
        ours: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={self._project}"}
        helpers: dict[str, str | list[str] | bool] = {"label": f"tunnelbed.helper={self._project}"}
        stem = links.names(self._project, ["x"])["x"].removesuffix("000")
        containers = [
            found
            for label in (ours, helpers)
            for found in self._client.containers.list(all=True, filters=label, ignore_removed=True)
        ]
        networks = [found for found in self._client.networks.list() if (found.name or "").startswith(self._project)]
        return [
            *(f"container {found.name}" for found in containers),
            *(f"network {found.name}" for found in networks),
            *(f"link {path.name}" for path in Path("/sys/class/net").glob(f"{stem}*")),
            *(f"file {path}" for path in self.root.glob(".tunnelbed*/**/*")),
            *(f"file {path}" for path in self.root.glob(".tunnelbed*")),
            *(f"process {number}: {words}" for number, words in _processes(str(self.root), self._project)),
        ]


def _ended(process: subprocess.Popen[str]) -> str | None:
    """What a command has said when it has ended; None for one that had to be ended."""
    try:
        return process.communicate(timeout=waiting.stretched(LONGEST))[0]
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None


def _processes(*named: str) -> Iterator[tuple[int, str]]:
    """The processes of this machine, apart from this one, whose words name one of these."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if int(path.parent.name) != os.getpid() and any(name in words for name in named):
                yield int(path.parent.name), words


def attempts(count: int, seed: int, longest: float) -> Iterator[Attempt]:
    """The runs that a seed stands for, each moment a random part of the time that `up` takes undisturbed."""
    chance = random.Random(seed)  # noqa: S311 # to be had again, not to be kept secret
    for number in range(1, count + 1):
        kill, group = chance.choice(SIGNALS), chance.random() < 1 / 2
        yield Attempt(number, kill, group, chance.uniform(0, longest * BEYOND), number % 3 == 0)


def main() -> int:
    """Do as the command line says."""
    description, _, explained = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="scripts/killed-runs",
        description=description,
        epilog=explained,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=200, help="how many runs, by default 200")
    parser.add_argument("--seed", type=int, help="the number that decides all that is random; by default a new one")
    said = parser.parse_args()
    if said.runs < 1:
        parser.error(f"--runs: found {said.runs}, expected 1 or more")
    seed = secrets.randbelow(1_000_000) if said.seed is None else said.seed
    with tempfile.TemporaryDirectory(prefix="tunnelbed-ruins-") as folder:
        ruins = Ruins(Path(folder))
        # The first one may build the image; the second tells how long it takes.
        took = 0.0
        for task in ("up", "down", "up", "down"):
            began = time.monotonic()
            if wrong := ruins.does(task):
                print(f"undisturbed, {wrong}", file=sys.stderr)
                return 2
            took = time.monotonic() - began if task == "up" else took
        print(f"seed {seed}; undisturbed, `up` takes {took:.1f} s", flush=True)
        held = 0
        for attempt in attempts(said.runs, seed, took):
            wrong_ones = list(ruins.undergoes(attempt))
            held += not wrong_ones
            for wrong in wrong_ones:
                print(f"{attempt}: {wrong}", flush=True)
            if wrong_ones:
                # The next run begins with nothing there, or says so as well.
                ruins.does("down")
            if attempt.number % SAID_EVERY == 0:
                print(f"{held} of {attempt.number} so far", file=sys.stderr, flush=True)
    print(f"{held} of {said.runs}")
    return 0 if held == said.runs else 1


if __name__ == "__main__":
    sys.exit(main())
