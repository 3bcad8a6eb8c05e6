"""The override: what this machine adds to a stack, as text that a person can read."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Checkout
from tunnelbed import vpn
from tunnelbed.engines import Plan
from tunnelbed.engines.docker import compose
from tunnelbed.engines.docker.underlay import allocate
from tunnelbed.errors import BadInput, CommandFailed
from tunnelbed.host import shell
from tunnelbed.topology import compose_file

TINY_OVERRIDE = """\
# What this machine adds to tiny.yaml; made anew by every `invoke up`.
services:
  client:
    image: example/node:tag
    hostname: client
    environment:
      TUNNELBED_INTERFACES: |
        inside 198.18.0.2 10.1.0.3/16
    networks: !override
      inside:
        ipv4_address: 198.18.0.2
    healthcheck:
      disable: true
    logging:
      driver: local
    labels:
      tunnelbed.node: client
  gateway:
    image: example/node:tag
    hostname: gateway
    environment:
      TUNNELBED_INTERFACES: |
        inside 198.18.0.3 10.1.0.2/16
        outside 198.18.0.10 192.0.2.1/24
      TUNNELBED_DATA_PLANE: auto
      SWANCTL_DIR: /run/tunnelbed/swanctl
      STRONGSWAN_CONF: /run/tunnelbed/strongswan.conf
    networks: !override
      inside:
        ipv4_address: 198.18.0.3
      outside:
        ipv4_address: 198.18.0.10
    volumes:
    - CONFIGS/gateway:/etc/tunnelbed/node:ro
    - KEYS/gateway:/etc/tunnelbed/keys:ro
    devices:
    - /dev/net/tun
    logging:
      driver: local
    labels:
      tunnelbed.node: gateway
  server:
    image: example/node:tag
    hostname: server
    environment:
      TUNNELBED_INTERFACES: |
        outside 198.18.0.11 192.0.2.2/24
    networks: !override
      outside:
        ipv4_address: 198.18.0.11
    logging:
      driver: local
    labels:
      tunnelbed.node: server
networks:
  inside:
    name: tiny-1a2b3c_inside
    driver: macvlan
    internal: true
    driver_opts: !override
      parent: tb000
    enable_ipv6: false
    ipam: !override
      config:
      - subnet: 198.18.0.0/29
  outside:
    name: tiny-1a2b3c_outside
    driver: macvlan
    internal: true
    driver_opts: !override
      parent: tb001
    enable_ipv6: false
    ipam: !override
      config:
      - subnet: 198.18.0.8/29
"""


class Tags(yaml.SafeLoader):
    """Reads `!override` as a mapping that says so."""


Tags.add_constructor("!reset", lambda loader, node: "!reset")  # noqa: ARG005
Tags.add_constructor("!override", lambda loader, node: {"!override": loader.construct_mapping(node, deep=True)})  # type: ignore[arg-type]


def plan(checkout: Checkout, data_plane: str = "auto", *, keys: bool = True, **options: Any) -> Plan:  # noqa: ANN401 # as Plan has them
    """A plan of `tiny` with the gateway as the one that runs a VPN."""
    checkout.write()
    checkout.configure("gateway/swanctl.conf", "")
    tiny = compose_file.load("tiny", checkout.root)
    images = {"example/node": "example/node:tag"}
    kind = vpn.of(tiny.nodes["gateway"])
    assert kind is not None
    needs = {"gateway": kind.needs(checkout.root / "keys" / "gateway" if keys else None, data_plane)}
    return Plan(tiny, "tiny-1a2b3c", checkout.root, images, needs, **options)


def rendered(made: Plan, parents: dict[str, str] | None = None) -> Any:  # noqa: ANN401 # as YAML has it
    """The override as values."""
    text = compose.render(made, allocate(made.scenario, made.project, {}), parents or {})
    return yaml.load(text, Loader=Tags)  # noqa: S506 # it is a SafeLoader


def test_the_override_of_a_small_scenario_is_exactly_this(checkout: Checkout) -> None:
    made = plan(checkout)
    subnets = {"inside": IPv4Network("198.18.0.0/29"), "outside": IPv4Network("198.18.0.8/29")}
    text = compose.render(made, subnets, {"inside": "tb000", "outside": "tb001"})
    configs, keys = checkout.root / "configs" / "tiny", checkout.root / "keys"
    assert text == TINY_OVERRIDE.replace("CONFIGS", str(configs)).replace("KEYS", str(keys))


def test_addresses_replace_the_stack_s_instead_of_being_merged_into_them(checkout: Checkout) -> None:
    said = rendered(plan(checkout))
    assert all(set(service["networks"]) == {"!override"} for service in said["services"].values())
    assert all(set(network["ipam"]) == {"!override"} for network in said["networks"].values())


def test_the_stack_s_own_addresses_reach_the_node_as_words(checkout: Checkout) -> None:
    checkout.stack["networks"]["inside"]["ipam"]["config"].append({"subnet": "2001:db8::/64"})
    checkout.stack["services"]["client"]["networks"]["inside"]["ipv6_address"] = "2001:db8::3"
    said = rendered(plan(checkout))
    lines = said["services"]["client"]["environment"]["TUNNELBED_INTERFACES"].splitlines()
    assert [line.split()[0::2] + line.split()[3:] for line in lines] == [["inside", "10.1.0.3/16", "2001:db8::3/64"]]


def test_docker_makes_the_parents_where_none_are_named(checkout: Checkout) -> None:
    assert rendered(plan(checkout))["networks"]["inside"]["driver_opts"] == {"!override": {}}


def test_a_bridge_has_no_address_of_the_machine_s_and_nodes_ask_none_of_its_name_servers(checkout: Checkout) -> None:
    said = rendered(plan(checkout, driver="bridge"), {"inside": "tb0", "outside": "tb1"})
    inside = said["networks"]["inside"]
    assert inside["driver"] == "bridge"
    assert inside["internal"] is False
    assert inside["driver_opts"]["!override"] == {
        "com.docker.network.bridge.name": "tb0",
        "com.docker.network.bridge.inhibit_ipv4": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "false",
    }
    assert all(service["dns"] == ["192.0.2.53"] for service in said["services"].values())


@pytest.mark.parametrize(("data_plane", "devices"), [("auto", True), ("user", True), ("kernel", False)])
def test_only_a_gateway_that_may_do_esp_in_user_space_gets_a_tun_device(
    checkout: Checkout,
    data_plane: str,
    devices: bool,  # noqa: FBT001
) -> None:
    services = rendered(plan(checkout, data_plane=data_plane))["services"]
    assert services["gateway"]["environment"]["TUNNELBED_DATA_PLANE"] == data_plane
    assert ("devices" in services["gateway"]) is devices
    assert "devices" not in services["client"]


def test_keys_and_configuration_are_mounted_read_only_and_only_their_own(checkout: Checkout) -> None:
    services = rendered(plan(checkout))["services"]
    assert all(volume.endswith(":ro") for volume in services["gateway"]["volumes"])
    assert "volumes" not in services["client"]
    assert "/keys" not in str(rendered(plan(checkout, keys=False))["services"]["gateway"])


def test_a_platform_is_asked_for_on_every_node(checkout: Checkout) -> None:
    said = rendered(plan(checkout, platform="linux/arm64"))
    assert {service["platform"] for service in said["services"].values()} == {"linux/arm64"}


def test_an_image_that_was_not_built_here_becomes_a_node_by_our_scripts(checkout: Checkout) -> None:
    checkout.stack["services"]["client"] |= {"image": "other/image", "command": ["serve", "all"]}
    services = rendered(plan(checkout))["services"]
    client, server = services["client"], services["server"]
    assert (client["image"], server["image"]) == ("other/image", "example/node:tag")
    assert client["entrypoint"] == ["/usr/lib/tunnelbed/boot"]
    assert client["user"] == "0:0"
    assert client["healthcheck"] == {"disable": True}
    assert client["environment"]["PATH"].startswith("/usr/lib/tunnelbed:")
    assert client["volumes"] == [f"{checkout.root / 'scripts'}:/usr/lib/tunnelbed:ro"]
    assert "command" not in client
    assert not {"entrypoint", "command", "user", "volumes"} & set(server)
    assert "PATH" not in server["environment"]


def test_an_image_of_somebody_else_s_without_a_command_rests(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["image"] = "other/image"
    assert rendered(plan(checkout))["services"]["client"]["command"] == ["rest"]


def test_each_network_has_its_own_driver_and_one_asked_for_holds_for_all(checkout: Checkout) -> None:
    checkout.stack["networks"]["inside"]["driver"] = "bridge"
    del checkout.stack["networks"]["outside"]["driver"]
    parents = {"inside": "tb0", "outside": "tb1"}
    said = rendered(plan(checkout), parents)
    assert {name: network["driver"] for name, network in said["networks"].items()} == {
        "inside": "bridge",
        "outside": "macvlan",
    }
    assert [name for name, service in said["services"].items() if "dns" in service] == ["client", "gateway"]
    forced = rendered(plan(checkout, driver="macvlan"), parents)
    assert {network["driver"] for network in forced["networks"].values()} == {"macvlan"}


def test_what_a_testbed_does_otherwise_is_put_back_so_that_copies_can_be_up_at_the_same_time(
    checkout: Checkout,
) -> None:
    checkout.stack["services"]["client"] |= {
        "container_name": "my-client",
        "ports": ["127.0.0.1:8080:80"],
        "restart": "always",
        "user": "1000",
        "logging": {"driver": "syslog"},
        "depends_on": {"server": {"condition": "service_healthy"}},
        "hostname": "me",
    }
    client = rendered(plan(checkout))["services"]["client"]
    assert {key: client[key] for key in ("container_name", "ports", "depends_on")} == dict.fromkeys(
        ("container_name", "ports", "depends_on"), "!reset"
    )
    assert (client["restart"], client["user"], client["hostname"]) == ("no", "0:0", "me")
    assert client["logging"] == {"!override": {"driver": "local"}}


def test_a_network_s_interface_has_a_name_that_the_kernel_allows(checkout: Checkout) -> None:
    checkout.stack["networks"]["default"] = checkout.stack["networks"].pop("inside")
    for service in ("client", "gateway"):
        networks = checkout.stack["services"][service]["networks"]
        networks["default"] = networks.pop("inside")
    said = rendered(plan(checkout))
    assert said["services"]["client"]["environment"]["TUNNELBED_INTERFACES"].startswith("net_default 198.18.")


def test_a_port_without_an_address_is_an_interface_without_one(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["networks"] = ["inside"]
    words = rendered(plan(checkout))["services"]["client"]["environment"]["TUNNELBED_INTERFACES"].split()
    assert (words[0], len(words)) == ("inside", 2)


def test_a_mac_that_the_stack_gives_is_kept(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["networks"]["inside"]["mac_address"] = "02:00:00:00:00:0a"
    at = rendered(plan(checkout))["services"]["client"]["networks"]["!override"]["inside"]
    assert at["mac_address"] == "02:00:00:00:00:0a"


def test_a_dollar_is_no_variable_of_compose(checkout: Checkout) -> None:
    checkout.stack["services"]["client"] |= {"entrypoint": ["sh"], "command": ["-c", "echo $$HOME"]}
    text = compose.render(made := plan(checkout), allocate(made.scenario, made.project, {}), {})
    assert "echo $$HOME" in text


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/etc", "/etc/", "/etc/tunnelbed", "/etc/tunnelbed/node/nftables.conf", "/run", "/var/run", "/usr/lib"),
        *("/run/tunnelbed/swanctl/x509", "/run//tunnelbed/keys.log", "/var/run/tunnelbed/x", "/usr/lib/tunnelbed/boot"),
    ],
)
def test_a_folder_is_not_mounted_over_what_a_node_has_of_its_own(checkout: Checkout, target: str) -> None:
    checkout.stack["services"]["client"]["volumes"] = [f"./mine:{target}"]
    told = r"compose/tiny\.yaml.*: services\.client\.volumes: found a folder at /.*, expected a path that nodes do not"
    with pytest.raises(BadInput, match=told):
        compose.refuse_mounts(plan(checkout))


@pytest.mark.parametrize(
    "target", ["/etc/swanctl", "/etc/strongswan.conf", "/etcetera", "/srv", "/usr/libexec", "/data"]
)
def test_it_is_mounted_anywhere_else(checkout: Checkout, target: str) -> None:
    checkout.stack["services"]["client"]["volumes"] = [f"./mine:{target}:ro"]
    compose.refuse_mounts(plan(checkout))


def test_a_compose_command_names_project_and_files_in_order() -> None:
    words = compose.command("p", "up", files=[Path("a.yaml"), Path("b.yaml")])
    assert words == ["docker", "compose", "--progress", "plain", "-p", "p", "-f", "a.yaml", "-f", "b.yaml", "up"]


@pytest.mark.parametrize(
    ("failures", "said", "tries", "fails"),
    [
        (0, "", 1, False),
        (2, "cannot stop container: 1a2b: tried to kill container, but did not receive an exit event", 3, False),
        (99, "cannot stop container: 1a2b: tried to kill container, but did not receive an exit event", 6, True),
        (99, "permission denied", 1, True),
    ],
)
def test_what_a_busy_machine_could_not_end_is_ended_by_another_try(
    monkeypatch: pytest.MonkeyPatch, failures: int, said: str, tries: int, *, fails: bool
) -> None:
    tried: list[Sequence[str]] = []

    def run(words: Sequence[str]) -> None:
        tried.append(words)
        if len(tried) <= failures:
            raise CommandFailed(words, 1, said)

    monkeypatch.setattr(shell, "run", run)
    with pytest.raises(CommandFailed, match=said) if fails else contextlib.nullcontext():
        compose.down("tiny-1a2b3c")
    assert len(tried) == tries
    assert all("tiny-1a2b3c" in words and "down" in words for words in tried)
