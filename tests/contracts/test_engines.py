"""The contract of engines, as the fake one keeps it, and QEMU's with a stand-in for QEMU. Docker's: tests/live."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tests.contracts.engine_contract import EngineContract, Subject, covered, plan_of, silent
from tunnelbed import engines
from tunnelbed.engines import Usage
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.engines.qemu import accelerator, files
from tunnelbed.engines.qemu import engine as qemu
from tunnelbed.engines.qemu.supervisor_client import SupervisorClient
from tunnelbed.host import waiting
from tunnelbed.host.shell import Completed

TESTS = Path(__file__).parents[1]


def test_every_engine_that_is_registered_is_held_to_the_contract() -> None:
    assert set(engines.ENGINES) <= covered()


def answers(engine: FakeEngine, command: Sequence[str]) -> Completed:
    """What this machine says to a command."""
    done = subprocess.run(list(command), input=engine.input, capture_output=True, check=False)
    out = done.stdout.decode(errors="surrogateescape")
    return Completed(tuple(command), done.returncode, out, done.stderr.decode())


class TestFake(EngineContract):
    name = "fake"

    @pytest.fixture
    def subject(self, checkout: Checkout) -> Subject:
        engine = FakeEngine(lambda _, command: answers(engine, command))
        engine.costs = Usage(1000, 0.1)
        return Subject(engine, plan_of(checkout, {"tunnelbed/node": "tunnelbed/node:fake"}))

    def ruin(self, subject: Subject) -> None:
        assert isinstance(subject.engine, FakeEngine)

        def killed(_: object) -> None:
            raise KeyboardInterrupt

        subject.engine.halfway, before = killed, subject.engine.halfway
        with pytest.raises(KeyboardInterrupt):
            subject.engine.start(subject.plan, silent)
        subject.engine.halfway = before


class TestQemu(EngineContract):
    name = "qemu"

    @pytest.fixture
    def subject(self, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Subject]:
        programs, shared = tmp_path / "programs", tmp_path / "files"
        programs.mkdir()
        shared.mkdir()
        (shared / "release").write_text("6.12.0-test\n")
        (programs / accelerator.architecture().program).symlink_to(TESTS / "data" / "stand-in")
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("GUEST_AGENT", str(TESTS.parent / "scripts" / "vm" / "guest-agent"))
        monkeypatch.setenv(accelerator.VARIABLE, "tcg")
        monkeypatch.setenv(waiting.PATIENCE_VARIABLE, "1")
        monkeypatch.setattr(files, "current", lambda: shared)
        made = Subject(qemu.connect(checkout.root), plan_of(checkout, {"tunnelbed/node": str(shared)}))
        yield made
        made.engine.stop(made.project, made.plan.state)

    def ruin(self, subject: Subject) -> None:
        subject.up()
        folder = subject.plan.state / qemu.FOLDER
        # Its supervisor was killed, and what it had been told was half written.
        assert SupervisorClient(folder).ask("end") is not None
        waiting.until(lambda: not SupervisorClient(folder).ask("states", within=1), 10, "its end")
