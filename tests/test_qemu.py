"""The parts of the QEMU engine that need no machine: what QEMU and a node are told, frames, files, and refusals."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tunnelbed.engines import Mount, Needs, Plan
from tunnelbed.engines.qemu import accelerator
from tunnelbed.engines.qemu.accelerator import Accelerator, emulation, kvm
from tunnelbed.engines.qemu.engine import QemuEngine
from tunnelbed.engines.qemu.machine import TUN, Machine, Ports, mac, machines, settings
from tunnelbed.engines.qemu.segment import Segment
from tunnelbed.engines.qemu.served import ANSWER, REQUEST, Served
from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Node

AT_ONCE = Accelerator("nothing", ("-accel", "none"), 1)


def plan_of(checkout: Checkout, **said: object) -> Plan:
    scene = compose_file.load("tiny", checkout.root)
    plan = Plan(scene, "tiny-abc", checkout.root / "state", {"tunnelbed/node": str(checkout.root / "files")})
    return replace(plan, **said)  # type: ignore[arg-type]


def with_our_image(checkout: Checkout) -> Checkout:
    for service in checkout.stack["services"].values():
        service["image"] = "tunnelbed/node"
    checkout.write()
    return checkout


def told(text: str, then: str) -> str:
    """What a shell says that was told the settings of a node, and then this."""
    return subprocess.run(["sh", "-c", text + then], capture_output=True, text=True, check=True).stdout


def test_each_foot_is_a_device_of_qemu_s_with_its_mac_and_descriptor(checkout: Checkout) -> None:
    _, gateway, _ = machines(plan_of(checkout), Path("/files"), AT_ONCE, Path("/state"))
    words = gateway.command(Ports(7, 8, [9, 10]))
    feet = [words[at + 1] for at, word in enumerate(words) if word == "-netdev"]
    assert feet == ["dgram,id=net0,local.type=fd,local.str=9", "dgram,id=net1,local.type=fd,local.str=10"]
    assert f"virtio-net-pci,netdev=net0,mac={mac('tiny-abc', 'gateway', 'inside')},romfile=" in words
    assert "socket,id=talk,fd=7" in words
    assert "socket,id=files,fd=8" in words


def test_no_machine_has_a_network_of_qemu_s_own(checkout: Checkout) -> None:
    for machine in machines(plan_of(checkout), Path("/files"), AT_ONCE, Path("/state")):
        words = machine.command(Ports(7, 8, list(range(9, 9 + len(machine.nics)))))
        assert {"-nodefaults", "-no-user-config"} <= set(words)
        backends = [words[at + 1] for at, word in enumerate(words) if word == "-netdev"]
        assert backends
        assert all(backend.startswith("dgram,") for backend in backends)
        assert "-nic" not in words


def test_an_emulated_kernel_keeps_time_by_a_clock_that_says_its_own_frequency(checkout: Checkout) -> None:
    here = replace(accelerator.architecture(), clock="clocksource=hpet")
    for found, told in ((replace(emulation(), clock=here.clock), True), (kvm(), False)):
        machine = Machine("n", "/a", "/b", found, 128, 1, [], {})
        words = machine.command(Ports(7, 8, []))
        assert ("clocksource=hpet" in words[words.index("-append") + 1]) is told


def test_emulated_processors_take_turns() -> None:
    assert "thread=single" in emulation().words[1].split(",")


def test_macs_are_local_single_and_lasting() -> None:
    made = {mac("p", node, network) for node in "abcdef" for network in "xyz"}
    assert len(made) == 18
    assert all(int(address[:2], 16) & 3 == 2 for address in made)
    assert mac("p", "a", "x") == mac("p", "a", "x") != mac("q", "a", "x")


def test_a_path_with_a_comma_stays_one_path(checkout: Checkout) -> None:
    machine = Machine("n", "/a,b", "/c,d", AT_ONCE, 128, 1, [], {})
    words = machine.command(Ports(7, 8, []))
    assert "file:/a,,b/n.console" in words
    assert "if=none,id=root,format=raw,readonly=on,file=/c,,d/root" in words


@pytest.mark.parametrize(
    ("said", "message"),
    [({"memory": 16}, "--memory: found 16, expected 96"), ({"cpus": 1000}, "--cpus: found 1000, expected 1 to 64")],
)
def test_a_size_that_no_machine_can_have_is_refused(checkout: Checkout, said: Mapping[str, int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        machines(plan_of(checkout, **said), Path("/files"), AT_ONCE, Path("/state"))


def test_a_node_gets_its_command_and_environment_to_the_letter(checkout: Checkout) -> None:
    checkout.stack["services"]["client"]["command"] = ["say", "a  b", "it's $$HOME", "*"]
    checkout.stack["services"]["client"]["environment"] = {"WORDS": "x 'y' \"z\" $$PATH `w`\nv"}
    checkout.write()
    plan = plan_of(checkout)
    text = settings(plan, plan.scenario.nodes["client"], [("inside", "02:00:00:00:00:01")])
    assert told(text, 'printf "<%s>" "$@"') == "<say><a  b><it's $HOME><*>"
    assert told(text, "within printenv WORDS") == "x 'y' \"z\" $PATH `w`\nv\n"
    assert told(text, "within printenv TUNNELBED_INTERFACES") == "inside 02:00:00:00:00:01 10.1.0.3/16\n\n"
    assert told(text, "within printenv HOSTNAME") == "client\n"


def test_sysctls_are_set_one_by_one_the_stack_s_last(checkout: Checkout) -> None:
    said = {"net.ipv4.ip_forward": 1, "net.ipv4.ip_unprivileged_port_start": 9}
    checkout.stack["services"]["client"]["sysctls"] = said
    checkout.write()
    plan = plan_of(checkout)
    text = settings(plan, plan.scenario.nodes["client"], [("inside", "m")])
    heard = told('sysctl() { echo "$1=$2"; }\n' + text, "settings")
    assert heard.splitlines() == [
        "net.ipv4.ip_unprivileged_port_start=9",
        "net.ipv4.ping_group_range=0 2147483647",
        "net.ipv4.ip_forward=1",
    ]


def limits_of(checkout: Checkout, node: Node) -> set[str]:
    text = settings(plan_of(checkout), node, [])
    return set(told(text, 'printf "%s" "$limits"').removeprefix("--drop=").split(","))


def test_a_node_loses_every_capability_that_its_stack_does_not_give(checkout: Checkout) -> None:
    limits = limits_of(checkout, Node("n", (), capabilities=("NET_ADMIN", "CAP_NET_RAW"), dropped=("ALL",)))
    assert len(limits) == 41 - 2
    assert not limits & {"cap_net_admin", "cap_net_raw"}
    assert limits_of(checkout, Node("n", (), privileged=True)) == {""}


def test_only_a_vpn_that_may_do_esp_itself_gets_a_tunnel_device(checkout: Checkout) -> None:
    for node, devices, wanted in (("gateway", (TUN,), "yes"), ("gateway", (), ""), ("client", (TUN,), "")):
        plan = plan_of(checkout, needs={"gateway": Needs(devices=devices)})
        feet = [(at.network, "m") for at in plan.scenario.nodes[node].attachments]
        assert told(settings(plan, plan.scenario.nodes[node], feet), 'printf "%s" "$tunnel"') == wanted


def test_keys_and_configuration_are_what_a_container_would_have(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", "")
    needs = {"gateway": Needs((Mount(Path("/keys/gateway"), "keys"),))}
    client, gateway, _ = machines(plan_of(checkout, needs=needs), Path("/files"), AT_ONCE, Path("/state"))
    assert gateway.top == {"node": str(checkout.root / "configs" / "tiny" / "gateway"), "keys": "/keys/gateway"}
    assert set(client.top) == {"node"}


# --- segments


def frame(to: str, data: bytes = b"data") -> bytes:
    return bytes.fromhex(to.replace(":", "")) + b"\x02\0\0\0\0\x01\x08\x00" + data


def hears(foot: socket.socket) -> bytes:
    foot.setblocking(False)  # noqa: FBT003 # the socket module's own signature
    try:
        return foot.recv(2000)
    except BlockingIOError:
        return b""


A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"


def test_a_frame_goes_to_whom_it_is_for_and_one_to_many_to_all_others() -> None:
    segment = Segment()
    feet = {name: segment.join(name) for name in (A, B, C)}
    for to, hearers in ((B, {B}), ("ff:ff:ff:ff:ff:ff", {B, C}), ("01:80:c2:00:00:0e", {B, C}), (A, set())):
        feet[A].send(frame(to))
        segment.carry(segment.nic(A))
        assert {name for name, foot in feet.items() if hears(foot)} == hearers
    for foot in feet.values():
        foot.close()
    for name in (A, B, C):
        segment.leave(name)


def test_a_foot_that_takes_nothing_stops_nobody() -> None:
    segment = Segment()
    feet = [segment.join(name) for name in (A, B)]
    for _ in range(3000):
        feet[0].send(frame(B, bytes(1400)))
        assert segment.carry(segment.nic(A))
    kept = 0
    while hears(feet[1]):
        kept += 1
    assert 10 < kept < 3000
    feet[1].close()
    feet[0].send(frame(B))
    assert segment.carry(segment.nic(A))
    feet[0].close()
    for name in (A, B):
        segment.leave(name)


# --- files


class Kernel:
    """Asks as the kernel of a machine does."""

    def __init__(self, top: Mapping[str, Path]) -> None:
        self.served = Served(top)

    def ask(self, what: int, number: int, data: bytes = b"") -> tuple[int, bytes]:
        request = REQUEST.pack(REQUEST.size + len(data), what, 5, number, 0, 0, 0, 0, 0) + data
        said = self.served.answer(request)
        length, code, unique = ANSWER.unpack_from(said)
        assert (length, unique) == (len(said), 5)
        return -code, said[ANSWER.size :]

    def find(self, path: str) -> int:
        number = 1
        for name in path.split("/"):
            code, said = self.ask(1, number, os.fsencode(name) + b"\0")
            if code:
                raise OSError(code, path)
            number = struct.unpack_from("=Q", said)[0]
        return number

    def read(self, path: str) -> bytes:
        return self.ask(15, self.find(path), struct.pack("=QQIIQII", 0, 0, 65536, 0, 0, 0, 0))[1]

    def names(self, path: str) -> list[str]:
        number = self.find(path) if path else 1
        found: list[str] = []
        while said := self.ask(28, number, struct.pack("=QQIIQII", 0, len(found), 256, 0, 0, 0, 0))[1]:
            while said:
                length = struct.unpack_from("=I", said, 16)[0]
                found.append(said[24 : 24 + length].decode())
                said = said[24 + length + (-length % 8) :]
        return found[2:]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "conf" / "inner").mkdir(parents=True)
    (tmp_path / "conf" / "rules").write_text("first")
    (tmp_path / "conf" / "link").symlink_to("rules")
    (tmp_path / "secret").write_text("not for this node")
    return Kernel({"node": tmp_path / "conf", "keys": tmp_path / "none"})


def test_a_file_is_read_as_it_is_at_that_moment(kernel: Kernel, tmp_path: Path) -> None:
    assert kernel.read("node/rules") == b"first"
    (tmp_path / "conf" / "rules").write_text("second, and longer")
    assert kernel.read("node/rules") == b"second, and longer"
    (tmp_path / "conf" / "rules").unlink()
    with pytest.raises(OSError, match="node/rules") as gone:
        kernel.find("node/rules")
    assert gone.value.errno == errno.ENOENT


def test_folders_list_what_is_there_a_piece_at_a_time(kernel: Kernel, tmp_path: Path) -> None:
    assert kernel.names("") == ["node"]
    for number in range(40):
        (tmp_path / "conf" / "inner" / f"a-longer-name-{number:02}").touch()
    assert kernel.names("node/inner") == [f"a-longer-name-{number:02}" for number in range(40)]
    assert kernel.ask(5, kernel.find("node/link"))[1] == b"rules"


def test_modes_are_kept_and_the_owner_is_the_node_s_root(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "conf" / "rules").chmod(0o640)
    _, said = kernel.ask(3, kernel.find("node/rules"))
    mode, _links, owner, group = struct.unpack_from("=IIII", said, 16 + 60)
    assert (mode & 0o7777, owner, group) == (0o640, 0, 0)


@pytest.mark.parametrize("name", ["..", ".", "", "../secret", "conf/../../secret"])
def test_no_name_leads_out(kernel: Kernel, name: str) -> None:
    assert kernel.ask(1, kernel.find("node"), name.encode() + b"\0")[0] == errno.ENOENT
    assert kernel.ask(1, 1, name.encode() + b"\0")[0] == errno.ENOENT


def test_nothing_is_written(kernel: Kernel) -> None:
    number = kernel.find("node/rules")
    assert kernel.ask(14, number, struct.pack("=II", os.O_WRONLY, 0))[0] == errno.EROFS
    for write in (4, 8, 9, 10, 16, 35):  # SETATTR, MKNOD, MKDIR, UNLINK, WRITE, CREATE
        assert kernel.ask(write, number, bytes(64))[0] == errno.ENOSYS


# --- refusals


def test_what_a_machine_cannot_be_is_refused_with_what_can_be_done(checkout: Checkout) -> None:
    with_our_image(checkout)
    checkout.stack["services"]["client"]["volumes"] = ["/etc:/etc"]
    checkout.write()
    with pytest.raises(BadInput, match=r"services\.client.*volumes.*--engine docker"):
        QemuEngine(checkout.root, "9").start(plan_of(checkout), print)


def test_another_image_than_the_stack_s_is_refused(checkout: Checkout) -> None:
    plan = plan_of(with_our_image(checkout))
    asked = replace(plan, scenario=compose_file.with_images(plan.scenario, {"client": "me/a"}))
    with pytest.raises(BadInput, match=r"^--image: found me/a, expected --engine docker; a VM is made of the node"):
        QemuEngine(checkout.root, "9").start(asked, print)


def test_an_image_that_is_not_ours_is_refused(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"found example/node, expected tunnelbed/node"):
        QemuEngine(checkout.root, "9").start(plan_of(checkout), print)


def test_another_processor_s_platform_is_refused(checkout: Checkout) -> None:
    with pytest.raises(BadInput, match=r"--platform: found linux/s390x, expected linux/"):
        QemuEngine(checkout.root, "9").provide(["tunnelbed/node"], "linux/s390x", print)


def test_without_qemu_its_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"is not installed; .*--engine qemu.*apt-get install qemu-system-"):
        accelerator.version()


def test_a_person_may_choose_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNNELBED_ACCELERATOR", "kvm")
    assert accelerator.chosen() == kvm()
    monkeypatch.setenv("TUNNELBED_ACCELERATOR", "tcg")
    assert accelerator.chosen() == emulation()
    monkeypatch.setenv("TUNNELBED_ACCELERATOR", "magic")
    with pytest.raises(BadInput, match="TUNNELBED_ACCELERATOR: found 'magic', expected kvm or tcg"):
        accelerator.chosen()
