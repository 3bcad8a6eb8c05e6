"""Scenarios on disk: what a good stack says, and the one line that answers each thing wrong with one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TINY, Checkout
from tunnelbed.errors import BadInput
from tunnelbed.topology import compose_file

STACK = "compose/tiny.yaml"
Change = Callable[[Any], None]


def complaint(checkout: Checkout) -> BadInput:
    """What loading `tiny` is answered with."""
    with pytest.raises(BadInput) as wrong:
        compose_file.load("tiny", checkout.root)
    return wrong.value


@pytest.mark.parametrize("name", compose_file.names(Path(__file__).parent.parent))
def test_every_scenario_of_this_checkout_loads(name: str) -> None:
    assert compose_file.load(name, Path(__file__).parent.parent).nodes


def test_a_stack_is_read_with_what_compose_says_of_each_node(checkout: Checkout) -> None:
    checkout.stack["services"]["client"] |= {
        "command": "sleep 'a b'",
        "environment": ["A=1", "B=x=y", "C"],
        "sysctls": {"net.ipv4.ip_forward": 1},
        "cap_add": ["NET_ADMIN"],
        "privileged": True,
    }
    checkout.write()
    client = compose_file.load("tiny", checkout.root).nodes["client"]
    assert client.attachments[0].addresses == (ip_interface("10.1.0.3/16"),)
    assert client.command == ("sleep", "a b")
    assert client.environment == {"A": "1", "B": "x=y", "C": ""}
    assert client.sysctls == {"net.ipv4.ip_forward": "1"}
    assert client.capabilities == ("NET_ADMIN",)
    assert client.privileged
    assert client.check == ("ask", "once")
    assert client.image == "example/node"


@pytest.mark.parametrize(
    ("test", "command"),
    [
        ("ask; once", ("sh", "-c", "ask; once")),
        (["CMD-SHELL", "ask; once"], ("sh", "-c", "ask; once")),
        (["CMD", "ask", "once"], ("ask", "once")),
        (["NONE"], ()),
    ],
)
def test_a_health_check_is_read_in_every_form_compose_has(
    checkout: Checkout, test: object, command: tuple[str, ...]
) -> None:
    checkout.stack["services"]["client"]["healthcheck"] = {"test": test}
    checkout.write()
    assert compose_file.load("tiny", checkout.root).nodes["client"].check == command


def test_both_kinds_of_address_are_read(checkout: Checkout) -> None:
    checkout.stack["networks"]["inside"]["ipam"]["config"].append({"subnet": "2001:db8::/64"})
    checkout.stack["services"]["client"]["networks"]["inside"]["ipv6_address"] = "2001:db8::3"
    checkout.write()
    tiny = compose_file.load("tiny", checkout.root)
    assert tiny.nodes["client"].attachments[0].addresses == (
        ip_interface("10.1.0.3/16"),
        ip_interface("2001:db8::3/64"),
    )
    assert tiny.networks["inside"].subnets == (ip_network("10.1.0.0/16"), ip_network("2001:db8::/64"))


def test_an_unknown_scenario_is_answered_with_the_list(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"^--scenario: found 'huge', expected one of: tiny; choose one of them$"):
        compose_file.load("huge", checkout.root)


def test_a_folder_without_scenarios_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none: there is no \*\.yaml in "):
        compose_file.load("tiny", tmp_path)


def test_a_scenario_s_name_must_suit_the_engine(checkout: Checkout) -> None:
    (checkout.root / STACK).rename(checkout.root / "compose" / "Tiny Net.yaml")
    with pytest.raises(BadInput, match=r"^compose/Tiny Net\.yaml: .*lower-case letters.*; rename the file$"):
        compose_file.load("Tiny Net", checkout.root)


def test_a_scenario_is_named_without_being_read(checkout: Checkout) -> None:
    checkout.write("services: [")
    assert compose_file.named("tiny", checkout.root).stack == checkout.root / STACK


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("services: [a\nnetworks: {}", "expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3", "the key a is there twice (line 3)"),
        ("services:\n  a: &n {x: 1, x: 2}", "the key x is there twice (line 2)"),
        ("services: !own {}", "could not determine a constructor for the tag '!own' (line 1)"),
        ("\tservices: {}", "found character that cannot start any token"),
        ("- a", "['a']"),
        ("# nothing yet\n", "nothing"),
        ("? [a, b]\n: c", "found unhashable key (line 1)"),
        ("a: *nothing", "found undefined alias"),
    ],
)
def test_what_is_no_stack_is_refused_with_its_line(checkout: Checkout, text: str, found: str) -> None:
    checkout.write(text)
    wrong = complaint(checkout)
    assert wrong.where == STACK
    assert found in str(wrong.found)


def test_a_file_that_is_no_text_is_refused(checkout: Checkout) -> None:
    (checkout.root / STACK).write_bytes(b"services: \xff")
    assert "codec can't decode" in str(complaint(checkout))


def test_a_file_that_cannot_be_read_is_refused(checkout: Checkout) -> None:
    (checkout.root / STACK).unlink()
    (checkout.root / STACK).mkdir()
    assert str(complaint(checkout)).startswith(f"{STACK}: found Is a directory, expected a file that can be read;")


def test_a_key_is_not_called_double_because_an_anchor_brings_it_too(checkout: Checkout) -> None:
    # The deeper mapping is built after the one that takes it in, and by then holds `k` twice.
    anchors = "x-a: {b: {c: &deep {<<: {k: 1}, k: 2}}}\nx-b: {<<: *deep}\n"
    checkout.write(yaml.safe_dump(checkout.stack) + anchors)
    assert compose_file.load("tiny", checkout.root).nodes


def at(*path: str, value: object = None) -> Change:
    """A change of the stack: the value at the end of the path is set, or removed if there is none."""

    def change(stack: Any) -> None:  # noqa: ANN401 # as YAML has it
        for word in path[:-1]:
            stack = stack[word]
        if value is None:
            del stack[path[-1]]
        else:
            stack[path[-1]] = value

    return change


CLIENT = ("services", "client")
FOOT = (*CLIENT, "networks", "inside")
INSIDE = ("networks", "inside")
WRONG = [
    (at(*FOOT, "ipv4_address", value="10.9.0.3"), ".".join((*FOOT, "ipv4_address")), "10.9.0.3", "10.1.0.0/16"),
    (at(*FOOT, "ipv4_address", value="10.1.0.300"), ".".join((*FOOT, "ipv4_address")), "10.1.0.300", "10.1.0.0/16"),
    (at(*FOOT, "ipv4_address", value="2001:db8::3"), ".".join((*FOOT, "ipv4_address")), "2001:db8::3", "ipv4 address"),
    (at(*FOOT, "ipv4_address", value="10.1.0.0"), ".".join((*FOOT, "ipv4_address")), "10.1.0.0", "a host"),
    (at(*FOOT, "ipv4_address", value="10.1.255.255"), ".".join((*FOOT, "ipv4_address")), "10.1.255.255", "a host"),
    (at(*FOOT, "ipv6_address", value="2001:db8::3"), ".".join((*FOOT, "ipv6_address")), "2001:db8::3", "10.1.0.0/16"),
    (at(*FOOT, value="10.1.0.3"), ".".join(FOOT), "must be a mapping", "Compose accepts"),
    (
        at(*CLIENT, "networks", value={"insid": {}}),
        "services.client.networks.insid",
        "network insid",
        "inside, outside",
    ),
    (at(*CLIENT, value="run"), "services.client", "must be a mapping", "Compose accepts"),
    (at(*CLIENT, "extends", value="nobody"), "", "nobody", "Compose accepts"),
    (at(*CLIENT, "command", value=5), "services.client.command", "must be a", "Compose accepts"),
    (at(*CLIENT, "cap_add", value="NET_ADMIN"), "services.client.cap_add", "must be a list", "Compose accepts"),
    (at(*CLIENT, "environment", value=5), "services.client.environment", "must be a", "Compose accepts"),
    (at(*CLIENT, "healthcheck", value=[1]), "services.client.healthcheck", "must be a mapping", "Compose accepts"),
    (at(*CLIENT, "netwroks", value={}), "services.client", "netwroks", "Compose accepts"),
    (at(*CLIENT, "image", value="${UNSET?say which}"), "services.client.image", "say which", "Compose accepts"),
    (at(*CLIENT, "env_file", value="gone.env"), "", "gone.env", "Compose accepts"),
    (at(*CLIENT, "network_mode", value="host"), "services.client", "network_mode", "Compose accepts"),
    (at(*CLIENT, value={"image": "x", "network_mode": "host"}), "services.client.network_mode", "'host'", "networks"),
    (at(*CLIENT, "pid", value="host"), "services.client.pid", "'host'", "processes of its own"),
    (at(*CLIENT, "scale", value=2), "services.client.scale", "2", "one container for each"),
    (at(*CLIENT, "deploy", value={"replicas": 3}), "services.client.deploy.replicas", "3", "one container for each"),
    (
        at(*CLIENT, "depends_on", value={"server": {"condition": "service_completed_successfully"}}),
        "services.client.depends_on",
        "service_completed_successfully",
        "run as long as the testbed",
    ),
    (at(*CLIENT, "labels", "tunnelbed.role", value="a b"), "services.client.labels.tunnelbed.role", "'a b'", "a word"),
    (at(*FOOT, "mac_address", value="02:00"), ".".join((*FOOT, "mac_address")), "02:00", "a MAC such as"),
    (at("services"), "services", "none", "the scenario's nodes"),
    (at("services", value=[]), "", "services must be a mapping", "Compose accepts"),
    (at("networks", value=7), "", "networks must be a mapping", "Compose accepts"),
    (at("networks"), "services.client.networks.inside", "network inside", "no network at all"),
    (at("include", value=["gone.yaml"]), "", "gone.yaml", "Compose accepts"),
    (at(*INSIDE, value="macvlan"), "networks.inside", "must be a mapping", "Compose accepts"),
    (at(*INSIDE, "ipam"), ".".join((*CLIENT, "networks", "inside", "ipv4_address")), "10.1.0.3", "inside has not"),
    (
        at(*INSIDE, "ipam", value={"config": {"subnet": "10.1.0.0/16"}}),
        "networks.inside.ipam.config",
        "must be a list",
        "Compose accepts",
    ),
    (at(*INSIDE, "external", value=True), "networks.inside.external", "it", "of the testbed alone"),
    (at(*INSIDE, "driver", value="overlay"), "networks.inside.driver", "'overlay'", "macvlan, bridge, ipvlan"),
    (
        at(*INSIDE, "ipam", value={"config": [{"subnet": "10.1.0.9/16"}]}),
        "networks.inside.ipam.config.subnet",
        "'10.1.0.9/16'",
        "a subnet such as 10.1.0.0/16",
    ),
]


@pytest.mark.parametrize(
    ("change", "key", "found", "expected"), WRONG, ids=[f"{key}-{what}" for _, key, what, _ in WRONG]
)
def test_what_cannot_hold_is_answered_with_its_key_what_was_found_and_what_was_expected(
    checkout: Checkout, change: Change, key: str, found: str, expected: str
) -> None:
    change(checkout.stack)
    checkout.write()
    wrong = complaint(checkout)
    assert (wrong.where, wrong.key) == (STACK, key)
    assert found in str(wrong.found)
    assert expected in wrong.expected
    assert wrong.advice
    assert "\n" not in str(wrong)


def test_an_address_that_two_nodes_have_names_both(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["networks"]["inside"]["ipv4_address"] = "10.1.0.2"
    checkout.write()
    said = str(complaint(checkout))
    assert "10.1.0.2" in said
    assert "client" in said
    assert "gateway" in said


def test_an_address_may_be_used_again_in_another_network(checkout: Checkout) -> None:
    checkout.stack["networks"]["outside"]["ipam"] = {"config": [{"subnet": "10.1.0.0/16"}]}
    checkout.stack["services"]["server"]["networks"]["outside"]["ipv4_address"] = "10.1.0.3"
    checkout.stack["services"]["gateway"]["networks"]["outside"]["ipv4_address"] = "10.1.0.2"
    checkout.write()
    assert compose_file.load("tiny", checkout.root).nodes


def test_both_ends_of_a_subnet_of_two_are_hosts(checkout: Checkout) -> None:
    checkout.stack["networks"]["outside"]["ipam"] = {"config": [{"subnet": "192.0.2.0/31"}]}
    checkout.stack["services"]["server"]["networks"]["outside"]["ipv4_address"] = "192.0.2.0"
    checkout.write()
    assert compose_file.load("tiny", checkout.root).nodes["server"].attachments[0].addresses


def test_a_configuration_folder_without_its_node_is_refused(checkout: Checkout) -> None:
    checkout.configure("gatewax/nftables.conf", "")
    wrong = complaint(checkout)
    assert wrong.where == "configs/tiny/gatewax"
    assert "gateway, client, server" not in wrong.where
    assert all(node in wrong.expected for node in ("gateway", "client", "server"))


def test_files_beside_the_configuration_folders_are_no_nodes(checkout: Checkout) -> None:
    checkout.configure("pki.yaml", "")
    assert compose_file.load("tiny", checkout.root).nodes


YAML_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["10.1.0.3", "inside", "'"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["subnet", "config", "inside", "ipv4_address", "test", "a b"]) | st.integers(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def every_place(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inner for place in every_place(item, (*here, key)))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.sampled_from(every_place(TINY)[1:]), YAML_VALUE)
def test_whatever_stands_in_a_stack_it_loads_or_is_answered_with_a_complaint(
    checkout: Checkout, place: tuple[Any, ...], value: object
) -> None:
    document = yaml.safe_load(yaml.safe_dump(TINY))
    within = document
    for word in place[:-1]:
        within = within[word]
    within[place[-1]] = value
    checkout.write(yaml.safe_dump(document))
    # Anything but BadInput fails the test.
    with contextlib.suppress(BadInput):
        compose_file.load("tiny", checkout.root)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.ip_addresses(v=4))
def test_exactly_the_hosts_of_its_subnet_may_be_a_node_s_address(checkout: Checkout, address: Any) -> None:  # noqa: ANN401
    checkout.stack["services"]["server"]["networks"]["outside"]["ipv4_address"] = str(address)
    checkout.write()
    may = address in ip_network("192.0.2.0/24").hosts() and str(address) != "192.0.2.1"
    try:
        compose_file.load("tiny", checkout.root)
    except BadInput:
        assert not may
    else:
        assert may


@pytest.mark.parametrize(
    ("said", "images"),
    [
        ("gateway=me/a", {"gateway": "me/a"}),
        ("client=me/a:1,server=me/b", {"client": "me/a:1", "server": "me/b"}),
        ("host=me/a", {"client": "me/a", "server": "me/a"}),
        ("server=me/b, host=me/a", {"client": "me/a", "server": "me/b"}),
    ],
)
def test_nodes_have_the_images_that_somebody_asks_for(checkout: Checkout, said: str, images: Mapping[str, str]) -> None:
    for node in ("client", "server"):
        checkout.stack["services"][node]["labels"]["tunnelbed.role"] = "host"
    checkout.write()
    asked = compose_file.with_images(compose_file.load("tiny", checkout.root), compose_file.asked_images(said))
    assert {name: node.image for name, node in asked.nodes.items() if node.image != "example/node"} == images


@pytest.mark.parametrize("said", ["me/a", "gateway=", "=me/a", "gateway=me/a,", ","])
def test_half_of_what_says_who_has_which_image_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match=r"--image: found '.*', expected WHO=IMAGE, with commas"):
        compose_file.asked_images(said)


def test_two_images_for_one_are_refused() -> None:
    with pytest.raises(BadInput, match="--image: found gateway twice"):
        compose_file.asked_images("gateway=me/a,gateway=me/b")


def test_an_image_for_nobody_is_refused_with_a_list_of_who_there_is(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"--image: found gatewy, inside, expected one of: client, gateway, server;"):
        compose_file.with_images(compose_file.load("tiny", checkout.root), {"gatewy": "me/a", "inside": "me/b"})


@pytest.mark.parametrize("name", ["nftables.conf", "iptables.rules", "ip.batch", "swanctl.conf", "wg0.conf"])
def test_a_folder_in_the_place_of_a_native_file_is_told_not_left_out(checkout: Checkout, name: str) -> None:
    (checkout.root / "configs" / "tiny" / "gateway" / name).mkdir(parents=True)
    with pytest.raises(BadInput, match=rf"^configs/tiny/gateway/{name}: found a folder, expected the file {name};"):
        compose_file.load("tiny", checkout.root)
