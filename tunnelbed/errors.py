"""The errors that users see; each says what to do next.

    TunnelbedError                 could not be run; exit code 2
    ├── BadInput                   a file, a key or an option has a value that cannot be used
    ├── EngineUnavailable          no engine, no permission on it, too old, or lacking in the kernel
    ├── CommandFailed              a command that had to work did not
    ├── ChecksFailed               a testbed is up, and checks of its stack's own do not pass; exit code 1
    ├── NodeFailed                 a node did not come up; has the node's own message
    ├── ImageFailed                an image could not be built, loaded or pushed
    ├── MachineBusy                something came later than it may, on a machine with too much to do to say why
    └── DeadlinePassed             something awaited did not happen in time

A network that misbehaves is not among them: that is an `AssertionError`, raised by a step, exit code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class TunnelbedError(Exception):
    """One clear line: what is wrong, and what to do next; a command that it ends has the exit code `code`.

    A text of several lines becomes one: a program's output keeps its order, not its layout.
    """

    code = 2

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


class BadInput(TunnelbedError):
    """A value in a file, an option or a sentence cannot be used.

    Says where (`file`, its line if known, `key`), what was found, what was expected and what to do, so that this one
    line is enough to correct it: `compose/x.yaml: services.gateway-a: found 10.9.0.2, expected an address in
    10.1.0.0/16; correct the address or the subnet`.
    """

    def __init__(self, where: str, key: str, found: object, expected: str, advice: str, line: int = 0) -> None:
        self.where, self.key, self.found, self.expected, self.advice = where, key, found, expected, advice
        self.line = line
        file = f"{where}:{line}" if line else where
        place = f"{file}: {key}" if key else file
        super().__init__(f"{place}: found {found}, expected {expected}; {advice}")


class EngineUnavailable(TunnelbedError):
    """The engine, or something it needs from the machine, is not there."""


class CommandFailed(TunnelbedError):
    """A command ended with a status other than 0, or did not end in time (`status` is then None)."""

    def __init__(self, command: Sequence[str], status: int | None, output: str, where: str = "") -> None:
        self.command, self.status, self.output, self.where = tuple(command), status, output, where
        how = "did not end in time" if status is None else f"ended with status {status}"
        node = f" on {where}" if where else ""
        super().__init__(f"`{' '.join(command)}`{node} {how}: {output.strip() or 'it printed nothing'}")


class NodeFailed(TunnelbedError):
    """A node stopped, or refused its configuration; `message` is the last that it logged."""

    def __init__(self, node: str, message: str, advice: str) -> None:
        self.node, self.message = node, message
        super().__init__(f"{node}: {message.strip() or 'stopped and logged nothing'}; {advice}")


class ChecksFailed(TunnelbedError):
    """Every node of a testbed runs, and checks that its stack makes itself (`healthcheck`) do not pass: it stays up.

    `failed` has what each check printed, by its node; `made` says whether the testbed was brought up just now.
    """

    code = 1

    def __init__(self, testbed: str, failed: Mapping[str, str], *, made: bool) -> None:
        self.testbed, self.failed, self.made = testbed, dict(failed), made
        told = "; ".join(
            f"the check of {node} does not pass: {said or 'it printed nothing'}" for node, said in failed.items()
        )
        super().__init__(
            f"{testbed}: is up, but {told}; it stays up: see `invoke logs`, `invoke trace`; then `invoke down`"
        )


class ImageFailed(TunnelbedError):
    """An image could not be made, loaded or pushed."""


class MachineBusy(TunnelbedError):
    """Something held only after its time limit, on a machine too busy for the result to count."""

    def __init__(self, what: str, seconds: float, passed: float) -> None:
        self.what, self.seconds, self.passed = what, seconds, passed
        super().__init__(
            f"{what}: cannot be judged: it held after {passed:.1f} s, and this machine was too busy to measure "
            f"whether it held within {seconds:g} s; try again when the load is lower, or with TUNNELBED_PATIENCE=4"
        )


class DeadlinePassed(TunnelbedError):
    """What was waited for did not happen; `last` is the last thing seen."""

    def __init__(self, what: str, seconds: float, last: object) -> None:
        self.what, self.seconds, self.last = what, seconds, last
        super().__init__(f"waited {seconds:g} s for {what}; last seen: {last}")
