"""Images of one's own: whatever is in them, they become nodes by the scripts of this checkout."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.live.conftest import Person
from tunnelbed.engines.images import node_images
from tunnelbed.host.shell import run

MINE = "test.example/mine"


@pytest.fixture(scope="module", autouse=True)
def mine() -> Iterator[None]:
    """Our own image with what somebody added, and without what makes it a node; one without charon beside it."""
    more = "charon { plugins { counters { load = yes } } }"
    added = f"echo me >/etc/whose && echo '{more}' >/etc/strongswan.d/more.conf"
    for tag, change in (("whole", added), ("lacking", "rm /usr/lib/ipsec/charon")):
        base = f"FROM {node_images.ensure()}\nENTRYPOINT []\nENV PATH=/usr/bin"
        recipe = f"{base}\nRUN rm -r /usr/lib/tunnelbed && {change}\n"
        run(["docker", "build", "--quiet", "--tag", f"{MINE}:{tag}", "-"], stdin=recipe)
    yield
    run(["docker", "image", "rm", f"{MINE}:whole", f"{MINE}:lacking"])


def test_a_node_of_somebody_else_s_image_does_what_ours_do(person: Person) -> None:
    answer = person.up("--image", f"server={MINE}:whole")
    assert answer.code == 0, answer
    (found,) = json.loads(person.does("status", "--json").out)
    assert {node["node"]: node["image"] for node in found["nodes"]} == {
        "client": "tunnelbed/node",
        "gateway": "tunnelbed/node",
        "server": f"{MINE}:whole",
    }
    whose = ("sh", "-c", "cat /etc/whose; command -v pingpong")
    told = person.does("exec", "--scenario", "tiny", "--node", "server", "--", *whose).out
    assert told.split() == ["me", "/usr/lib/tunnelbed/pingpong"]
    assert person.does("down").code == 0
    assert person.left() == []


@pytest.mark.parametrize("place", ["option", "stack"])
def test_an_image_that_the_engine_lacks_is_named_with_who_asked_for_it(person: Person, place: str) -> None:
    if place == "stack":
        person.checkout.stack["services"]["server"]["image"] = f"{MINE}:none"
        person.checkout.write()
    answer = person.up(*(("--image", f"server={MINE}:none") if place == "option" else ()))
    assert answer.code == 2
    where = "--image:" if place == "option" else "compose/tiny.yaml: image:"
    advice = "build it, or `docker pull` it"
    assert answer.errors == (f"tunnelbed: {where} found {MINE}:none, expected an image that the engine has; {advice}",)
    assert person.left() == []


def test_an_image_without_a_daemon_says_so(person: Person) -> None:
    person.checkout.configure("gateway/swanctl.conf", "")
    person.checkout.stack["services"]["gateway"]["command"] = ["vpn"]
    person.checkout.write()
    answer = person.up("--image", f"gateway={MINE}:lacking")
    assert answer.code == 2
    (line,) = answer.errors
    assert "gateway: tunnelbed: this node's image has no /usr/lib/ipsec/charon, which a gateway needs" in line
    assert person.left() == []


CONNECTION = "connections { server { remote_addrs = 10.1.0.9 } }\n"


def test_a_node_s_own_settings_of_strongswan_have_the_last_word(person: Person) -> None:
    person.checkout.configure("gateway/swanctl.conf", CONNECTION)
    person.checkout.stack["services"]["gateway"]["command"] = ["vpn"]
    person.checkout.stack["services"]["gateway"]["cap_add"].append("NET_BIND_SERVICE")
    person.checkout.write()
    listed = ("exec", "--scenario", "tiny", "--node", "gateway", "--", "swanctl", "--stats")
    for text, there in (("", True), ("charon { plugins { updown { load = no } } }\n", False)):
        if text:
            person.checkout.configure("gateway/strongswan.conf", text)
        answer = person.up("--image", f"gateway={MINE}:whole")
        assert answer.code == 0, answer
        loaded = person.does(*listed).out.partition("loaded plugins:")[2].split()
        assert {"vici", "pem"} <= set(loaded)
        assert ("updown" in loaded) is there
        # What the image adds by a file in /etc/strongswan.d.
        assert "counters" in loaded
        assert person.does("down").code == 0


def test_a_gateway_without_connections_is_told_so(person: Person) -> None:
    person.checkout.configure("gateway/swanctl.conf", "")
    person.checkout.stack["services"]["gateway"]["command"] = ["vpn"]
    person.checkout.write()
    answer = person.up()
    assert answer.code == 2
    (line,) = answer.errors
    assert "gateway: tunnelbed: swanctl.conf was refused:" in line
    assert "it has no connections" in line
