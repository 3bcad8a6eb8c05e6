"""What Docker's and Compose's complaints mean to a person: one line each, the cause first."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from docker.errors import DockerException

from tunnelbed.engines import Plan
from tunnelbed.engines.docker import drivers
from tunnelbed.errors import BadInput, CommandFailed, EngineUnavailable, TunnelbedError
from tunnelbed.topology import yaml_sections

P = ParamSpec("P")
T = TypeVar("T")
# The status with which Compose refuses a file it cannot use (compose/cmd/compose: `compose.go`, exit codes).
REFUSED = 15


def meaning(plan: Plan, failed: CommandFailed) -> TunnelbedError | None:
    """What made `docker compose up` fail, if it is one of the causes that are known."""
    return next(_causes(plan, failed), None)


def _causes(plan: Plan, failed: CommandFailed) -> Iterator[TunnelbedError]:
    text, stack = failed.output, yaml_sections.shorten(plan.scenario.stack)
    if "/dev/net/tun" in text:
        yield EngineUnavailable(
            "the kernel has no TUN device, which ESP in user space needs; `modprobe tun`, or `--data-plane kernel`"
        )
    if "operation not supported" in text and drivers.used(plan) != ("bridge",):
        yield EngineUnavailable(f"the kernel cannot make {drivers.named(plan)} networks; use another `--driver`")
    if failed.status == REFUSED or "yaml:" in text or "validating" in text:
        said = _last(text).removeprefix(f"validating {plan.scenario.stack}: ")
        yield BadInput(stack, "", said, "a stack that Compose accepts", "correct the key that is named")
    if missing := re.search(r"No such image: (\S+)", text):
        yield BadInput(stack, "image", missing[1], "an image that the engine has", "build it, or `docker pull` it")
    if taken := re.search(r'container name "/?([^"]+)" is already in use by container "([0-9a-f]{12})', text):
        advice = f"remove `container_name`, or remove that container: `docker rm {taken[1]}`"
        yield BadInput(stack, "container_name", taken[1], f"a name other than that of container {taken[2]}", advice)
    if "address already in use" in text:
        yield BadInput(
            stack, "mac_address", "the same MAC twice", "a different MAC for each node", "correct it, or remove it"
        )


def shortened(failed: CommandFailed) -> CommandFailed:
    """The reason in Compose's last line; what it did before it failed is in its log (`--verbose`)."""
    return CommandFailed(failed.command, failed.status, _last(failed.output))


def unreachable(wrong: Exception) -> EngineUnavailable:
    """Why the engine does not answer, in a line with what to do."""
    reason = str(wrong)
    if "Permission denied" in reason or "PermissionError" in reason:
        return EngineUnavailable(
            "no permission on the Docker engine's socket; run as root, or join its group: "
            "`sudo usermod -aG docker $USER`, then log in again"
        )
    return EngineUnavailable(
        f"the Docker engine does not answer; start it (`scripts/setup` does) or set DOCKER_HOST ({reason})"
    )


def in_a_line(method: Callable[P, T]) -> Callable[P, T]:
    """Whatever the engine's interface refuses is an `EngineUnavailable`, never an exception of its library."""

    @functools.wraps(method)
    def asked(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return method(*arguments, **named)
        except DockerException as refused:
            reason = getattr(refused, "explanation", None) or refused
            advice = "try again; `invoke down` removes what is left"
            raise EngineUnavailable(f"the Docker engine refused a request: {reason}; {advice}") from refused

    return asked


def _last(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "Compose printed nothing"
