"""Errors: one line each, with what to do next."""

from __future__ import annotations

import pytest

from tunnelbed import errors
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, NodeFailed, TunnelbedError


def test_bad_input_says_file_key_found_expected_and_advice_in_that_order() -> None:
    wrong = BadInput("compose/x.yaml", "services.a", "10.9.0.2", "an address in 10.1.0.0/16", "correct it")
    assert str(wrong) == "compose/x.yaml: services.a: found 10.9.0.2, expected an address in 10.1.0.0/16; correct it"


def test_bad_input_about_a_whole_file_names_no_key() -> None:
    assert str(BadInput("x.yaml", "", "a list", "a mapping", "write one")).startswith("x.yaml: found a list,")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (CommandFailed(["ip", "link"], 2, "no\n"), "`ip link` ended with status 2: no"),
        (CommandFailed(["ip"], 2, "no", "gateway-a"), "`ip` on gateway-a ended with status 2: no"),
        (CommandFailed(["ip"], None, ""), "`ip` did not end in time: it printed nothing"),
        (NodeFailed("router", "line 3:\n\n   syntax error\n", "mend it"), "router: line 3: syntax error; mend it"),
        (NodeFailed("router", " ", "mend it"), "router: stopped and logged nothing; mend it"),
        (DeadlinePassed("a pong", 2.50, "nothing"), "waited 2.5 s for a pong; last seen: nothing"),
    ],
)
def test_each_failure_is_told_in_one_line(wrong: TunnelbedError, told: str) -> None:
    assert str(wrong) == told


def test_the_node_s_own_words_are_kept_as_they_were() -> None:
    assert NodeFailed("router", "line 3:\n  ^^\n", "mend it").message == "line 3:\n  ^^\n"


def test_the_tree_in_the_documentation_is_the_tree_there_is() -> None:
    drawn = {word for line in (errors.__doc__ or "").splitlines() if "──" in line for word in line.split()[1:2]}
    assert drawn == {kind.__name__ for kind in TunnelbedError.__subclasses__()}
