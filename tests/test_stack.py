"""Stacks as Compose resolves them: what it merges and fills in, and that plain files need not be asked about."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TINY, Checkout
from tunnelbed.engines.images import stack_images
from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.topology import compose_file, scaffold, stack
from tunnelbed.topology.model import Scenario

ROOT = Path(__file__).parent.parent
EVERYTHING = """
include: [parts/common.yaml]
x-node: &node {image: example/node, sysctls: &sysctls {net.ipv4.ip_forward: 1}}
services:
  gateway:
    <<: *node
    sysctls: {<<: *sysctls, net.ipv4.conf.all.rp_filter: 1}
    networks: {outside: {ipv4_address: "${OUTSIDE}.1"}, inside: {ipv4_address: 10.1.0.2}}
    labels: ["tunnelbed.role=Gateway"]
    command: sh -c 'echo $$HOME'
  client:
    extends: {file: parts/base.yaml, service: base}
    env_file: [parts/client.env]
    environment: {FLAG: yes, RATE: 1.0, COUNT: 010}
    networks: [inside]
    healthcheck: {test: "ask $$SERVER"}
  later:
    image: example/node
    profiles: [more]
    networks: [inside]
networks:
  inside: {ipam: {config: [{subnet: 10.1.0.0/16}]}}
  nobody_is_in: {}
"""


@pytest.fixture
def everything(checkout: Checkout) -> Checkout:
    """A stack of several files, with variables, and a service that is not asked for."""
    parts = checkout.root / "compose" / "parts"
    parts.mkdir()
    (parts / "common.yaml").write_text(
        """services:
  server: {image: example/node, networks: {outside: {ipv4_address: 192.0.2.2}}}
networks:
  outside: {driver: bridge, ipam: {config: [{subnet: 192.0.2.0/24}]}}
"""
    )
    (parts / "base.yaml").write_text("services: {base: {image: other/base, cap_add: [NET_ADMIN]}}")
    (parts / "client.env").write_text("SERVER=192.0.2.2\n")
    (checkout.root / "compose" / ".env").write_text("OUTSIDE=192.0.2\n")
    checkout.write(EVERYTHING)
    return checkout


def test_a_stack_is_what_compose_makes_of_its_files_and_variables(everything: Checkout) -> None:
    tiny = compose_file.load("tiny", everything.root)
    assert list(tiny.nodes) == ["gateway", "client", "server"]
    gateway, client, server = tiny.nodes.values()
    assert [at.network for at in gateway.attachments] == ["outside", "inside"]
    assert gateway.addresses_on("outside") == (ip_interface("192.0.2.1/24"),)
    assert gateway.sysctls == {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"}
    assert gateway.role == "gateway"
    assert gateway.command == ("sh", "-c", "echo $HOME")
    assert (client.image, client.capabilities) == ("other/base", ("NET_ADMIN",))
    assert client.environment == {"SERVER": "192.0.2.2", "FLAG": "yes", "RATE": "1", "COUNT": "8"}
    assert client.check == ("sh", "-c", "ask $SERVER")
    assert client.attachments[0].addresses == ()
    assert server.addresses == (ip_interface("192.0.2.2/24").ip,)
    assert {name: network.driver for name, network in tiny.networks.items()} == {"inside": "", "outside": "bridge"}


def test_a_profile_that_is_asked_for_brings_its_services(everything: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    everything.configure("later/nftables.conf", "")
    assert "later" not in compose_file.load("tiny", everything.root).nodes
    monkeypatch.setenv("COMPOSE_PROFILES", "more")
    assert "later" in compose_file.load("tiny", everything.root).nodes


def test_a_variable_without_a_value_is_told_of(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["environment"] = {"WHERE": "${NOWHERE_SET}"}
    checkout.write()
    (note,) = compose_file.load("tiny", checkout.root).notes
    assert note == 'compose/tiny.yaml: The "NOWHERE_SET" variable is not set. Defaulting to a blank string.'


def test_a_complaint_names_the_line(checkout: Checkout) -> None:
    checkout.write(
        "services:\n  web:\n    image: x\n    networks: [lan]\n    network_mode: host\nnetworks: {lan: {}}\n"
    )
    with pytest.raises(BadInput, match=r"^compose/tiny\.yaml:2: services\.web: found `.*network_mode"):
        compose_file.load("tiny", checkout.root)
    checkout.write("services:\n  web:\n    image: x\n    network_mode: host\n")
    with pytest.raises(BadInput, match=r"^compose/tiny\.yaml:4: services\.web\.network_mode: found 'host'"):
        compose_file.load("tiny", checkout.root)


def test_without_compose_a_plain_stack_is_read_and_another_one_says_what_is_missing(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compose_file.load("tiny", checkout.root).nodes
    checkout.stack["services"]["client"]["image"] = "${IMAGE:-x}"
    checkout.write()
    with pytest.raises(EngineUnavailable, match=r"tiny\.yaml: .* is not installed; run scripts/setup$"):
        compose_file.load("tiny", checkout.root)


def test_two_nodes_with_one_mac_are_refused(checkout: Checkout) -> None:
    for node in ("client", "gateway"):
        checkout.stack["services"][node]["networks"]["inside"]["mac_address"] = "02:00:00:00:00:0A"
    checkout.write()
    with pytest.raises(BadInput, match=r"found 02:00:00:00:00:0a, expected one that no other node has on inside"):
        compose_file.load("tiny", checkout.root)


@pytest.mark.parametrize(
    ("image", "called"),
    [("", "tunnelbed-built/tiny-client"), ("tunnelbed/node", "tunnelbed-built/tiny-client"), ("me/app", "me/app")],
)
def test_what_a_stack_builds_has_a_name_that_is_not_the_node_image_s(
    checkout: Checkout, image: str, called: str
) -> None:
    checkout.stack["services"]["client"] |= {"image": image, "build": "app"}
    checkout.write()
    client = compose_file.load("tiny", checkout.root).nodes["client"]
    assert client.image == called
    said = yaml.safe_load(stack_images.render([client], "tunnelbed/node:0123", ""))["services"]["client"]
    assert said == {
        "image": called,
        "build": {"network": "host", "additional_contexts": {"tunnelbed/node": "docker-image://tunnelbed/node:0123"}},
    }


def both(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Scenario | str, Scenario | str]:
    """What a stack is by our own reading, and by Compose's; a complaint counts as one."""
    asked: list[Scenario | str] = []
    for plain in (True, False):
        with monkeypatch.context() as patch:
            if not plain:
                patch.setattr(stack, "is_plain", lambda *_: False)
            try:
                asked.append(compose_file.load("tiny", root))
            except BadInput as refused:
                asked.append(refused.key)
    return asked[0], asked[1]


@pytest.mark.parametrize("path", [*sorted((ROOT / "compose").glob("*-*.yaml")), ROOT / "compose" / "ipv6.yaml"])
def test_the_scenarios_here_are_plain_and_mean_the_same_to_compose(
    checkout: Checkout, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.name.endswith(".nested.yaml"):
        return
    shutil.copy(path, checkout.root / "compose" / "tiny.yaml")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert compose_file.load("tiny", checkout.root).nodes
    ours, theirs = both(checkout.root, monkeypatch)
    assert ours == theirs


def test_what_invoke_new_writes_is_plain_and_means_the_same_to_compose(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout.root / "compose" / "tiny.yaml").unlink()
    scaffold.make("tiny", checkout.root)
    ours, theirs = both(checkout.root, monkeypatch)
    assert ours == theirs
    assert not isinstance(ours, str)


# Texts and numbers as people write them without quotes: some mean another thing to each version of YAML.
NUMBERS = "1 010 0x1f 1.0 1e3 1_000 12:30 -1 +1 .5 2001-01-01 0o17 .inf 1__0 0b1 0.0.0.0"
WORDS = "a yes no on true y ~ null = '1' "
WRITTEN = st.sampled_from([*NUMBERS.split(" "), *WORDS.split(" "), "a b", '"yes"'])
SERVICE: Mapping[str, st.SearchStrategy[Any]] = {
    "command": st.sampled_from(["sleep 5", "say 'a b'", ["rest"], ["a b", "c"], "a  b", "a;b"]),
    "environment": st.lists(st.sampled_from(["A=1", "B=x=y", "C", "A=2"]), max_size=3),
    "labels": st.lists(st.sampled_from(["tunnelbed.role=host", "tunnelbed.site=a"]), max_size=2, unique=True),
    "cap_add": st.lists(st.sampled_from(["NET_ADMIN", "NET_RAW"]), max_size=2, unique=True),
    "cap_drop": st.just(["ALL"]),
    "privileged": st.booleans(),
    "sysctls": st.sampled_from([{"net.ipv4.ip_forward": 1}, ["net.ipv4.ip_forward=1"]]),
    "healthcheck": st.sampled_from([{"test": "ask"}, {"test": ["CMD", "ask"]}, {"test": ["NONE"]}, {"disable": True}]),
    "networks": st.sampled_from(
        [["inside"], ["outside", "inside"], {"inside": None}, {"inside": {"ipv4_address": "10.1.0.9"}}, {}]
    ),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.fixed_dictionaries({}, optional=SERVICE), st.sampled_from(["environment", "labels", "sysctls", ""]), WRITTEN)
def test_whatever_is_plain_means_the_same_to_compose(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, service: dict[str, Any], where: str, written: str
) -> None:
    document = yaml.safe_load(yaml.safe_dump(TINY))
    document["services"]["client"] |= service
    if where:
        document["services"]["client"][where] = {"net.ipv4.conf.all.x": "HERE"}
    checkout.write(yaml.safe_dump(document).replace("HERE", written))
    ours, theirs = both(checkout.root, monkeypatch)
    assert ours == theirs
