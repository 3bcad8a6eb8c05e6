"""The nested form of a scenario: a file beside the stack that Compose merges, and what a testbed must know of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.conftest import Checkout
from tunnelbed import engines
from tunnelbed.engines import Plan
from tunnelbed.engines.docker import compose
from tunnelbed.engines.docker.underlay import allocate
from tunnelbed.engines.fake import ENGINE as FAKE_ENGINE
from tunnelbed.errors import BadInput
from tunnelbed.testbed import testbed
from tunnelbed.testbed.options import Options
from tunnelbed.topology import compose_file

NESTED = Options(engine="fake", nested=True)
CARRIED = "example/inside"


def overlay(checkout: Checkout, service: str = "server") -> Path:
    """Write `tiny.nested.yaml`, in which a node carries an image."""
    said = {"image": "example/outside", "privileged": True, "command": "nested 'a b'"}
    path = checkout.root / "compose" / "tiny.nested.yaml"
    labels = {"tunnelbed.images": CARRIED}
    path.write_text(yaml.safe_dump({"services": {service: {**said, "labels": labels}}}), encoding="utf-8")
    return path


def test_the_file_of_a_nested_form_is_no_scenario(checkout: Checkout) -> None:
    overlay(checkout)
    assert compose_file.names(checkout.root) == ("tiny",)


def test_a_node_of_the_nested_form_is_what_the_file_says_and_else_as_before(checkout: Checkout) -> None:
    path = overlay(checkout)
    plain = compose_file.load("tiny", checkout.root)
    nested = compose_file.nested(plain)
    server = nested.nodes["server"]
    assert nested.overlay == path
    assert (server.image, server.privileged, server.command) == ("example/outside", True, ("nested", "a b"))
    assert server.carried == (CARRIED,)
    assert server.attachments == plain.nodes["server"].attachments
    assert nested.nodes["client"] == plain.nodes["client"]


def test_a_scenario_without_a_nested_form_says_which_file_would_be_it(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"tiny\.nested\.yaml"):
        compose_file.nested(compose_file.load("tiny", checkout.root))


def test_a_nested_form_of_an_unknown_node_is_refused(checkout: Checkout) -> None:
    overlay(checkout, "servr")
    with pytest.raises(BadInput, match="servr"):
        compose_file.nested(compose_file.load("tiny", checkout.root))


def test_carried_images_reach_the_node_as_a_file(checkout: Checkout) -> None:
    overlay(checkout)
    scene = compose_file.nested(compose_file.load("tiny", checkout.root))
    plan = Plan(scene, "p", checkout.root / "state", {})
    said = yaml.safe_load(compose.render(plan, allocate(scene, "p", {}), {}).replace("!override", ""))
    volume = f"{compose.carried(plan, scene.nodes['server'])}:/etc/tunnelbed/images.tar:ro"
    assert volume in said["services"]["server"]["volumes"]
    assert "images.tar" not in str(said["services"]["client"])


def test_up_warns_of_privileges_and_later_commands_know_the_form(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay(checkout)
    monkeypatch.setitem(engines.ENGINES, "fake", FAKE_ENGINE)
    said = list[str]()
    testbed.open_testbed(compose_file.load("tiny", checkout.root), checkout.root, "fake").up(NESTED, said.append)
    assert any("WARNING: server is privileged" in line for line in said)
    later = testbed.open_testbed(compose_file.load("tiny", checkout.root), checkout.root)
    assert later.scenario.nodes["server"].privileged
    assert later.options == NESTED
