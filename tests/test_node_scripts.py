"""What runs inside a node, here without one: stubs are its programs, a folder is its root, loopback its network."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunnelbed.host.waiting import until

SCRIPTS = Path(__file__).parent.parent / "scripts" / "node"
SHELL = [path for path in sorted(SCRIPTS.iterdir()) if path.read_bytes().startswith(b"#!/bin/sh")]
PINGPONG = str(SCRIPTS / "pingpong")


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_a_node_s_scripts_are_posix_sh(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_a_node_s_scripts_name_no_engine(script: Path) -> None:
    said = [line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")]
    # `nested` starts one inside the node: that is its whole business.
    assert script.name == "nested" or "docker" not in " ".join(said).lower()


LINKS = """\
1: lo: <LOOPBACK,UP> mtu 65536 qdisc noqueue state UNKNOWN \\    link/loopback 00:00:00:00:00:00
7: eth0@if6: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP \\    link/ether 02:42:c6:12:00:02 brd ff:ff:ff:ff:ff:ff
9: eth1@if8: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP \\    link/ether 02:42:c6:12:00:0a brd ff:ff:ff:ff:ff:ff
"""
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever
7: eth0    inet 198.18.0.2/29 brd 198.18.0.7 scope global eth0\\       valid_lft forever
9: eth1    inet 198.18.0.10/29 brd 198.18.0.15 scope global eth1\\       valid_lft forever
"""
# Answers two questions, writes every other command down, and keeps the table of interfaces as `link set name` has it.
IP = """#!/bin/sh
case $* in
    "-o link show") cat "$ROOT/links"; exit ;;
    "-o -4 address show") cat "$ROOT/addresses"; exit ;;
    "-batch -")
        while read -r line; do
            [ -n "$line" ] || continue
            echo "ip $line" >>"$ROOT/log"
            case $line in
                *nonsense*) echo 'Command failed -:1' >&2; exit 1 ;;
                "link set "*" name "*) mkdir "$ROOT/net/${line##* }" ;;
            esac
        done
        exit
        ;;
esac
echo "ip $*" >>"$ROOT/log"
case $* in
    "-batch "*)
        [ ! -e "$ROOT/says" ] || { cat "$ROOT/says" >&2; exit 1; }
        ! grep -q nonsense "$2" || { echo 'Command failed ip.batch:1' >&2; exit 1; }
        ;;
esac
"""
NFT = """#!/bin/sh
echo "nft $*" >>"$ROOT/log"
! grep -q nonsense "$2" || { echo "$2:1:1-8: Error: syntax error" >&2; exit 1; }
"""


class Boot:
    """`boot` with its root moved into a folder, and stubs for the programs that would change the machine."""

    def __init__(self, root: Path) -> None:
        self.root, self.files = root, root / "files"
        for folder in ("bin", "net", "files", "net/eth0", "net/eth1"):
            (root / folder).mkdir()
        for name in ("eth0", "eth1"):
            (root / "net" / name / "mtu").write_text("1500\n")
        script = (SCRIPTS / "boot").read_text()
        for where, moved in (("/etc/tunnelbed/node", "files"), ("/run/tunnelbed", "run"), ("/sys/class/net", "net")):
            assert where in script
            script = script.replace(where, str(root / moved))
        (root / "boot").write_text(script)
        (root / "links").write_text(LINKS)
        (root / "addresses").write_text(ADDRESSES)
        restore = '#!/bin/sh\necho "${0##*/} $*" >>"$ROOT/log"\n'
        stubs = {"ip": IP, "nft": NFT, "iptables-restore": restore, "ip6tables-restore": restore}
        for name, text in stubs.items():
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)

    def run(self, interfaces: str = "", *command: str) -> subprocess.CompletedProcess[str]:
        """Boot, then become a command."""
        env = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root), "TUNNELBED_INTERFACES": interfaces}
        words = ["sh", str(self.root / "boot"), *(command or ("echo", "booted"))]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=env)

    def log(self) -> list[str]:
        """What was done to the node, in order."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    return Boot(tmp_path)


def test_a_node_becomes_its_command_with_its_arguments(boot: Boot) -> None:
    done = boot.run("", "printf", "%s|", "a b", "")
    # A command that is none of ours never says that it is ready: the node does, once it is as its files have it.
    assert (done.returncode, done.stdout, done.stderr) == (0, "tunnelbed: ready\na b||", "")


def test_a_command_that_the_image_lacks_is_named_and_the_node_is_not_ready(boot: Boot) -> None:
    done = boot.run("", "no-such-program", "--serve")
    said = "tunnelbed: this node's image has no no-such-program, which is the node's command\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("said", ["Error: Unknown device type.", "RTNETLINK answers: Operation not supported"])
def test_a_device_that_the_kernel_does_not_make_is_a_limit_of_the_kernel_s(boot: Boot, said: str) -> None:
    (boot.files / "ip.batch").write_text(
        "route replace default via 10.1.0.1\nlink add gre1 type gre remote 192.0.2.2\n"
    )
    (boot.root / "says").write_text(f"{said}\nCommand failed ip.batch:2\n")
    done = boot.run()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("tunnelbed: lacking: this kernel makes no gre device, which line 2 of ip.batch asks for;")
    assert "booted" not in done.stdout


def test_what_a_kernel_refuses_for_another_reason_is_no_limit(boot: Boot) -> None:
    (boot.files / "ip.batch").write_text("link add gre1 type gre remote 192.0.2.2\n")
    (boot.root / "says").write_text("RTNETLINK answers: File exists\nCommand failed ip.batch:1\n")
    done = boot.run()
    assert done.returncode == 1
    assert "lacking" not in done.stderr
    assert done.stderr.splitlines()[-1] == "tunnelbed: ip.batch was refused"


@pytest.mark.parametrize("found", ["198.18.0.10", "02:42:c6:12:00:0a"])
def test_an_interface_is_found_by_its_address_or_its_mac_and_gets_its_network_s_name(boot: Boot, found: str) -> None:
    assert boot.run(f"inside {found} 10.1.0.2/16\n").returncode == 0
    log = boot.log()
    assert log[:3] == ["ip link set dev eth1 down", "ip link set dev eth1 name inside", "ip address flush dev inside"]
    assert log[-2:] == ["ip link set dev inside up", "ip address replace 10.1.0.2/16 brd + dev inside"]


def test_the_interfaces_begin_ipv6_anew_and_keep_their_mtu(boot: Boot) -> None:
    boot.run("inside 198.18.0.2 10.1.0.2/16\noutside 198.18.0.10 192.0.2.1/24\n")
    assert [line for line in boot.log() if " mtu " in line] == [
        "ip link set dev inside mtu 1279",
        "ip link set dev inside mtu 1500",
        "ip link set dev outside mtu 1279",
        "ip link set dev outside mtu 1500",
    ]


def test_interfaces_that_cannot_be_set_up_end_the_boot(boot: Boot) -> None:
    done = boot.run("inside 198.18.0.2 nonsense\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "tunnelbed: the interfaces are not as the stack has them"
    assert "booted" not in done.stdout


def test_an_interface_gets_exactly_its_addresses_of_both_kinds(boot: Boot) -> None:
    boot.run("inside 198.18.0.2 10.1.0.2/16 2001:db8::2/64\n")
    assert boot.log()[-2:] == [
        "ip address replace 10.1.0.2/16 brd + dev inside",
        "ip address replace 2001:db8::2/64 dev inside nodad",
    ]


def test_a_second_boot_renames_nothing_and_sets_the_same_addresses(boot: Boot) -> None:
    said = "inside 198.18.0.2 10.1.0.2/16\noutside 198.18.0.10 192.0.2.1/24\n"
    assert boot.run(said).returncode == 0
    (boot.root / "log").unlink()
    assert boot.run(said).returncode == 0
    assert boot.log() == [
        "ip link set dev inside up",
        "ip address replace 10.1.0.2/16 brd + dev inside",
        "ip link set dev outside up",
        "ip address replace 192.0.2.1/24 brd + dev outside",
    ]


def test_an_interface_that_is_not_there_ends_the_boot_with_both_names(boot: Boot) -> None:
    done = boot.run("inside 198.18.0.99 10.1.0.2/16\n")
    assert done.returncode == 1
    assert done.stderr == "tunnelbed: no interface has 198.18.0.99, which was to become inside\n"
    assert done.stdout == ""


def test_the_firewall_stands_before_there_is_an_address(boot: Boot) -> None:
    for name in ("nftables.conf", "iptables.rules", "ip6tables.rules", "ip.batch"):
        (boot.files / name).touch()
    boot.run("inside 198.18.0.2 10.1.0.2/16\n")
    programs = [line.split()[0] for line in boot.log()]
    assert programs[:3] == ["nft", "iptables-restore", "ip6tables-restore"]
    assert boot.log()[-1] == f"ip -batch {boot.files}/ip.batch"


@pytest.mark.parametrize("file", ["nftables.conf", "ip.batch"])
def test_a_file_that_is_refused_ends_the_boot_with_the_program_s_own_words(boot: Boot, file: str) -> None:
    (boot.files / file).write_text("nonsense\n")
    done = boot.run("inside 198.18.0.2 10.1.0.2/16\n")
    assert done.returncode == 1
    assert f"{file}:1" in done.stderr
    assert done.stderr.splitlines()[-1] == f"tunnelbed: {file} was refused"
    assert "booted" not in done.stdout


def test_a_refused_firewall_leaves_the_node_without_an_address(boot: Boot) -> None:
    (boot.files / "nftables.conf").write_text("nonsense\n")
    boot.run("inside 198.18.0.2 10.1.0.2/16\n")
    assert [line for line in boot.log() if line.startswith("ip ")] == []


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """A pingpong server of this machine, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, PINGPONG, "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "tunnelbed: ready\n"
            yield port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def exchange(port: int, request: bytes) -> tuple[int, object]:
    """Send a request as it is; the status and JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return int(head.split()[1]), json.loads(body)


def post(port: int, body: bytes, path: str = "/ping") -> tuple[int, object]:
    """Post a body."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return exchange(port, head.encode() + body)


def test_a_ping_is_answered_with_a_pong_and_both_names(port: int) -> None:
    status, said = post(port, b'{"clientname": "a1", "ping": "17"}')
    expected = {"clientname": "a1", "servername": socket.gethostname(), "ping": "17", "pong": "17"}
    assert isinstance(said, dict)
    assert (status, {**said, **expected}) == (200, said)
    assert said["seen_as"] == "127.0.0.1"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'"ping"', b"5", b"null", b'{"other": 1}', b"\xff\xfe"])
def test_what_is_no_ping_is_an_invalid_request(port: int, body: bytes) -> None:
    assert post(port, body) == (400, {"error": "invalid request"})


@pytest.mark.parametrize("line", ["GET /ping", "POST /", "PUT /ping", "POST /pin", "nonsense"])
def test_any_other_request_is_not_found(port: int, line: str) -> None:
    assert exchange(port, f"{line} HTTP/1.1\r\n\r\n".encode()) == (404, {"error": "not found"})


def test_a_greeting_says_how_the_client_is_seen(port: int) -> None:
    said = {"servername": socket.gethostname(), "seen_as": "127.0.0.1"}
    assert exchange(port, b"GET / HTTP/1.1\r\n\r\n") == (200, said)


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\r\n",
        b"POST /ping HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nContent-Length: -7\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /ping HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
    ],
    ids=["nothing", "an empty line", "a length that is none", "a negative length", "TLS", "a huge body"],
)
def test_nonsense_does_not_keep_the_server_from_the_next_client(port: int, request_: bytes) -> None:
    # The server may have closed at any of these; what it does with the next client is what counts.
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, contextlib.suppress(OSError):
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert post(port, b'{"ping": "1"}')[0] == 200


def test_a_slow_client_does_not_keep_the_others_waiting(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
        slow.sendall(b"POST /ping HTT")
        with ThreadPoolExecutor() as pool:
            assert pool.submit(post, port, b'{"ping": "1"}').result(2)[0] == 200


def asks(*words: str) -> subprocess.CompletedProcess[str]:
    """A pingpong client of this machine."""
    command = [sys.executable, PINGPONG, "ask", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(done: subprocess.CompletedProcess[str]) -> Sequence[str]:
    """The pongs a client told of, a line each."""
    return [json.loads(line)["pong"] for line in done.stdout.splitlines()]


def test_a_client_counts_its_pings_and_ends_well(port: int) -> None:
    done = asks("127.0.0.1", "--port", str(port), "--count", "3", "--interval", "0")
    assert (done.returncode, told(done)) == (0, ["1", "2", "3"])


def test_a_client_sends_the_text_it_is_given(port: int) -> None:
    done = asks("127.0.0.1", "--port", str(port), "--count", "1", "--ping", "é 1")
    assert told(done) == ["é 1"]


def test_a_client_without_an_answer_says_so_and_ends_badly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    done = asks("127.0.0.1", "--port", port, "--count", "2", "--interval", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count(f"pingpong: 127.0.0.1 port {port}: ") == 2


def test_a_client_asks_again_until_a_server_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(asks, "127.0.0.1", "--port", str(port), "--within", "20")
        with subprocess.Popen([sys.executable, PINGPONG, "serve", "--port", str(port)]) as server:
            done = asking.result(30)
            server.terminate()
    assert (done.returncode, told(done), done.stderr) == (0, ["1"], "")


def test_a_client_that_gets_no_pong_in_time_tells_its_last_complaint_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    done = asks("127.0.0.1", "--port", port, "--within", "0.3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"pingpong: 127.0.0.1 port {port}: [Errno 111] Connection refused\n"


def test_a_client_that_is_not_heard_begins_anew_instead_of_waiting() -> None:
    # The queue is full with one: what comes then is dropped, like the packet that starts a tunnel.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), ThreadPoolExecutor() as pool:
            asking = pool.submit(asks, "127.0.0.1", "--port", str(address[1]), "--within", "20")
            listener.accept()[0].close()
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                assert stream.readline() == b"POST /ping HTTP/1.1\r\n"
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"pong": "1"}')
                assert asking.result(30).returncode == 0


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 200\r\n\r\n"])
def test_an_answer_without_a_pong_is_a_failure(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        done = pool.submit(asks, "127.0.0.1", "--port", str(listener.getsockname()[1]), "--count", "1")
        connection, _ = listener.accept()
        with connection:
            until(lambda: b"\r\n\r\n" in connection.recv(65536, socket.MSG_PEEK), 5, "the request")
            connection.recv(65536)
            connection.sendall(answer)
        assert done.result(10).returncode == 1


def test_a_client_that_knows_no_server_says_what_to_do() -> None:
    done = asks("--count", "1")
    assert done.returncode == 2
    assert "no server: name one, or set LOCAL_SERVER" in done.stderr
