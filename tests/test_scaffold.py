"""A scenario to begin from: complete, loadable, and never written over what is there."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tunnelbed.errors import BadInput
from tunnelbed.topology import compose_file, scaffold
from tunnelbed.topology.model import Scenario
from tunnelbed.topology.scaffold.hub import MOST_SITES
from tunnelbed.topology.scaffold.remote import MOST_LAPTOPS
from tunnelbed.vpn import pki

GATEWAYS = ("gateway-a", "gateway-b")


@pytest.mark.parametrize("authentication", scaffold.AUTHENTICATIONS)
def test_what_is_written_is_a_scenario(tmp_path: Path, authentication: str) -> None:
    scaffold.make("mine", tmp_path, authentication)
    made = compose_file.load("mine", tmp_path)
    assert list(made.nodes) == ["gateway-a", "gateway-b", "host-a", "host-b"]
    assert made.sites == ("a", "b")
    assert "@scenario.mine" in (tmp_path / "features" / "mine" / "proof.feature").read_text()


def test_certificates_are_planned_for_the_identities_that_the_gateways_claim(tmp_path: Path) -> None:
    scaffold.make("mine", tmp_path)
    planned = {
        leaf.node: leaf.subject for leaf in pki.read(tmp_path / "configs" / "mine" / "pki.yaml", GATEWAYS).leaves
    }
    for gateway, subject in planned.items():
        claimed = ", ".join(part.rfc4514_string() for part in subject.rdns)
        assert f'"{claimed}"' in (tmp_path / "configs" / "mine" / gateway / "swanctl.conf").read_text()


def test_both_ends_share_one_secret_that_no_other_scenario_has(tmp_path: Path) -> None:
    secrets = set()
    for name in ("one", "two"):
        scaffold.make(name, tmp_path, "psk")
        found = {
            line.strip()
            for gateway in GATEWAYS
            for line in (tmp_path / "configs" / name / gateway / "swanctl.conf").read_text().splitlines()
            if "secret =" in line
        }
        assert len(found) == 1
        secrets |= found
    assert len(secrets) == 2


@pytest.mark.parametrize("name", ["", "Mine", "1st", "a--b", "a-", "a b", "../x", "x" * 40])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="NAME"):
        scaffold.make(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    taken = tmp_path / "compose" / "mine.yaml"
    taken.parent.mkdir()
    taken.write_text("mine already")
    with pytest.raises(BadInput, match=r"mine\.yaml"):
        scaffold.make("mine", tmp_path)
    assert taken.read_text() == "mine already"
    assert not (tmp_path / "features").exists()


def hub_of(root: Path, sites: int) -> Scenario:
    """The generated scenario of so many sites."""
    scaffold.make("hub", root, sites=sites)
    return compose_file.load("hub", root)


@pytest.mark.parametrize("sites", [1, 2, 9, MOST_SITES])
def test_a_scenario_of_any_size_has_a_gateway_and_a_client_a_site(tmp_path: Path, sites: int) -> None:
    made = hub_of(tmp_path, sites)
    numbers = [str(number) for number in range(1, sites + 1)]
    assert [node.site for node in made.having("client")] == numbers
    assert [node.site for node in made.having("gateway")] == ["s", *numbers]
    assert len(made.nodes) == 2 * sites + 3
    assert len(made.networks) == 2 * sites + 2
    assert all(node.check for node in made.having("client"))


def test_every_site_is_joined_to_the_router_and_no_address_stands_twice(tmp_path: Path) -> None:
    made = hub_of(tmp_path, MOST_SITES)
    assert len(made.nodes["router"].attachments) == MOST_SITES + 1
    subnets = [subnet for network in made.networks.values() for subnet in network.subnets]
    subnets.sort(key=lambda subnet: int(subnet.network_address))
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(subnets))
    addresses = [address for node in made.nodes.values() for address in node.addresses]
    assert len(set(addresses)) == len(addresses)


def test_the_proof_names_every_site_and_keeps_each_from_the_next(tmp_path: Path) -> None:
    hub_of(tmp_path, 3)
    said = (tmp_path / "features" / "hub" / "proof.feature").read_text()
    for number, following in ((1, 2), (2, 3), (3, 1)):
        assert f"gateway S has a tunnel with gateway {number}\n" in said
        assert f"client {number} cannot reach client {following}\n" in said


def test_a_single_site_has_no_other_to_be_kept_from(tmp_path: Path) -> None:
    hub_of(tmp_path, 1)
    assert "kept apart" not in (tmp_path / "features" / "hub" / "proof.feature").read_text()


def test_the_cloud_plans_a_certificate_for_each_gateway_and_believes_each_by_its_own_name(tmp_path: Path) -> None:
    made = hub_of(tmp_path, 4)
    believed = (made.configs / "gateway-s" / "swanctl.conf").read_text()
    leaves = pki.read(made.configs / "pki.yaml", made.nodes).leaves
    assert [leaf.node for leaf in leaves] == ["gateway-s", "gateway-1", "gateway-2", "gateway-3", "gateway-4"]
    for leaf in leaves:
        assert leaf.addresses[0] in made.nodes[leaf.node].addresses
        claimed = ", ".join(part.rfc4514_string() for part in leaf.subject.rdns)
        assert f'id = "{claimed}"' in (made.configs / leaf.node / "swanctl.conf").read_text()
        assert believed.count(f'id = "{claimed}"') == 1


@pytest.mark.parametrize("sites", [-1, MOST_SITES + 1])
def test_more_sites_than_there_are_addresses_for_are_refused_with_the_reason(tmp_path: Path, sites: int) -> None:
    with pytest.raises(BadInput, match=r"--sites: found .*, expected 1 to 254: a site's number is a part of its addr"):
        scaffold.make("hub", tmp_path, sites=sites)
    assert list(tmp_path.iterdir()) == []


def test_sites_around_a_cloud_have_certificates_only(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--auth"):
        scaffold.make("hub", tmp_path, "psk", sites=2)


def office_of(root: Path, laptops: int) -> Scenario:
    """The generated scenario of so many laptops."""
    scaffold.make("office", root, laptops=laptops)
    return compose_file.load("office", root)


@pytest.mark.parametrize("laptops", [1, 2, MOST_LAPTOPS])
def test_laptops_stand_in_a_cafe_each_with_an_address_and_a_name_of_its_own(tmp_path: Path, laptops: int) -> None:
    made = office_of(tmp_path, laptops)
    found = made.having("laptop", "cafe")
    assert len(found) == laptops
    assert len({address for node in made.nodes.values() for address in node.addresses}) == laptops + 5
    assert all(node.check for node in found)
    leaves = {leaf.node: leaf for leaf in pki.read(made.configs / "pki.yaml", made.nodes).leaves}
    assert set(leaves) == {"gateway", *(node.name for node in found)}
    for node in found:
        assert leaves[node.name].addresses[0] in node.addresses
        claimed = ", ".join(part.rfc4514_string() for part in leaves[node.name].subject.rdns)
        assert f'id = "{claimed}"' in (made.configs / node.name / "swanctl.conf").read_text()


def test_a_single_laptop_has_no_other_beside_it(tmp_path: Path) -> None:
    office_of(tmp_path, 1)
    assert "laptop 2" not in (tmp_path / "features" / "office" / "proof.feature").read_text()


@pytest.mark.parametrize("laptops", [-1, MOST_LAPTOPS + 1])
def test_more_laptops_than_there_are_addresses_for_are_refused(tmp_path: Path, laptops: int) -> None:
    with pytest.raises(BadInput, match=r"--laptops: found .*, expected 1 to 253, "):
        scaffold.make("office", tmp_path, laptops=laptops)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("auth", "sites", "key"), [("psk", 0, "--auth"), ("certificates", 2, "--laptops")])
def test_laptops_have_certificates_and_one_office(tmp_path: Path, auth: str, sites: int, key: str) -> None:
    with pytest.raises(BadInput, match=key):
        scaffold.make("office", tmp_path, auth, sites, laptops=2)
    assert list(tmp_path.iterdir()) == []
