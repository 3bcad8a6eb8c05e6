"""behave's hooks: a testbed that is up otherwise than was asked for is not proven in its place."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from behave.userdata import UserData

import environment
from tests.conftest import Checkout
from tunnelbed import engines
from tunnelbed.engines import Plan
from tunnelbed.engines.fake import ENGINE as FAKE_ENGINE
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.host.shell import Completed
from tunnelbed.testbed import readiness
from tunnelbed.testbed.options import Asked, Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file


def up(checkout: Checkout, data_plane: str = "auto", driver: str = "") -> Bed:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    bed.up(Options(engine="fake", data_plane=data_plane, driver=driver), lambda _: None)
    return bed


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"data_plane": "kernel"}, "-D data_plane: tiny: found kernel, expected user, which the running testbed has"),
        ({"driver": "bridge"}, "-D driver: tiny: found bridge, expected none, which the running testbed has"),
        ({"image": "client=me/a"}, "-D image: tiny: found client=me/a, expected none, which the running testbed has"),
        ({"memory": 512}, "-D memory: tiny: found 512, expected none, which the running testbed has"),
    ],
)
def test_what_was_asked_for_must_be_how_it_is_up(checkout: Checkout, told: dict[str, Any], message: str) -> None:
    bed = up(checkout, data_plane="user")
    with pytest.raises(BadInput, match=f"^{message}; take the testbed down first, or omit the option$"):
        environment.check(bed, Asked(told))


def test_what_nobody_asked_for_may_be_as_it_is(checkout: Checkout) -> None:
    environment.check(up(checkout, data_plane="user", driver="bridge"), Asked({"driver": "bridge"}))


def test_a_testbed_that_does_not_come_up_is_tried_once_and_every_feature_is_told(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def refuse(plan: Plan) -> None:
        tried.append(plan.project)
        raise EngineUnavailable("no room")

    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine(halfway=refuse))
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
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
    with pytest.raises(BadInput, match="server runs another image than the current me/b"):
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
    with pytest.raises(BadInput, match="another run of its features"):
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


def context_of(checkout: Checkout, **told: str) -> Any:  # noqa: ANN401 # as far as the hooks use behave's
    context = SimpleNamespace(held=contextlib.ExitStack(), root=checkout.root, brought_up=[], beds={}, broken={})
    context.config = SimpleNamespace(userdata=UserData(told))
    context.keep = False
    return context


def test_one_that_somebody_else_brought_up_meanwhile_is_not_taken_down(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = up(checkout)

    class Late(Bed):
        """It looks down at first: somebody brings it up between that and our own `up`."""

        looked = False

        def is_up(self) -> bool:
            first, self.looked = not self.looked, True
            return not first and super().is_up()

    late = Late(bed.plain, checkout.root, bed.engine)
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
    monkeypatch.setattr(environment, "open_testbed", lambda *_: late)
    context = context_of(checkout, engine="fake")
    context.beds["tiny"] = environment._bring_up(context, "tiny")
    assert context.brought_up == []
    environment.after_all(context)
    assert bed.is_up()


def test_sentences_are_judged_where_a_check_of_the_stack_s_own_does_not_pass(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.05)
    engine = FakeEngine(lambda _, command: Completed(tuple(command), 1, "no route to host", ""))
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, engine)
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
    monkeypatch.setattr(environment, "open_testbed", lambda *_: bed)
    context = context_of(checkout, engine="fake")
    context.beds["tiny"] = environment._bring_up(context, "tiny")
    assert context.brought_up == [bed]
    assert context.broken == {}
    assert bed.is_up()
    environment.after_all(context)
    assert engine.states(bed.project) == {}


@pytest.mark.parametrize("key", ["data_plane", "data-plane"])
def test_a_value_that_there_is_not_is_told_as_it_was_typed(checkout: Checkout, key: str) -> None:
    with pytest.raises(BadInput, match=r"^-D data_plane: found 'kernal', expected one of: auto, kernel, user;"):
        environment._bring_up(context_of(checkout, **{key: "kernal"}), "tiny")
