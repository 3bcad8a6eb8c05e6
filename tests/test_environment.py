"""behave's hooks: a testbed that is up otherwise than was asked for is not proven in its place."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import environment
from tests.conftest import Checkout
from tunnelbed import scenario
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.testbed import Options
from tunnelbed.testbed import Testbed as Bed


def up(checkout: Checkout, data_plane: str = "auto", driver: str = "") -> Bed:
    bed = Bed(scenario.load("tiny", checkout.root), checkout.root, FakeEngine())
    bed.up(Options(engine="fake", data_plane=data_plane, driver=driver), lambda _: None)
    return bed


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"data_plane": "kernel"}, "-D data_plane: tiny: found kernel, expected user, as it is up now"),
        ({"driver": "bridge"}, "-D driver: tiny: found bridge, expected none, as it is up now"),
        ({"memory": 512}, "-D memory: tiny: found 512, expected none, as it is up now"),
    ],
)
def test_what_was_asked_for_must_be_how_it_is_up(checkout: Checkout, told: dict[str, Any], message: str) -> None:
    bed = up(checkout, data_plane="user")
    with pytest.raises(BadInput, match=f"^{message}; take it down first, or leave that out$"):
        environment.check(bed, Options(**told), told)


def test_what_nobody_asked_for_may_be_as_it_is(checkout: Checkout) -> None:
    environment.check(up(checkout, data_plane="user", driver="bridge"), Options(driver="bridge"), {"driver": "bridge"})


class Stuck(FakeEngine):
    """An engine that cannot take anything down."""

    def stop(self, *_: object) -> dict[str, int]:
        raise EngineUnavailable("the engine is gone: start it")


def test_one_that_cannot_be_taken_down_keeps_no_other_one_up(checkout: Checkout) -> None:
    class Context:
        keep = False
        held = contextlib.ExitStack()

    stuck = Bed(scenario.load("tiny", checkout.root), checkout.root, Stuck(), "stuck")
    other = up(checkout)
    context: Any = Context()
    context.beds = {"stuck": stuck, "tiny": other}
    context.brought_up = [stuck, other]
    with pytest.raises(EngineUnavailable):
        environment.after_all(context)
    assert not other.is_up()
