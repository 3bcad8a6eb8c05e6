"""Each thing that can be wrong before a testbed is up: one clear line, exit code 2, and nothing left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Person

Wrong = Callable[[Person], object]


def change(*path: str, value: object) -> Wrong:
    """A stack that says something else at the end of a path."""

    def make(person: Person) -> None:
        within: Any = person.checkout.stack
        for word in path[:-1]:
            within = within[word]
        within[path[-1]] = value
        person.checkout.write()

    return make


def file(name: str, text: str, command: str = "") -> Wrong:
    """A native file of the gateway's, and what the gateway then runs."""

    def make(person: Person) -> None:
        person.checkout.configure(name, text)
        if command:
            person.checkout.stack["services"]["gateway"]["command"] = [command]
            person.checkout.stack["services"]["gateway"]["cap_add"].append("NET_BIND_SERVICE")
            person.checkout.write()

    return make


def unreadable_pki(person: Person) -> None:
    """A file nobody can read, not even root: a link that leads nowhere."""
    person.checkout.configure("pki.yaml", "")
    link = person.checkout.root / "configs/tiny/pki.yaml"
    link.unlink()
    link.symlink_to("elsewhere")


def private(name: str) -> Wrong:
    """Configuration that nobody but its owner may read, who is not the node's root."""

    def make(person: Person) -> None:
        person.checkout.configure("gateway/nftables.conf", "flush ruleset\n")
        path = person.checkout.root / "configs/tiny" / name
        path.chmod(path.stat().st_mode & ~0o077)
        if os.geteuid() == 0:
            os.chown(path, 1000, 1000)

    return make


CLIENT = ("services", "client")
CASES: dict[str, tuple[Wrong, str, str]] = {
    "yaml": (lambda person: person.checkout.write("services: [a\n"), "compose/tiny.yaml: found", "expected ',' or ']'"),
    "unknown key": (
        change(*CLIENT, "colour", value="red"),
        "compose/tiny.yaml:9: services.client: found",
        "Additional property colour is not allowed",
    ),
    "value Compose refuses": (
        change(*CLIENT, "cap_add", value=[["x"]]),
        "compose/tiny.yaml",
        "services.client.cap_add",
    ),
    "address outside": (
        change(*CLIENT, "networks", "inside", "ipv4_address", value="10.2.0.3"),
        "services.client.networks.inside.ipv4_address",
        "10.1.0.0/16",
    ),
    "address twice": (
        change(*CLIENT, "networks", "inside", "ipv4_address", value="10.1.0.2"),
        "services.gateway.networks.inside",
        "client has it",
    ),
    "configuration without node": (file("gatewax/ip.batch", ""), "configs/tiny/gatewax", "a node of compose/tiny.yaml"),
    "unknown image": (
        change(*CLIENT, "image", value="tunnelbed/nothing"),
        "compose/tiny.yaml: image",
        "tunnelbed/node",
    ),
    "image nobody has": (
        change(*CLIENT, "image", value="example/nothing:1"),
        "compose/tiny.yaml: image",
        "example/nothing:1",
    ),
    "swanctl option": (
        file("gateway/swanctl.conf", "connections {\n  cloud {\n    versionn = 2\n  }\n}\n", "vpn"),
        "gateway: ",
        "unknown option: versionn",
    ),
    "swanctl syntax": (
        file("gateway/swanctl.conf", "connections {\n  cloud {\n    version = 2\n  }\n}}\n", "vpn"),
        "gateway: ",
        "swanctl.conf:",
    ),
    "a file of its owner's alone": (
        private("gateway/nftables.conf"),
        "gateway: ",
        "may not read nftables.conf; its folder",
    ),
    "a folder of its owner's alone": (private("gateway"), "gateway: ", "its folder in configs/ is not for everybody"),
    "nftables": (file("gateway/nftables.conf", "table inet f {\n  chain\n}\n"), "gateway: ", "nftables.conf:2"),
    "ip.batch": (file("gateway/ip.batch", "route add nonsense\n"), "gateway: ", "ip.batch"),
    "iptables": (file("gateway/iptables.rules", "*filter\n-A NOWHERE\nCOMMIT\n"), "gateway: ", "iptables.rules"),
    "command": (change("services", "gateway", "command", value=["no-such-command"]), "gateway: ", "no-such-command"),
    "pki": (file("pki.yaml", "root: x\n"), "configs/tiny/pki.yaml:1: root", "a DN such as"),
    "a stack that is no text": (
        lambda person: (person.checkout.root / "compose/tiny.yaml").write_bytes(b"services: {\xff: }"),
        "compose/tiny.yaml: found",
        "can't decode",
    ),
    "a folder in the place of a file": (
        lambda person: (person.checkout.root / "configs/tiny/gateway/nftables.conf").mkdir(parents=True),
        "configs/tiny/gateway/nftables.conf: found a folder",
        "the file nftables.conf",
    ),
    "pki that cannot be read": (unreadable_pki, "configs/tiny/pki.yaml", "No such file"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_answered_with_one_line_and_code_2_and_leaves_nothing(person: Person, case: str) -> None:
    make, where, what = CASES[case]
    make(person)
    answer = person.up()
    assert len(answer.errors) == 1, answer.errors
    assert answer.errors[0].startswith("tunnelbed: ")
    assert where in answer.errors[0]
    assert what in answer.errors[0]
    assert answer.code == 2
    assert answer.out == ""
    assert person.left() == []


def stub(person: Person, name: str, script: str) -> dict[str, str]:
    """An environment in which a command is another."""
    folder = person.checkout.root / "stubs"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{Path(shutil.which('sh') or '/bin/sh').parent}:/usr/local/bin:/usr/bin:/bin"}


def test_an_unknown_scenario_is_answered_with_the_list(person: Person) -> None:
    answer = person.does("up", "--scenario", "huge")
    assert answer.errors == ("tunnelbed: --scenario: found 'huge', expected one of: tiny; choose one of them",)
    assert answer.code == 2


@pytest.mark.parametrize("words", [["new", "x", "--sites", "many"], ["up", "--scenario", "tiny", "--memory", "1.5G"]])
def test_a_word_in_a_number_s_place_is_told(person: Person, words: list[str]) -> None:
    answer = person.does(*words)
    expected = f"tunnelbed: {words[-2]}: found {words[-1]!r}, expected a whole number; correct it"
    assert (answer.code, answer.errors) == (2, (expected,))
    assert person.left() == []


@pytest.mark.parametrize("command", [["up"], ["down"], ["status"], ["logs"], ["exec", "--node", "client"]])
def test_an_engine_that_does_not_run_is_said_not_to(person: Person, command: list[str]) -> None:
    answer = person.does(*command, "--scenario", "tiny", env={"DOCKER_HOST": "unix:///nonexistent"})
    assert len(answer.errors) == 1, answer.errors
    assert answer.errors[0].startswith("tunnelbed: the Docker engine does not answer; start it")
    assert answer.code == 2
    assert person.left() == []


def test_an_engine_that_is_no_engine_is_said_not_to_answer(person: Person) -> None:
    answer = person.up(env={"DOCKER_HOST": "nonsense"})
    assert len(answer.errors) == 1, answer.errors
    assert "DOCKER_HOST" in answer.errors[0]
    assert answer.code == 2


@pytest.mark.parametrize(("said", "told"), [("2.24.3", "is 2.24.3, and 2.24.4 or later"), ("v1.29", "is v1.29")])
def test_a_compose_that_is_too_old_is_said_to_be(person: Person, said: str, told: str) -> None:
    script = f'case "$*" in "compose version"*) echo {said} ;; *) exec /usr/bin/docker "$@" ;; esac'
    answer = person.up(env=stub(person, "docker", script))
    assert len(answer.errors) == 1, answer.errors
    assert told in answer.errors[0]
    assert answer.code == 2
    assert person.left() == []


def test_a_kernel_without_tun_is_told_what_it_lacks(person: Person) -> None:
    said = 'error gathering device information while adding custom device "/dev/net/tun": no such file or directory'
    script = f"""case " $* " in *" up "*) echo 'Error response from daemon: {said}' >&2; exit 1 ;; esac
exec /usr/bin/docker "$@" """
    answer = person.up(env=stub(person, "docker", script))
    assert len(answer.errors) == 1, answer.errors
    assert answer.errors[0].startswith("tunnelbed: the kernel has no TUN device, which ESP in user space needs;")
    assert answer.code == 2
    assert person.left() == []


def test_an_engine_without_compose_is_told_to_get_it(person: Person) -> None:
    script = """case "$1" in compose) echo "docker: 'compose' is not a docker command." >&2; exit 1 ;; esac
exec /usr/bin/docker "$@" """
    answer = person.up(env=stub(person, "docker", script))
    assert len(answer.errors) == 1, answer.errors
    assert "Docker Compose v2 is not installed" in answer.errors[0]
    assert answer.code == 2


LINES: dict[tuple[str, ...], str] = {
    ("up", "--scenario", "tiny", "--engine", "x"): "--engine: found 'x', expected one of: docker, qemu",
    ("up", "--scenario", "tiny", "--driver", "x"): "--driver: found 'x', expected one of: macvlan, bridge, ipvlan",
    ("up", "--scenario", "tiny", "--data-plane", "x"): "--data-plane: found 'x', expected one of: auto, kernel, user",
    ("up", "--scenario", "tiny", "--memory", "256"): "--memory: found 256, expected --engine qemu; omit it",
    ("up", "--scenario", "tiny", "--cpus", "-1"): "--cpus: found '-1', expected 1 or more",
    ("up", "--scenario", "tiny", "--image", "x"): "--image: found 'x', expected WHO=IMAGE",
    ("up", "--scenario", "tiny", "--image", "nobody=x"): "--image: found nobody, expected one of: client,",
    ("up", "--scenario", "tiny", "--instance", "A_B"): "--instance: found 'A_B', expected 1 to 12",
    ("up", "--scenario", "tiny", "--platform", "x"): "--platform: found x, expected one of linux/",
    ("up", "--scenario", "../tiny"): "--scenario: found '../tiny', expected one of: tiny",
    ("up", "--scenario", ""): "--scenario: found '', expected one of: tiny",
    ("down", "--scenario", "huge"): "--scenario: found 'huge', expected one of: tiny",
    ("down", "--scenario", "tiny", "--engine", "x"): "--engine: found 'x', expected one of: docker, qemu",
    ("status", "--scenario", "huge"): "--scenario: found 'huge', expected one of: tiny",
    ("exec", "--scenario", "tiny", "--node", "x", "--", "true"): "--node: found 'x', expected one of: client,",
    (
        "exec",
        "--scenario",
        "tiny",
        "--node",
        "client",
        "--",
        "true",
    ): "client: does not run; bring the testbed up",
    ("logs", "--scenario", "tiny", "--node", "x"): "--node: found 'x', expected one of: client,",
    ("logs", "--scenario", "tiny", "--follow"): "--node: found '', expected one of: client,",
    ("capture", "--scenario", "tiny", "--seconds", "x"): "--seconds: found 'x', expected a number",
    ("capture", "--scenario", "tiny", "--seconds", "-1"): "--seconds: found '-1', expected 0 or more",
    ("capture", "--scenario", "tiny", "--network", "x"): "--network: found 'x', expected one of: inside",
    ("capture", "--scenario", "tiny", "--output", "-", "--keys"): "--output -: found --keys with it",
    ("capture", "--scenario", "tiny", "--output", "/proc/x/y"): "/proc/x",
    ("trace", "--scenario", "tiny", "--from", "x", "--to", "y"): "found 'x', expected a node: client,",
    ("trace", "--scenario", "tiny", "--from", "client", "--to", "server", "--tcp", "70000"): "expected 1 to 65535",
    ("trace", "--scenario", "tiny", "--from", "client", "--to", "server", "--tcp", "1", "--udp", "1"): "one of --on,",
    ("trace", "--scenario", "tiny", "--from", "client", "--to", "server", "--on", "SMTP"): "found SMTP, expected ICMP",
    ("describe", "--scenario", "tiny", "--ports", "0"): "--ports: found '0', expected ports, 1 to 65535",
    ("verify", "--scenario", "huge"): "--scenario: found 'huge', expected one of: tiny",
    ("verify", "--jobs", "0"): "--jobs: found '0', expected 1 or more",
    ("verify", "--tags", "not ("): "--tags: found Syntax error",
    ("new", "A B"): "NAME: found 'A B', expected a lower-case letter",
    ("new", "tiny"): "compose/tiny.yaml: found a file, expected no scenario tiny yet",
    ("new", "x", "--auth", "y"): "--auth: found 'y', expected one of: certificates, psk",
    ("draw", "--scenario", "x"): "--scenario: found 'x', expected one of: tiny",
    ("mutate", "--scenario", "tiny", "--operator", "x", "--list"): "--operator: found 'x', expected one of:",
    ("bench", "--engine", "x"): "--engine: found 'x', expected some of: docker, qemu",
    ("bench", "--growth", "x"): "--growth: found 'x', expected numbers of sites",
    ("bench", "--again", "--folder", "/nonexistent"): "/nonexistent/bench.json: found nothing",
}


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_wrong_command_line_is_answered_with_one_line(person: Person, words: tuple[str, ...]) -> None:
    answer = person.does(*words)
    assert answer.code == 2
    assert len(answer.errors) == 1, answer.errors
    assert answer.errors[0].startswith("tunnelbed: ")
    assert LINES[words] in answer.errors[0]
    assert person.left() == []


def test_a_stack_whose_own_check_fails_stays_up_and_is_explained_and_judged(person: Person) -> None:
    person.checkout.stack["services"]["server"]["command"] = ["rest"]
    person.checkout.write()
    feature = person.checkout.root / "features/tiny/one.feature"
    feature.parent.mkdir(parents=True)
    feature.write_text(
        "@scenario.tiny\nFeature: What holds\n  Scenario: One\n    Then client can reach server\n"
        "  Scenario: Two\n    Then client cannot reach server\n"
    )
    up = person.does("up", "--scenario", "tiny", seconds=300)
    assert up.code == 1
    said = "\n".join(up.errors)
    assert "client: its check `pingpong ask 10.1.0.9 --count 1 --timeout 0.5` does not pass: " in said
    assert "a ping from client to 10.1.0.9:" in said
    for task in ("logs", "trace", "exec", "down"):
        assert f"invoke {task} --scenario tiny" in said
    assert f"--path {person.checkout.root}" in said
    assert person.bed().is_up()
    proof = person.does("verify", "--scenario", "tiny", seconds=300)
    assert proof.code == 1
    assert "1 sentences hold, 1 fail, 0 could not be judged" in proof.out
    assert person.does("down").code == 0
    assert person.left() == []


def test_who_reads_only_the_first_line_gets_no_traceback(person: Person) -> None:
    with person.start("status", "--scenario", "tiny") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_options_that_cannot_be_read_are_told_and_the_testbed_can_be_taken_down(person: Person) -> None:
    assert person.up().code == 0
    kept = person.checkout.root / ".tunnelbed/tiny/options.json"
    kept.write_text(kept.read_text().replace('"version": 1', '"version": 9'))
    for words in (["status"], ["up", "--scenario", "tiny"], ["down", "--scenario", "tiny"]):
        answer = person.does(*words)
        assert answer.code == 2
        assert "options.json: version: found 9, expected 1; take the testbed down" in answer.errors[0]
    assert person.does("down", "--scenario", "tiny", "--engine", "docker").code == 0
    assert person.left() == []
