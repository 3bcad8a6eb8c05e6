"""Looking into a testbed: what a command is given it keeps, and what is down is said to be."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import Checkout
from tests.live.conftest import Person


@pytest.mark.parametrize(
    "command",
    [["exec", "--node", "client"], ["logs", "--node", "client"], ["logs"], ["logs", "--node", "client", "--follow"]],
)
def test_a_node_that_is_down_is_said_to_be(person: Person, command: list[str]) -> None:
    answer = person.does(*command, "--scenario", "tiny")
    assert len(answer.errors) == 1, answer.errors
    assert "does not run; bring the testbed up first" in answer.errors[0]
    assert answer.code == 2


def test_the_status_of_what_is_down_is_that_it_is_down(person: Person) -> None:
    assert person.does("status").out == "nothing is up\n"
    assert json.loads(person.does("status", "--json").out) == []
    answer = person.does("status", "--scenario", "tiny")
    assert (answer.code, answer.out.count(" down")) == (0, 3)


def test_an_unknown_node_is_answered_with_the_list(person: Person) -> None:
    answer = person.does("exec", "--scenario", "tiny", "--node", "nobody")
    assert answer.errors == (
        "tunnelbed: --node: found 'nobody', expected one of: client, gateway, server; choose one of them",
    )
    assert answer.code == 2


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = Person(Checkout(tmp_path_factory.mktemp("up") / "checkout"))
    assert person.up().code == 0
    yield person
    person.does("down")
    assert person.left() == []


def test_a_command_gets_its_arguments_as_they_were_typed(up: Person) -> None:
    words = ["a  b", "'", '"', "$HOME", "--", "-x", "", "a\nb", "*", "é;|&"]
    answer = up.does("exec", "--scenario", "tiny", "--node", "client", "--", "printf", "%s|", *words)
    assert (answer.code, answer.out) == (0, "".join(f"{word}|" for word in words))


def test_a_command_s_status_is_exec_s(up: Person) -> None:
    answer = up.does("exec", "--scenario", "tiny", "--node", "client", "--", "sh", "-c", "exit 7")
    assert answer.code == 7


def test_a_second_up_only_checks(up: Person) -> None:
    process = up.start("up", "--scenario", "tiny")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "already up: checking" in err
    assert out.count(" running") == 3


def test_other_options_are_refused(up: Person) -> None:
    answer = up.up("--data-plane", "user")
    assert len(answer.errors) == 1
    assert "which the running testbed has; take it down first" in answer.errors[0]
    assert answer.code == 2


def test_a_script_reads_the_status(up: Person) -> None:
    (bed,) = json.loads(up.does("status", "--json").out)
    assert bed["up"]
    assert {node["state"] for node in bed["nodes"]} == {"running"}


def test_logs_name_the_node_of_each_line(up: Person) -> None:
    said = up.does("logs", "--scenario", "tiny").out.splitlines()
    assert {line.split()[0] for line in said} == {"client", "gateway", "server"}
    assert "tunnelbed: ready" in up.does("logs", "--scenario", "tiny", "--node", "server").out


def test_a_log_is_told_since_a_mark(up: Person) -> None:
    bed = up.bed()
    engine, project = bed.engine, bed.project
    before = engine.mark(project, "server")
    engine.run(project, "server", ["sh", "-c", "seq 5000 >/proc/1/fd/1"])
    assert engine.log(project, "server", before).split() == [str(number) for number in range(1, 5001)]
    assert engine.log(project, "server", engine.mark(project, "server")) == ""
