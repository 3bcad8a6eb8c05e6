"""The connections to the agents of nodes: one for each node, opened when first needed.

A node runs `scripts/node/agent`, which carries bytes; everything is decided here. One engine command a node opens the
conversation (0.1 s), a request in it costs milliseconds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tunnelbed.engines import Engine
from tunnelbed.errors import CommandFailed, NodeFailed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.host.shell import Completed

AGENT = ("/usr/lib/tunnelbed/agent",)
ANSWER_SECONDS = 30.0
# To open a conversation the engine starts some processes of 10 to 20 MB for a moment. A request after that only waits:
# for the node's turn, and for the kernel, which closes a packet socket when no processor can be using it any more.
OPENED_AT_ONCE, MOST_NODES = 16, 1024
# How often a node with a clock of its own is asked for the time, before each recording.
CLOCK_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame one node saw on one interface: `at` in seconds since the epoch, by the machine's clock.

    `interface` is the network's name where it is on one of the stack's, whatever the interface is called in the node.

    `hardware` is the interface's ARPHRD type (linux/if_arp.h): Ethernet is 1, a TUN device without link header 65534.
    """

    node: str
    interface: str
    outgoing: bool
    hardware: int
    at: float
    data: bytes


class Agent:
    """The connection to the agent of one node."""

    def __init__(self, engine: Engine, project: str, node: str, interfaces: Mapping[str, str] | None = None) -> None:
        self.node = node
        self._interfaces = interfaces or {}
        self._networks = {interface: network for network, interface in self._interfaces.items()}
        self._own_clock, self._behind = engine.own_clocks, 0.0
        self._stream = engine.open(project, node, AGENT)
        self._pending: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._next = 0
        self._ended = False
        # What was wrong with the last message, where that ended the conversation.
        self._wrong: Exception | None = None
        self._tell: Callable[[Frame], None] | None = None
        # What commands that are listened to have written, by the number of the request.
        self._lines: dict[int, list[str]] = {}
        # What sockets have brought, likewise.
        self._sockets: dict[int, NodeSocket] = {}
        threading.Thread(target=self._listen, name=f"agent {node}", daemon=True).start()

    def watch(self, tell: Callable[[Frame], None]) -> None:
        """From now on `tell` gets every frame the node sees, in a thread of its own."""
        self._tell = tell
        if self._own_clock:
            self._behind = self._measure()
        self._ask("watch")

    def unwatch(self) -> None:
        """No more frames."""
        self._ask("unwatch")
        self._tell = None

    def sync(self) -> None:
        """Return when every frame that the node has captured by now has been delivered.

        Raises `NodeFailed` where its kernel had to drop some: whatever is absent may have been among them.
        """
        if lost := self.delivered():
            raise NodeFailed(
                self.node, f"lost {lost} captured frames: its buffer was full", "send fewer packets at once"
            )

    def delivered(self) -> int:
        """As `sync`, but return how many frames the kernel had to drop since the last call."""
        return int(self._ask("sync"))

    def send_frame(self, network: str, data: bytes) -> None:
        """Send a frame as it is into a network, or out of an interface of another name, past the node's firewall."""
        self._answer("link", self._post_frame(network, data))

    def send_frames(self, frames: Sequence[tuple[str, bytes]]) -> Sequence[float | CommandFailed]:
        """Send frames, each into its network as `send_frame` does, without waiting for one after the other.

        Of each, when the node's kernel had taken it (seconds since the epoch), or why it did not.
        """
        posted = []
        for network, data in frames:
            answer = self._post_frame(network, data)
            posted.append((answer, _time_of(answer)))
        found: list[float | CommandFailed] = []
        for answer, taken in posted:
            try:
                self._answer("link", answer)
            except CommandFailed as refused:
                found.append(refused)
            else:
                found.append(taken.result())
        return found

    def send_packet(self, data: bytes) -> None:
        """Send an IP packet where the node's routes lead; raises `CommandFailed` if they lead nowhere."""
        self._ask("ip", data=base64.b64encode(data).decode())

    def ask_kernel(self, protocol: int, message: bytes) -> bytes:
        """Send the node's kernel a netlink message (`NETLINK_...` of linux/netlink.h); its first answer."""
        return base64.b64decode(self._ask("netlink", to=protocol, data=base64.b64encode(message).decode()))

    def run(self, command: Sequence[str], *, timeout: float = ANSWER_SECONDS, check: bool = False) -> Completed:
        """Run a command to its end, `timeout` in seconds; with `check`, a bad status raises `CommandFailed`."""
        said = self._ask("run", argv=list(command), timeout=waiting.stretched(timeout), wait=timeout + 1)
        if said["status"] is None:
            raise CommandFailed(command, None, said["err"], self.node)
        done = Completed(tuple(command), said["status"], said["out"], said["err"])
        if check and done.status:
            raise CommandFailed(command, done.status, done.output, self.node)
        return done

    @contextlib.contextmanager
    def listen(self, command: Sequence[str]) -> Iterator[list[str]]:
        """The lines that a command writes while the body runs, a growing list; afterwards it is ended.

        Raises `CommandFailed` where the node has no such command.
        """
        number = self._ask("listen", argv=list(command))
        try:
            yield self._lines.setdefault(number, [])
        finally:
            self._ask("hush", of=number)
            self._lines.pop(number)

    def connect(self, path: str) -> NodeSocket:
        """Open a UNIX stream socket of the node. Raises `CommandFailed` if no process listens there."""
        number = self._ask("connect", path=path)
        with self._lock:
            # What came before it is known here has been kept for it.
            return self._sockets.setdefault(number, NodeSocket(self, number))

    def send_to_socket(self, number: int, data: bytes) -> None:
        """Write to a socket; `NodeSocket.sendall` does."""
        self._ask("send", of=number, data=base64.b64encode(data).decode())

    def close_socket(self, number: int) -> None:
        """Close a socket; `NodeSocket.close` does."""
        with self._lock:
            self._sockets.pop(number, None)
        if not self._ended:
            self._ask("close", of=number)

    def write(self, path: str, text: str) -> None:
        """Write a file on the node. Raises `CommandFailed`."""
        self.run(["sh", "-c", 'printf %s "$1" >"$2"', "sh", text, path], check=True)

    @property
    def ended(self) -> bool:
        """Whether the connection has ended: no request can be sent any more."""
        return self._ended

    def close(self) -> None:
        """End the connection."""
        self._stream.close()

    def _measure(self) -> float:
        """Seconds by which the node's clock is behind ours, to within half the time that the fastest answer took."""
        best, behind = float("inf"), 0.0
        for _ in range(CLOCK_LOOKS):
            began = time.time()
            theirs = float(self._ask("clock"))
            ended = time.time()
            if ended - began < best:
                best, behind = ended - began, (began + ended) / 2 - theirs
        return behind

    def _ask(self, what: str, *, wait: float = ANSWER_SECONDS, **said: object) -> Any:  # noqa: ANN401 # as JSON has it
        return self._answer(what, self._post(what, **said), wait)

    def _post(self, what: str, **said: object) -> Future[Any]:
        """Send a request; what the node will answer."""
        answer: Future[Any] = Future()
        with self._lock:
            if self._ended:
                raise self._lost()
            self._next += 1
            number = self._next
            self._pending[number] = answer
            line = json.dumps({"id": number, "do": what, **said}) + "\n"
            try:
                self._stream.send(line.encode())
            except OSError as gone:
                raise self._lost() from gone
        return answer

    def _post_frame(self, network: str, data: bytes) -> Future[Any]:
        on = self._interfaces.get(network, network)
        return self._post("link", on=on, data=base64.b64encode(data).decode())

    def _answer(self, what: str, answer: Future[Any], wait: float = ANSWER_SECONDS) -> Any:  # noqa: ANN401 # likewise
        """Wait for what a node answers to a request."""
        wait = waiting.stretched(wait)
        try:
            return answer.result(wait)
        except TimeoutError as late:
            raise NodeFailed(self.node, f"did not answer `{what}` in {wait:g} s", "see `invoke logs`") from late

    def _listen(self) -> None:
        rest = b""
        try:
            while data := self._stream.receive():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._heard(json.loads(line))
        except OSError:
            pass  # the end of the stream
        except Exception as wrong:  # noqa: BLE001 # a fault of ours, or of the agent's: whoever asks next is told
            self._wrong = wrong
        with self._lock:
            self._ended = True
            opened = list(self._sockets.values())
        for socket in opened:
            socket.hear(b"")
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(self._lost())

    def _heard(self, said: Mapping[str, Any]) -> None:
        if "of" in said and "data" in said:
            with self._lock:
                opened = self._sockets.setdefault(said["of"], NodeSocket(self, said["of"]))
            opened.hear(base64.b64decode(said["data"]))
            return
        if "of" in said:
            self._lines.setdefault(said["of"], []).append(said["line"])
            return
        if "id" not in said:
            if self._tell:
                self._tell(_frame(self.node, self._networks.get(said["on"], said["on"]), said, self._behind))
            return
        answer = self._pending.pop(said["id"])
        if "error" in said:
            answer.set_exception(CommandFailed(["agent"], 1, said["error"], self.node))
        else:
            answer.set_result(said["ok"])

    def _lost(self) -> TunnelbedError:
        why = f" by {type(self._wrong).__name__}: {self._wrong}" if self._wrong else ""
        lost = NodeFailed(self.node, f"the connection to its agent ended{why}", "see `invoke status` and `invoke logs`")
        lost.__cause__ = self._wrong
        return lost


class NodeSocket:
    """A UNIX stream socket of a node, with as much of `socket.socket` as a protocol library needs of one."""

    def __init__(self, agent: Agent, number: int) -> None:
        self._agent, self._number = agent, number
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = b""
        self._at_end = self.ended = False
        self._seconds: float | None = None

    def hear(self, data: bytes) -> None:
        """Take what came from it; nothing at its end."""
        self.ended = self.ended or not data
        self._heard.put(data)

    def settimeout(self, seconds: float | None) -> None:
        """How many seconds `recv` waits, stretched; None: as long as the node has to answer anything."""
        self._seconds = seconds

    def gettimeout(self) -> float | None:
        """The seconds set last."""
        return self._seconds

    def sendall(self, data: bytes) -> None:
        """Write to it. Raises `CommandFailed` where the other side has closed it."""
        self._agent.send_to_socket(self._number, data)

    def recv(self, most: int) -> bytes:
        """Up to `most` bytes; none at its end. Raises `TimeoutError`."""
        if not self._rest and not self._at_end:
            seconds = ANSWER_SECONDS if self._seconds is None else self._seconds
            try:
                self._rest = self._heard.get(timeout=waiting.stretched(seconds))
            except queue.Empty as late:
                raise TimeoutError(f"{self._agent.node} sent nothing in {seconds:g} s") from late
            self._at_end = not self._rest
        found, self._rest = self._rest[:most], self._rest[most:]
        return found

    def shutdown(self, how: int) -> None:
        """Nothing: `close` ends both ways at once."""

    def close(self) -> None:
        """Close it."""
        self._agent.close_socket(self._number)


class Agents:
    """The connections of one testbed, each opened when first needed."""

    def __init__(self, engine: Engine, project: str, interfaces: Mapping[str, str] | None = None) -> None:
        self._engine, self._project = engine, project
        # What each network's interfaces are called in the nodes.
        self.interfaces = interfaces or {}
        self._open: dict[str, Future[Agent]] = {}
        self._lock = threading.Lock()
        self._opening = ThreadPoolExecutor(max_workers=OPENED_AT_ONCE, thread_name_prefix="opening agents")
        self._talking = ThreadPoolExecutor(max_workers=MOST_NODES, thread_name_prefix="agents")

    def on(self, node: str) -> Agent:
        """The connection to a node: opened once, at the first call, and again if the last one ended."""
        with self._lock:
            found = self._open.get(node)
            if found and found.done() and found.result().ended:
                found = None
            opens = found is None
            if found is None:
                found = self._open[node] = Future()
        if not opens:
            return found.result()
        try:
            found.set_result(Agent(self._engine, self._project, node, self.interfaces))
        except BaseException as failed:
            # Whoever waits for it is given the same error; whoever asks later tries again.
            with self._lock:
                if self._open.get(node) is found:
                    del self._open[node]
            found.set_exception(failed)
            raise
        return found.result()

    def each(self, nodes: Sequence[str], do: Callable[[Agent], object]) -> None:
        """Call a function for several nodes at the same time; raises what the first of them raised."""
        list(self._talking.map(do, self._opening.map(self.on, nodes)))

    def forget(self, node: str) -> None:
        """End the connection to a node, which is about to stop or already has."""
        with self._lock:
            opened = self._open.pop(node, None)
        if opened and not opened.exception():
            opened.result().close()

    def close(self) -> None:
        """End them all."""
        for node in list(self._open):
            self.forget(node)
        self._opening.shutdown()
        self._talking.shutdown()


def _time_of(answer: Future[Any]) -> Future[float]:
    """When an answer comes (seconds since the epoch), whoever waits for it."""
    time_of: Future[float] = Future()
    answer.add_done_callback(lambda _: time_of.set_result(time.time()))
    return time_of


def _frame(node: str, where: str, said: Mapping[str, Any], behind: float) -> Frame:
    outgoing = said["kind"] == _OUTGOING
    return Frame(node, where, outgoing, said["type"], said["at"] + behind, base64.b64decode(said["data"]))


_OUTGOING = 4  # PACKET_OUTGOING, linux/if_packet.h
