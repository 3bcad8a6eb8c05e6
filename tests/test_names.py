"""Whatever a stack may call its nodes, networks, roles and sites, a sentence can say, and `ip` can use."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path

import pytest
from behave.runner_util import load_step_modules
from behave.step_registry import registry
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conftest import Checkout
from tunnelbed.checks.describe import CAN, Fact, sentences
from tunnelbed.errors import BadInput
from tunnelbed.topology import compose_file, naming
from tunnelbed.topology.interface_names import TAKEN, interface_names
from tunnelbed.topology.model import LONGEST_NAME, Attachment, Network, Node, Scenario

ROOT = Path(__file__).parent.parent
LETTERS = string.ascii_letters + string.digits + "._-"
# As compose-spec.json has them; an IPv4 address is one, too, and a sentence takes it for what it is.
COMPOSE_NAMES = st.one_of(
    st.text(LETTERS, min_size=1, max_size=20),
    st.sampled_from(
        [
            "the",
            "every",
            "any",
            "no",
            "node",
            "nodes",
            "dev",
            "default",
            "all",
            "lo",
            "eth0",
            "client",
            "client-1",
            "Client_1",
            "client.1",
            "dns",
            "site",
            "a",
            "A",
            "s",
        ]
    ),
).filter(lambda name: not re.fullmatch(r"\d+(\.\d+){3}", name))
LABELS = st.sampled_from(["", "client", "dns", "dns-server", "node", "nodes", "class", "s", "internet", "a.b", "v_6"])
SITES = st.sampled_from(["", "a", "north-2", "s", "x.y"])
PLACE = Attachment("lan", (ip_interface("10.1.0.2/16"),))
NODES = st.dictionaries(COMPOSE_NAMES, st.tuples(LABELS, SITES), min_size=1, max_size=6)


def scenario(nodes: Mapping[str, tuple[str, str]], networks: Mapping[str, Network] | None = None) -> Scenario:
    made = {name: Node(name, (PLACE,), role, site) for name, (role, site) in nodes.items()}
    return Scenario("tiny", Path("tiny.yaml"), Path("tiny"), Path("features"), networks or {}, made)


def arguments(sentence: str, phrase: str) -> list[object]:
    """The nouns of a sentence, as the phrase that behave would run for it takes them."""
    load_step_modules([str(ROOT / "steps")])
    for matchers in registry.steps.values():
        for matcher in matchers:
            if match := matcher.match(sentence):
                assert matcher.pattern.startswith(phrase), f"{sentence!r} is taken for {matcher.pattern!r}"
                return [argument.value for argument in match.arguments]
    raise AssertionError(f"no phrase matches {sentence!r}")


@given(NODES)
def test_a_node_is_found_by_what_it_is_called_in_a_sentence_and_by_its_name(
    nodes: Mapping[str, tuple[str, str]],
) -> None:
    scene = scenario(nodes)
    for node in scene.nodes.values():
        said = naming.spoken(scene, node)
        assert re.fullmatch(naming.NODE, said)
        assert naming.node(scene, said) == node
        assert naming.node(scene, node.name) == node
        assert naming.nodes(scene, said) == [node]


@given(NODES)
def test_nodes_of_a_role_are_found_by_it_with_and_without_a_site(nodes: Mapping[str, tuple[str, str]]) -> None:
    scene = scenario(nodes)
    for node in scene.nodes.values():
        if node.role not in ("", "node", "nodes"):
            assert naming.nodes(scene, f"every {node.role}") == list(scene.having(node.role))
            if node.site:
                said = f"every {node.role} of site {node.site.upper()}"
                assert re.fullmatch(naming.NODES, said)
                assert naming.nodes(scene, said) == list(scene.having(node.role, node.site))


@settings(max_examples=40)
@given(NODES, st.data())
def test_what_describe_writes_of_nodes_says_them_and_nobody_else(
    nodes: Mapping[str, tuple[str, str]], data: st.DataObject
) -> None:
    scene = scenario(nodes)
    pairs = [(one, other) for one in scene.nodes for other in scene.nodes if one != other]
    assume(pairs)
    meant = set(data.draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True)))
    told = set()
    for sentence in sentences(scene, [Fact(one, other, CAN) for one, other in sorted(meant)]):
        sources, targets, *_ = arguments(sentence, "{sources:Nodes} can reach {targets:")
        told |= {
            (one.name, other.name)
            for one in naming.nodes(scene, str(sources))
            for other in naming.nodes(scene, str(targets))
            if one != other
        }
    assert told == meant


@settings(max_examples=30)
@given(st.lists(COMPOSE_NAMES, min_size=1, max_size=5, unique=True))
def test_every_network_can_be_named_and_has_an_interface_of_its_own_that_the_kernel_allows(names: list[str]) -> None:
    networks = {name: Network(name, ()) for name in names}
    scene = scenario({"box": ("", "")}, networks)
    for name in names:
        assert naming.networks(scene, name) == [networks[name]]
        places, where = arguments(
            f"the box has interfaces only in {name}", "{places:Nodes} has interfaces only in {networks:Links}"
        )
        assert naming.nodes(scene, str(places)) == [scene.nodes["box"]]
        assert naming.networks(scene, str(where)) == [networks[name]]
    found = interface_names(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for interface in found.values():
        # dev_valid_name() of net/core/dev.c, and devinet_sysctl_register() of net/ipv4/devinet.c.
        assert 0 < len(interface) <= LONGEST_NAME
        assert interface not in (".", "..")
        assert not set(interface) & set(" /:\t\n")
        assert not TAKEN.fullmatch(interface)


@pytest.mark.parametrize(
    ("network", "interface"),
    [
        ("isp_link_a", "isp_link_a"),
        ("WAN_Provider1", "WAN_Provider1"),
        ("dev", "dev"),
        ("a.b-c", "a.b-c"),
        ("default", "net_default"),
        ("eth0", "net_eth0"),
        ("lo", "net_lo"),
        ("ipsec0", "net_ipsec0"),
        ("customer_network_berlin", "customer_n_899a"),
    ],
)
def test_an_interface_is_called_like_its_network_where_that_is_possible(network: str, interface: str) -> None:
    assert interface_names([network]) == {network: interface}


def test_two_names_that_differ_in_their_writing_alone_are_told_apart() -> None:
    scene = scenario({"PC-1": ("", ""), "pc_1": ("", ""), "dns": ("dns", "")})
    assert naming.node(scene, "PC-1").name == "PC-1"
    assert naming.node(scene, "the pc_1").name == "pc_1"
    with pytest.raises(BadInput, match="found 'pc 1', expected one node; PC-1 and pc_1 have that name"):
        naming.node(scene, "pc 1")
    assert naming.nodes(scene, "every dns") == [scene.nodes["dns"]]


def test_labels_are_words_however_they_are_written(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["labels"] = {"tunnelbed.role": "DNS", "tunnelbed.site": "North-2"}
    checkout.stack["networks"]["outside"]["labels"] = {"tunnelbed.role": "ISP_Link", "tunnelbed.site": "A"}
    checkout.write()
    tiny = compose_file.load("tiny", checkout.root)
    assert naming.nodes(tiny, "every DNS of site NORTH-2") == [tiny.nodes["client"]]
    assert naming.networks(tiny, "the ISP link of site a") == [tiny.networks["outside"]]
