"""charon on a node: who has one, and that a silent one is not taken for one with nothing to say."""

from __future__ import annotations

import pytest

from tests.conftest import Checkout
from tunnelbed.checks import security_associations
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    checkout.configure("gateway/swanctl.conf", "")
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def test_a_gateway_has_one(bed: Bed) -> None:
    assert bed.node("gateway").daemon is bed.node("gateway").daemon
    assert [node.name for node in bed.gateways()] == ["gateway"]


def test_who_has_none_is_told_who_has(bed: Bed) -> None:
    told = r"^tiny: client: found no swanctl.conf, expected one of: gateway; name another node$"
    with pytest.raises(BadInput, match=told):
        security_associations.no_tunnel(bed, bed.scenario.node("client"))
