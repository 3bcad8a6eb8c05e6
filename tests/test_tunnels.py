"""With whom a gateway has a tunnel, also where a NAT stands before its peer; and what a node's connections ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.conftest import Checkout
from tests.fake_charon import FakeCharon, FakeHost, as_sent
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed import vpn
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import NodeFailed
from tunnelbed.host import waiting
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.vpn.api import Setup

NAT = "203.0.113.7"
ALICE, BOB = "O=office, CN=Alice", "O=office, CN=Bob"


def sa(number: int, host: str, identity: str, *, hidden: bool) -> dict[str, Any]:
    """A tunnel as charon lists it."""
    ends = {"local-host": "192.0.2.1", "local-id": "O=office, CN=Gateway", "remote-host": host, "remote-id": identity}
    nat = {"nat-remote": "yes", "nat-any": "yes"} if hidden else {}
    return {"laptops": {"uniqueid": number, "version": 2, "state": "ESTABLISHED", **ends, **nat, "child-sas": {}}}


def bed_of(checkout: Checkout, *tunnels: dict[str, Any], identity: str = ALICE) -> Bed:
    """`tiny`, whose gateway has these tunnels. Its client shows itself as `identity`; empty: its charon is dead."""
    for node in ("gateway", "client"):
        checkout.configure(f"{node}/swanctl.conf", "")
    office = {"office": {"version": "IKEv2", "local-1": {"id": identity, "class": "public key"}, "children": {}}}
    charons = {"gateway": FakeCharon([as_sent(one) for one in tunnels]), "client": FakeCharon(conns=[as_sent(office)])}
    charons["client"].listens = bool(identity)
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    agents = {name: SimpleNamespace(connect=FakeHost(charon).connect) for name, charon in charons.items()}
    bed.agents = cast("Agents", SimpleNamespace(on=agents.__getitem__))
    return bed


def with_client(bed: Bed) -> list[int]:
    """The numbers of the gateway's tunnels with the client."""
    return [int(tunnel.id) for tunnel in bed.node("gateway").tunnels(bed.node("client"))]


def test_a_peer_is_known_by_its_address(checkout: Checkout) -> None:
    bed = bed_of(checkout, sa(1, "10.1.0.3", BOB, hidden=False), sa(2, "10.1.0.4", ALICE, hidden=False))
    assert with_client(bed) == [1]
    assert [int(tunnel.id) for tunnel in bed.node("gateway").tunnels()] == [1, 2]


def test_a_peer_behind_a_nat_is_known_by_the_identity_it_proved(checkout: Checkout) -> None:
    bed = bed_of(checkout, sa(1, NAT, BOB, hidden=True), sa(2, NAT, ALICE, hidden=True))
    assert with_client(bed) == [2]
    assert bed.node("gateway").tunnels(bed.node("server")) == ()


def test_a_tunnel_from_behind_a_nat_is_none_with_the_nat(checkout: Checkout) -> None:
    bed = bed_of(checkout, sa(1, "10.1.0.3", BOB, hidden=True))
    assert with_client(bed) == []


@pytest.mark.parametrize("identity", ["%any"])
def test_who_shows_no_identity_is_not_said_to_have_no_tunnel(checkout: Checkout, identity: str) -> None:
    bed = bed_of(checkout, sa(1, NAT, ALICE, hidden=True), identity=identity)
    with pytest.raises(NodeFailed, match="client: has no connection with an id of its own; give its `local` section"):
        with_client(bed)


def test_whose_identity_cannot_be_told_is_not_said_to_have_no_tunnel(checkout: Checkout) -> None:
    bed = bed_of(checkout, sa(1, NAT, ALICE, hidden=True), identity="")
    with pytest.raises(NodeFailed, match="client: charon does not answer"):
        with_client(bed)


@pytest.mark.parametrize(
    ("line", "starts", "borrows"),
    [
        ("start_action = start", True, False),
        ("start_action = trap|start", True, False),
        ("start_action = trapstart", False, False),
        ("start_action = trap", False, False),
        ("# start_action = start", False, False),
        ("vips = 0.0.0.0", False, True),
        ("vips =", False, False),
        ("# vips = 0.0.0.0", False, False),
        ("vips = # none", False, False),
        ("child { start_action = start }", True, False),
        ("child { start_action = trap } # start", False, False),
        ("inner { vips = 0.0.0.0 }", False, True),
        ("my_vips = 0.0.0.0", False, False),
    ],
)
def test_what_connections_ask_for(checkout: Checkout, line: str, starts: bool, borrows: bool) -> None:  # noqa: FBT001 # a table
    checkout.configure("client/swanctl.conf", f"connections {{\n    office {{\n        {line}\n    }}\n}}\n")
    scene = compose_file.load("tiny", checkout.root)
    found = vpn.setup(scene, scene.node("client"))
    assert (found.starts, found.borrows) == (starts, borrows)
    assert vpn.setup(scene, scene.node("server")) == Setup()


def test_what_connections_ask_for_is_read_where_it_is_included(checkout: Checkout) -> None:
    checkout.configure("client/swanctl.conf", "include conf.d/*.conf\n")
    checkout.configure("client/conf.d/office.conf", "connections { office { vips = :: } }\n")
    scene = compose_file.load("tiny", checkout.root)
    assert vpn.setup(scene, scene.node("client")).borrows


def test_peers_are_what_connections_call_them(checkout: Checkout) -> None:
    said = "connections { a { remote_addrs = 192.0.2.1, vpn.example\n# remote_addrs = x\n } b { remote_addrs=%any } }\n"
    checkout.configure("client/swanctl.conf", said)
    scene = compose_file.load("tiny", checkout.root)
    assert list(vpn.peers(scene, "client")) == ["192.0.2.1", "vpn.example", "%any"]
    assert list(vpn.peers(scene, "server")) == []


def test_what_the_stack_mounts_where_strongswan_looks_is_read_there(checkout: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "swanctl.conf").write_text("include conf.d/*.conf\n")
    (folder / "conf.d" / "a.conf").write_text("connections { a { remote_addrs = 192.0.2.9 } }\n")
    for source, target in ((folder, "/etc/swanctl"), (folder / "swanctl.conf", "/etc/swanctl/swanctl.conf")):
        checkout.stack["services"]["client"]["volumes"] = [f"{source}:{target}:ro"]
        checkout.write()
        scene = compose_file.load("tiny", checkout.root)
        assert list(vpn.peers(scene, "client")) == ["192.0.2.9"]


def test_a_daemon_that_does_not_answer_is_an_error_and_never_no_tunnel(checkout: Checkout) -> None:
    bed = bed_of(checkout, identity="")
    with pytest.raises(NodeFailed, match="client: charon does not answer"):
        bed.node("client").tunnels()
    with pytest.raises(NodeFailed, match="client: charon does not answer"):
        bed.snapshot()


def test_what_is_under_way_when_all_is_undone_is_waited_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    with brought_up(pair.load(), pair.root) as (bed, network):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        (tunnel,) = bed.node("gateway-a").tunnels()
        looks = iter([*(replace(tunnel, busy=True) for _ in range(5)), *(tunnel for _ in range(10))])
        monkeypatch.setattr(NodeHandle, "tunnels", lambda *_: (next(looks),))
        tunnels.settled(bed)
        assert [left.busy for left in looks] == [False] * 7


def test_an_attempt_that_never_ends_is_not_waited_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    with brought_up(pair.load(), pair.root) as (bed, network):
        network.charons["gateway-a"].initiate("peer", "sites")
        network.move()
        (tunnel,) = bed.node("gateway-a").tunnels()
        monkeypatch.setattr(NodeHandle, "tunnels", lambda *_: (replace(tunnel, busy=True, carries=False),))
        began = waiting.now()
        tunnels.settled(bed)
        assert waiting.now() - began < 1
        monkeypatch.setattr(NodeHandle, "tunnels", lambda *_: (replace(tunnel, busy=True),))
        tunnels.settled(bed)
        assert waiting.now() - began >= tunnels.SETTLE_SECONDS
