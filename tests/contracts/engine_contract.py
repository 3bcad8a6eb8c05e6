"""What every engine must do: each test is a promise of `tunnelbed.engines.Engine`.

A new engine is a folder in `tunnelbed/engines/` with a `Registration`, and here a subclass of `EngineContract`: in
test_engines.py, or where what it needs is at hand (tests/live, tests/vms). What the subclass does not pass, the engine
lacks.

    class TestMine(EngineContract):
        name = "mine"

        @pytest.fixture
        def subject(self, checkout): ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from tests.conftest import Checkout
from tunnelbed import engines
from tunnelbed.engines import Engine, Plan
from tunnelbed.errors import CommandFailed, NodeFailed
from tunnelbed.host import waiting
from tunnelbed.testbed.options import OPTIONS
from tunnelbed.testbed.readiness import READY
from tunnelbed.topology import compose_file

PROJECT = "tiny-abc123"
NODES = ("gateway", "client", "server")
# Seconds until a node that was started is ready, stretched.
READY_SECONDS = 30.0


def silent(text: str) -> None:
    """Progress nobody reads."""


@dataclass
class Subject:
    """A testbed of three nodes on an engine."""

    engine: Engine
    plan: Plan
    project: str = field(init=False)

    def __post_init__(self) -> None:
        self.project = self.plan.project

    def up(self) -> Engine:
        """Start it, and wait for its nodes."""
        self.engine.start(self.plan, silent)
        for node in NODES:
            self.awaited(node)
        return self.engine

    def awaited(self, node: str, since: str = "") -> None:
        """Return when a node has said that it is ready, or has said so since a mark."""
        waiting.until(
            lambda: READY in self.engine.log(self.project, node, since), READY_SECONDS, f"{node} to be ready", every=0.1
        )


def plan_of(checkout: Checkout, images: dict[str, str], project: str = PROJECT) -> Plan:
    """The plan of `tiny`, whose nodes are of our image and rest."""
    for service in checkout.stack["services"].values():
        service |= {"image": "tunnelbed/node", "cap_add": ["NET_ADMIN", "NET_RAW"]}
    checkout.write()
    state = checkout.root / ".tunnelbed" / "tiny"
    state.mkdir(parents=True)
    return Plan(compose_file.load("tiny", checkout.root), project, state, images)


class EngineContract:
    """The promises. `subject` is not up; whatever a test leaves, its fixture removes."""

    name: ClassVar[str]

    def test_it_is_registered_under_its_name_with_options_that_there_are(self, subject: Subject) -> None:
        assert subject.engine.name == self.name
        assert set(subject.engine.takes) <= set(OPTIONS)
        if self.name in engines.ENGINES:
            assert engines.takes(self.name) == subject.engine.takes

    def test_what_was_never_started_is_nothing_and_nothing_is_removed(self, subject: Subject) -> None:
        assert subject.engine.states(subject.project) == {}
        assert subject.engine.runs(subject.project) == {}
        assert not any(subject.engine.stop(subject.project, subject.plan.state).values())

    @pytest.mark.parametrize("call", ["run", "open", "terminal", "follow", "log", "mark", "restart"])
    def test_a_node_that_is_not_there_is_said_to_be_so(self, subject: Subject, call: str) -> None:
        words = [["true"]] if call in ("run", "open", "terminal") else []
        with pytest.raises(NodeFailed, match="client: does not run; bring the testbed up first"):
            getattr(subject.engine, call)(subject.project, "client", *words)

    def test_every_node_runs_and_is_made_from_its_image(self, subject: Subject) -> None:
        engine = subject.up()
        assert engine.states(subject.project) == dict.fromkeys(NODES, "running")
        image = engine.called("tunnelbed/node", "")
        assert image
        assert engine.runs(subject.project) == dict.fromkeys(NODES, image)

    def test_a_command_has_its_input_its_streams_and_its_status(self, subject: Subject) -> None:
        engine = subject.up()
        words = ["sh", "-c", 'cat; echo "$1"; echo wrong >&2; exit 3', "sh", "a  b"]
        done = engine.run(subject.project, "client", words, stdin=b"in ", check=False)
        assert (done.status, done.stdout, done.stderr) == (3, "in a  b\n", "wrong\n")
        with pytest.raises(CommandFailed, match="on client ended with status 3: in a b wrong"):
            engine.run(subject.project, "client", words, stdin=b"in ")

    def test_a_conversation_is_one_of_bytes_and_has_an_end(self, subject: Subject) -> None:
        stream = subject.up().open(subject.project, "client", ["sh", "-c", "head -c 5; printf '\\000\\377'"])
        stream.send(b"hello")
        assert b"".join(iter(stream.receive, b"")) == b"hello\x00\xff"
        stream.close()

    def test_commands_for_a_person_are_words_that_end_with_theirs(self, subject: Subject) -> None:
        engine = subject.up()
        assert list(engine.terminal(subject.project, "client", ["echo", "a  b"]))[-2:] == ["echo", "a  b"]
        assert all(isinstance(word, str) for word in engine.follow(subject.project, "client"))

    def test_a_log_is_read_from_a_mark_on(self, subject: Subject) -> None:
        engine = subject.up()
        mark = engine.mark(subject.project, "client")
        assert mark
        assert READY in engine.log(subject.project, "client")
        assert engine.log(subject.project, "client", mark) == ""

    def test_a_node_that_is_restarted_runs_and_goes_on_with_its_log(self, subject: Subject) -> None:
        engine = subject.up()
        mark = engine.mark(subject.project, "client")
        engine.restart(subject.project, "client")
        subject.awaited("client", mark)
        assert engine.states(subject.project) == dict.fromkeys(NODES, "running")

    def test_it_says_what_a_person_should_know(self, subject: Subject) -> None:
        assert {"engine", "kernel"} <= set(subject.up().describe())

    def test_its_nodes_cost_something(self, subject: Subject) -> None:
        assert subject.up().usage(subject.project).peak_memory > 0

    def test_all_of_it_is_removed_and_counted_once(self, subject: Subject) -> None:
        engine = subject.up()
        counted = engine.stop(subject.project, subject.plan.state)
        assert len(NODES) in counted.values(), counted
        assert counted.get("network") == 2
        assert engine.states(subject.project) == {}
        assert not any(engine.stop(subject.project, subject.plan.state).values())

    def test_half_of_it_is_removed_too(self, subject: Subject) -> None:
        self.ruin(subject)
        assert any(subject.engine.stop(subject.project, subject.plan.state).values())
        assert subject.engine.states(subject.project) == {}
        subject.up()

    def ruin(self, subject: Subject) -> None:
        """Leave half of a testbed, as a start that was killed does."""
        raise NotImplementedError

    def test_a_state_that_is_half_written_stops_nobody(self, subject: Subject) -> None:
        for path in (subject.plan.state / "override.yaml", subject.plan.state / "vms" / "machines.json"):
            path.parent.mkdir(exist_ok=True)
            path.write_text('[{"node": "cl', encoding="utf-8")
        assert subject.engine.states(subject.project) == {}
        assert subject.engine.runs(subject.project) == {}
        subject.engine.stop(subject.project, subject.plan.state)
        subject.up()


def covered() -> set[str]:
    """The engines that have a subclass somewhere in tests/, as their files write it."""
    found = set()
    for path in Path(__file__).parents[1].rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if "(EngineContract)" in text:
            found |= {line.split('"')[1] for line in text.splitlines() if line.startswith('    name = "')}
    return found
