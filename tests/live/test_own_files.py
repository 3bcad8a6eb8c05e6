"""Files, folders and commands of a person's own: used as they are, and never written, replaced or removed."""

from __future__ import annotations

import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.live.conftest import Person
from tunnelbed.host import waiting
from tunnelbed.vpn import pki

CONNECTION = """
connections {{
    pair {{
        local_addrs = {own}
        remote_addrs = {peer}
        {local}
        remote {{ auth = {auth} }}
        children {{ pair {{ start_action = trap }} }}
    }}
}}
"""
SECRETS = "secrets { ike { secret = only-a-test } }\n"
PSK = "local {{ auth = psk }}"
BY_CERTIFICATE = "local {{ auth = pubkey\n certs = {name}.pem }}"
PKI = """
root: C=FI, O=Example, CN=Root
intermediate: C=FI, O=Example, CN=Intermediate
leaves:
  hub: {subject: "C=FI, O=Example, CN=hub", address: 192.168.71.2, usage: server}
  roamer: {subject: "C=FI, O=Example, CN=roamer", address: 192.168.71.3, usage: client}
"""
SENTENCES = """@scenario.tiny
Feature: Settings are laid over a gateway's own, and taken away again
  Scenario: Other proposals
    When the hub offers only ESP aes128-sha256
    Then the roamer can reach the hub
"""


class Pair:
    """Two gateways on one network; `hub` has a folder of its user's mounted where strongSwan looks."""

    def __init__(self, person: Person) -> None:
        self.person, self.root = person, person.checkout.root
        service = {
            "image": "tunnelbed/node",
            "command": ["vpn"],
            "cap_add": ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"],
            "labels": {"tunnelbed.role": "gateway"},
        }
        network = {"driver": "macvlan", "ipam": {"config": [{"subnet": "192.168.71.0/24"}]}}
        person.checkout.stack = {
            "services": {
                "hub": {**service, "networks": {"outside": {"ipv4_address": "192.168.71.2"}}},
                "roamer": {**service, "networks": {"outside": {"ipv4_address": "192.168.71.3"}}},
            },
            "networks": {"outside": {**network, "labels": {"tunnelbed.role": "isp_link"}}},
        }
        person.checkout.write()

    def configure(self, local: str = PSK, auth: str = "psk", more: str = SECRETS) -> str:
        """Write both gateways' connections; the hub's text."""
        texts = {
            name: CONNECTION.format(own=own, peer=peer, local=local.format(name=name), auth=auth) + more
            for name, own, peer in (("hub", "192.168.71.2", "192.168.71.3"), ("roamer", "192.168.71.3", "192.168.71.2"))
        }
        for name, text in texts.items():
            self.person.checkout.configure(f"{name}/swanctl.conf", text)
        return texts["hub"]

    def mount(self, folder: Path, target: str = "/etc/swanctl") -> None:
        """Mount a folder at the hub."""
        self.person.checkout.stack["services"]["hub"]["volumes"] = [f"{folder}:{target}"]
        self.person.checkout.write()

    def asks(self, name: str, *command: str) -> str:
        """What a command on a node says."""
        return self.person.does("exec", "--scenario", "tiny", "--node", name, "--", *command).out


@pytest.fixture
def pair(person: Person) -> Pair:
    return Pair(person)


def looks(folder: Path) -> list[tuple[object, ...]]:
    """All of a folder that a person would notice a change of: names, kinds, modes, owners, times, contents."""
    found: list[tuple[object, ...]] = []
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        target = str(path.readlink()) if path.is_symlink() else ""
        found.append(
            (path, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_ino, content, target)
        )
    return found


@pytest.fixture
def mounted(pair: Pair, tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody's, with all that may be in one, mounted at /etc/swanctl; at the end it is as it was."""
    folder = tmp_path / "of-mine"
    for name in ("private", "x509", "x509ca", "conf.d", "bliss"):
        (folder / name).mkdir(parents=True)
    (folder / "conf.d" / "pair.conf").write_text(pair.configure())
    (folder / "swanctl.conf").write_text("include conf.d/*.conf\n")
    (folder / "private" / "mine.pem").write_text("not even a key\n")
    (folder / "private" / "mine.pem").chmod(0o600)
    (folder / "x509crl").symlink_to("x509ca")
    (folder / "x509" / "dangling.pem").symlink_to("gone.pem")
    (folder / "notes.txt").write_text("my notes\n")
    (pair.root / "configs" / "tiny" / "hub" / "swanctl.conf").unlink()
    pair.mount(folder)
    before = looks(folder)
    yield folder
    assert looks(folder) == before


@pytest.mark.usefixtures("mounted")
def test_a_folder_mounted_where_strongswan_looks_is_used_as_it_is(pair: Pair) -> None:
    answer = pair.person.up()
    assert answer.code == 0, answer
    # By the file that the mounted one includes, by a name relative to it.
    assert "192.168.71.2" in pair.asks("hub", "swanctl", "--list-conns")
    # A person's own command finds the same files.
    assert "successfully loaded 1 connections" in pair.asks("hub", "swanctl", "--load-conns")
    assert pair.person.does("down").code == 0
    assert pair.person.left() == []


@pytest.mark.usefixtures("mounted")
def test_nothing_is_written_below_it_while_settings_are_laid_over_those_there(pair: Pair) -> None:
    feature = pair.root / "features" / "tiny" / "overlay.feature"
    feature.parent.mkdir(parents=True)
    feature.write_text(SENTENCES)
    answer = pair.person.does("verify", "--scenario", "tiny")
    assert answer.code == 0, answer
    assert pair.person.left() == []


@pytest.mark.usefixtures("mounted")
def test_nothing_is_written_below_it_by_an_up_that_is_killed(pair: Pair) -> None:
    process = pair.person.start("up", "--scenario", "tiny")
    assert process.stderr
    assert any("waiting for the nodes" in line for line in process.stderr)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert pair.person.does("down").code == 0
    assert pair.person.left() == []


def test_a_swanctl_conf_that_stands_in_two_places_must_say_the_same(pair: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "of-mine"
    folder.mkdir()
    text = pair.configure()
    pair.mount(folder)
    (folder / "swanctl.conf").write_text(text)
    assert pair.person.up().code == 0
    assert pair.person.does("down").code == 0
    (folder / "swanctl.conf").write_text(text + "# mine\n")
    answer = pair.person.up()
    assert answer.code == 2
    (line,) = answer.errors
    assert "swanctl.conf in configs/ and /etc/swanctl/swanctl.conf, which is mounted, differ" in line


@pytest.mark.parametrize(
    "target",
    ["/run", "/var/run", "/run/tunnelbed", "/run/tunnelbed/swanctl/x509", "/etc", "/usr/lib", "/etc/tunnelbed"],
)
def test_a_folder_mounted_where_nodes_write_is_refused_and_stays_as_it_is(
    pair: Pair, tmp_path: Path, target: str
) -> None:
    folder = tmp_path / "of-mine"
    folder.mkdir()
    pair.configure()
    pair.mount(folder, target)
    before = looks(folder)
    answer = pair.person.up()
    assert answer.code == 2
    (line,) = answer.errors
    assert f"services.hub.volumes: found a folder at {target}, expected a path that nodes do not use" in line
    assert looks(folder) == before


def test_credentials_of_a_node_s_own_stand_in_its_folder(pair: Pair) -> None:
    pair.configure(BY_CERTIFICATE, "pubkey", "")
    (pair.root / "pki.yaml").write_text(PKI)
    plan = pki.read(pair.root / "pki.yaml", ("hub", "roamer"))
    pki.Pki.make(plan).write(pair.root / "made")
    for name in ("hub", "roamer"):
        (pair.root / "made" / name).rename(pair.root / "configs" / "tiny" / name / "swanctl")
    answer = pair.person.up()
    assert answer.code == 0, answer
    pair.asks("roamer", "ping", "-c", "3", "-i", "0.3", "192.168.71.2")
    assert "ESTABLISHED" in pair.asks("roamer", "swanctl", "--list-sas")


def test_they_stand_beside_those_that_are_made_for_the_testbed(pair: Pair) -> None:
    pair.configure(BY_CERTIFICATE, "pubkey", "")
    pair.person.checkout.configure("pki.yaml", PKI)
    for kind in ("x509ca", "private"):
        pair.person.checkout.configure(f"hub/swanctl/{kind}/root.pem", "mine\n")
    assert pair.person.up().code == 0
    listed = pair.asks("hub", "sh", "-c", 'cd "$SWANCTL_DIR"; head -n 1 x509ca/root.pem; ls x509ca private').split("\n")
    assert listed == [
        *("mine", "private:", "hub.pem", "root.pem", ""),
        *("x509ca:", "intermediate.pem", "more-root.pem", "root.pem", ""),
    ]
    pair.asks("roamer", "ping", "-c", "3", "-i", "0.3", "192.168.71.2")
    assert "ESTABLISHED" in pair.asks("roamer", "swanctl", "--list-sas")


@pytest.mark.parametrize(
    "command",
    [
        {"command": ["sleep", "infinity"]},
        {"command": "sh -c 'ip route replace 10.9.0.0/16 via 10.1.0.9 && exec sleep infinity'"},
        {"entrypoint": ["sleep"], "command": ["infinity"]},
        {"entrypoint": "sleep infinity"},
    ],
    ids=yaml.safe_dump,
)
def test_a_node_whose_command_is_its_own_is_ready_once_its_interfaces_are(
    person: Person, command: dict[str, object]
) -> None:
    server = person.checkout.stack["services"]["gateway"]
    del server["command"]
    server.update(command)
    person.checkout.write()
    answer = person.up()
    assert answer.code == 0, answer
    shown = ("sh", "-c", "cat /proc/1/cmdline; ip -br address show inside")
    said = person.does("exec", "--scenario", "tiny", "--node", "gateway", "--", *shown).out
    assert "sleep\0infinity" in said
    assert "10.1.0.2/16" in said


def test_a_node_whose_command_ends_is_told_with_what_it_said(person: Person) -> None:
    person.checkout.stack["services"]["gateway"]["command"] = ["sh", "-c", "echo I give up; exit 3"]
    person.checkout.write()
    answer = person.up()
    assert answer.code == 2
    (line,) = answer.errors
    assert line.startswith("tunnelbed: gateway: tunnelbed: ready I give up;")


def _kernel_makes(kind: str) -> bool:
    """Whether this machine's kernel makes such a device, tried in a network of its own."""
    words = ["unshare", "--net", "ip", "link", "add", "x0", "type", kind]
    words += {"gre": ["remote", "192.0.2.2"], "xfrm": ["if_id", "42"]}.get(kind, [])
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", ["gre", "xfrm", "dummy"])
def test_a_device_that_the_kernel_lacks_is_one_line_and_one_that_it_has_is_there(person: Person, kind: str) -> None:
    more = {"gre": "local 10.1.0.2 remote 10.1.0.9", "xfrm": "dev inside if_id 42", "dummy": ""}[kind]
    person.checkout.configure("gateway/ip.batch", f"# mine\nlink add own0 type {kind} {more}\n")
    answer = person.up()
    if _kernel_makes(kind):
        assert answer.code == 0, answer
        return
    assert answer.code == 2
    (line,) = answer.errors
    start = f"tunnelbed: gateway: this kernel makes no {kind} device, which line 2 of ip.batch asks for; --engine qemu"
    assert line.startswith(start)
    assert person.left() == []


@pytest.mark.parametrize(
    ("setting", "named"),
    [("mode = transport", "the child pair in TRANSPORT mode"), ("if_id_in = 42", "swanctl.conf has an if_id")],
)
def test_what_esp_in_user_space_cannot_do_is_one_line(pair: Pair, setting: str, named: str) -> None:
    text = pair.configure().replace("start_action = trap", f"start_action = trap\n {setting}\n")
    # In a file that it includes.
    pair.person.checkout.configure("hub/more/pair.conf", text)
    pair.person.checkout.configure("hub/swanctl.conf", "include more/*.conf\n")
    answer = pair.person.up("--data-plane", "user")
    assert answer.code == 2
    (line,) = answer.errors
    assert line.startswith("tunnelbed: hub: ESP in user space")
    assert named in line
    assert "--engine qemu" in line
    assert pair.person.left() == []


USERS = "eap-roamer { id = roamer\n secret = of-mine }\n xauth-roamer { id = roamer\n secret = of-mine }"


@pytest.mark.parametrize(
    ("version", "roamer", "hub", "loaded"),
    [
        (
            "2",
            "local { auth = eap-mschapv2\n eap_id = roamer }",
            "remote { auth = eap-mschapv2\n eap_id = %any }",
            "eap-mschapv2",
        ),
        ("2", "local { auth = eap\n eap_id = roamer }", "remote { auth = eap-md5\n eap_id = %any }", "eap-md5"),
        (
            "1",
            "local-1 { auth = psk }\n local-2 { auth = xauth\n xauth_id = roamer }",
            "remote-1 { auth = psk }\n remote-2 { auth = xauth }",
            "xauth-generic",
        ),
    ],
    ids=["EAP-MSCHAPv2", "EAP, whatever the peer has", "XAuth"],
)
def test_a_plugin_that_a_configuration_asks_for_is_loaded_and_no_other(
    pair: Pair, version: str, roamer: str, hub: str, loaded: str
) -> None:
    gateway, common = "local { auth = psk }", "remote { auth = psk }"
    if version == "1":
        gateway, common = "local-1 { auth = psk }", "remote-1 { auth = psk }"
    secrets = f"secrets {{ ike {{ secret = only-a-test }}\n {USERS} }}\n"
    for name, own, peer, ours, theirs in (
        ("hub", "192.168.71.2", "192.168.71.3", gateway, hub),
        ("roamer", "192.168.71.3", "192.168.71.2", roamer, common),
    ):
        text = CONNECTION.format(own=own, peer=peer, local=f"version = {version}\n{ours}\n{theirs}", auth="psk")
        text = text.replace("remote { auth = psk }\n        children", "children") + secrets
        pair.person.checkout.configure(f"{name}/swanctl.conf", text)
    answer = pair.person.up()
    assert answer.code == 0, answer
    # With IKEv1 the hub may still wait for the end of XAuth when the first quick mode comes, and not answer that one.
    waiting.until(
        lambda: pair.asks("roamer", "swanctl", "--initiate", "--child", "pair", "--timeout", "5"),
        30,
        "a tunnel",
        good=lambda said: "initiate completed successfully" in said,
    )
    plugins = pair.asks("hub", "swanctl", "--stats").partition("loaded plugins:")[2].split()
    assert [name for name in plugins if name.startswith(("eap", "xauth"))] == {
        "xauth-generic": ["xauth-generic"],
    }.get(loaded, ["eap-identity", loaded])
