"""behave's hooks: a testbed that is up otherwise than was asked for is not proven in its place."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from behave.userdata import UserData

import environment
from tests.conftest import Checkout
from tunnelbed.engines import Plan
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.testbed.testbed import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file


def up(checkout: Checkout, data_plane: str = "auto", driver: str = "") -> Bed:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    bed.up(Options(engine="fake", data_plane=data_plane, driver=driver), lambda _: None)
    return bed


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"data_plane": "kernel"}, "-D data_plane: tiny: found kernel, expected user, as it is up now"),
        ({"driver": "bridge"}, "-D driver: tiny: found bridge, expected none, as it is up now"),
        ({"image": "client=me/a"}, "-D image: tiny: found client=me/a, expected none, as it is up now"),
        ({"memory": 512}, "-D memory: tiny: found 512, expected none, as it is up now"),
    ],
)
def test_what_was_asked_for_must_be_how_it_is_up(checkout: Checkout, told: dict[str, Any], message: str) -> None:
    bed = up(checkout, data_plane="user")
    with pytest.raises(BadInput, match=f"^{message}; take it down first, or leave that out$"):
        environment.check(bed, Options(**told), told)


def test_what_nobody_asked_for_may_be_as_it_is(checkout: Checkout) -> None:
    environment.check(up(checkout, data_plane="user", driver="bridge"), Options(driver="bridge"), {"driver": "bridge"})


def test_a_testbed_that_does_not_come_up_is_tried_once_and_every_feature_is_told(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def refuse(plan: Plan) -> None:
        tried.append(plan.project)
        raise EngineUnavailable("no room")

    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine(halfway=refuse))
    monkeypatch.setattr(environment, "open_testbed", lambda *_: bed)
    context: Any = SimpleNamespace(held=contextlib.ExitStack(), root=checkout.root, brought_up=[], beds={}, broken={})
    context.config = SimpleNamespace(userdata=UserData({"engine": "fake"}))
    feature: Any = SimpleNamespace(tags=["scenario.tiny"], filename="features/tiny.feature")
    for _ in range(3):
        with pytest.raises(EngineUnavailable, match="no room"):
            environment.before_feature(context, feature)
    assert len(tried) == 1


def test_images_are_compared_however_somebody_says_them(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, engine := FakeEngine())
    bed.up(Options(engine="fake", image="client=me/a,server=me/b"), lambda _: None)
    monkeypatch.setattr(environment, "open_testbed", lambda *_: bed)
    context: Any = SimpleNamespace(held=contextlib.ExitStack(), root=checkout.root, brought_up=[], broken={})
    context.config = SimpleNamespace(userdata=UserData({"image": "server=me/b, client=me/a"}))
    assert environment._bring_up(context, "tiny") is bed
    context.held.close()
    engine.images["me/b"] = "another"
    with pytest.raises(BadInput, match="server runs another image than me/b is now"):
        environment._bring_up(context, "tiny")


def test_each_feature_is_told_what_is_wrong_and_not_that_somebody_else_proves(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = up(checkout, data_plane="user")
    monkeypatch.setattr(environment, "open_testbed", lambda *_: bed)
    context: Any = SimpleNamespace(held=contextlib.ExitStack(), root=checkout.root, brought_up=[], broken={})
    context.config = SimpleNamespace(userdata=UserData({"data_plane": "kernel"}))
    for _ in range(2):
        with pytest.raises(BadInput, match=r"^-D data_plane: "):
            environment._bring_up(context, "tiny")
    context.config = SimpleNamespace(userdata=UserData())
    assert environment._bring_up(context, "tiny") is bed
    with pytest.raises(BadInput, match="a run that proves it now"):
        environment._bring_up(context, "tiny")
    context.held.close()


class Stuck(FakeEngine):
    """An engine that cannot take anything down."""

    def stop(self, *_: object) -> dict[str, int]:
        raise EngineUnavailable("the engine is gone: start it")


def test_one_that_cannot_be_taken_down_keeps_no_other_one_up(checkout: Checkout) -> None:
    class Context:
        keep = False
        held = contextlib.ExitStack()

    stuck = Bed(compose_file.load("tiny", checkout.root), checkout.root, Stuck(), "stuck")
    other = up(checkout)
    context: Any = Context()
    context.beds = {"stuck": stuck, "tiny": other}
    context.brought_up = [stuck, other]
    with pytest.raises(EngineUnavailable):
        environment.after_all(context)
    assert not other.is_up()
