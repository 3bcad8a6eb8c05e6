"""The images themselves, on the engine: what must run in them runs, what must not be in them is not.

The foreign image costs some two minutes of emulation where there is none yet, and nothing where there is.
"""

from __future__ import annotations

import pytest

from tunnelbed.engines.images import node_images
from tunnelbed.host.shell import Completed, run

FOREIGN = {"linux/amd64": "linux/arm64"}
MEGABYTE = 1_000_000
USER_SPACE = (
    "export STRONGSWAN_CONF=/usr/lib/tunnelbed/strongswan-user.conf; exec timeout -s INT 2 /usr/lib/ipsec/charon"
)


def inside(tag: str, script: str, *options: str) -> Completed:
    """Run a shell script in a fresh container that no network reaches."""
    command = ["docker", "run", "--rm", "--network", "none", *options, "--entrypoint", "sh", tag, "-c", script]
    return run(command, check=False, timeout=60)


@pytest.fixture(scope="module")
def node() -> str:
    return node_images.ensure()


@pytest.fixture(scope="module")
def nested() -> str:
    return node_images.ensure("node-nested")


@pytest.fixture(scope="module")
def foreign() -> str:
    return node_images.ensure("node", platform=FOREIGN.get(node_images.engine_platform(), "linux/amd64"))


PROGRAMS = [
    "/usr/lib/ipsec/charon --version",
    "swanctl --help",
    "ip -V",
    "tcpdump --version",
    "ping -V",
    "curl --version",
    "iperf3 --version",
]
FILTERS = ["nft --version", "iptables --version", "ip6tables --version"]
MODULES = "socket, struct, select, json, http.server, subprocess, threading, ipaddress, urllib.request"


@pytest.mark.parametrize("program", [*PROGRAMS, *FILTERS, f"python3 -c 'import {MODULES}'"])
def test_every_program_of_a_node_runs(node: str, program: str) -> None:
    done = inside(node, program)
    assert done.status == 0, done.output


@pytest.mark.parametrize("program", ["dockerd --version", "docker --version", "containerd --version", "runc --version"])
def test_every_program_of_a_nested_node_runs(nested: str, program: str) -> None:
    done = inside(nested, program)
    assert done.status == 0, done.output


def test_charon_has_the_plugins_that_both_data_planes_need(node: str) -> None:
    said = inside(node, USER_SPACE, "--cap-add", "NET_ADMIN", "--device", "/dev/net/tun").output
    loaded = said.partition("loaded plugins: charon ")[2].partition("\n")[0].split()
    needed = {"openssl", "nonce", "pem", "x509", "revocation", "constraints", "vici", "updown", "socket-default"}
    assert needed | {"kernel-libipsec", "kernel-netlink"} <= set(loaded), said
    assert "failed to load" not in said


@pytest.mark.parametrize("program", [*PROGRAMS, f"python3 -c 'import {MODULES}'"])
def test_every_program_of_a_foreign_node_runs_under_emulation(foreign: str, program: str) -> None:
    done = inside(foreign, program)
    assert done.status == 0, done.output


def test_charon_does_esp_in_user_space_under_emulation(foreign: str) -> None:
    said = inside(foreign, USER_SPACE, "--cap-add", "NET_ADMIN", "--device", "/dev/net/tun").output
    assert "created TUN device: ipsec0" in said


@pytest.mark.parametrize("program", FILTERS)
def test_a_firewall_is_the_one_thing_emulation_cannot_do(foreign: str, program: str) -> None:
    assert "Protocol not supported" in inside(foreign, program).output


def test_the_image_holds_no_list_cache_key_or_log(node: str) -> None:
    found = inside(
        node,
        "find / -xdev -type f \\( -path '/var/lib/apt/*' -o -path '/var/cache/*' -o -path '/var/log/*' "
        "-o -name '*.key' -o -name '*.pem' -o -name id_rsa -o -path '/root/.*_history' \\)",
    )
    assert found.output == ""


def test_the_list_of_packages_is_in_the_image(nested: str) -> None:
    listed = inside(nested, "cat /var/lib/dpkg/status /var/lib/dpkg/status.d/*").stdout
    assert {"Package: strongswan-charon", "Package: docker.io"} <= set(listed.splitlines())
    assert "Package: perl-base" not in listed


def test_the_image_is_as_small_as_promised(node: str) -> None:
    assert int(inside(node, "du -xsB1 /").stdout.split()[0]) < 150 * MEGABYTE


def test_the_image_says_what_it_is(node: str) -> None:
    labels = run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", node]).stdout
    for label in ("title", "description", "version", "licenses", "revision", "base.name"):
        assert f"org.opencontainers.image.{label}" in labels
