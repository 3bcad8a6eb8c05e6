"""The Docker engine: nodes are containers, brought up by Compose and reached through the engine's own interface."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound

from tunnelbed.engines import Plan, Progress, Stream, Usage
from tunnelbed.engines.docker import ENGINE, cgroups, complaints, compose, compose_version, containers, drivers, links
from tunnelbed.engines.docker.complaints import in_a_line
from tunnelbed.engines.docker.containers import PROJECT
from tunnelbed.engines.docker.execs import ExecStream
from tunnelbed.engines.docker.underlay import allocate
from tunnelbed.engines.images import stack_images
from tunnelbed.engines.images.node_images import OURS, engine_platform, ensure, known_platform, lay_out, node_image
from tunnelbed.errors import (
    CommandFailed,
    DeadlinePassed,
    EngineUnavailable,
    NodeFailed,
    TunnelbedError,
)
from tunnelbed.host import shell, waiting
from tunnelbed.host.shell import Completed
from tunnelbed.topology.model import Scenario

NETWORK = "com.docker.compose.network"
# A mark in the testbed's folder: parents were, or were about to be, made.
PARENTS = "parents"
# Another testbed may take the same subnets between our look and our use.
TRIES = 3
# Seconds; the kernel takes network namespaces down one after another, and on a busy machine there is a queue.
MAC_SECONDS = 60.0
# Seconds until a command whose output has ended must have a status.
EXIT_SECONDS = 5.0
# Docker names a device of its own by its kind and so many characters of the network's ID.
ID_IN_NAME = 12


def connect(root: Path) -> DockerEngine:
    """The engine that DOCKER_HOST, or else the default socket, leads to; it finds its testbeds by their labels."""
    del root
    try:
        client = docker.from_env(timeout=int(waiting.stretched(60)))
        client.ping()
    except (DockerException, OSError) as wrong:
        raise complaints.unreachable(wrong) from wrong
    return DockerEngine(client)


class DockerEngine:
    """See `engines.Engine` for what each method promises."""

    name = "docker"
    own_clocks = False
    takes = ENGINE.takes

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client

    @in_a_line
    def provide(self, images: Sequence[str], platform: str, progress: Progress) -> Mapping[str, str]:
        """As `Engine.provide`: tags."""
        return {name: ensure(name.removeprefix(OURS), progress, platform or None, self._has) for name in images}

    @in_a_line
    def build(self, scenario: Scenario, state: Path, platform: str, progress: Progress) -> None:
        """As `Engine.build`: by Compose, with the node image as `tunnelbed/node`."""
        if any(node.build for node in scenario.nodes.values()):
            (base,) = self.provide([stack_images.BASE], platform, progress).values()
            stack_images.build(scenario, state / "build.yaml", base, platform, progress)

    @in_a_line
    def called(self, image: str, platform: str) -> str:
        """As `Engine.called`: the tag of an image of ours, the ID of another."""
        if image.startswith(OURS):
            foreign = platform and known_platform(platform) != engine_platform()
            return node_image(image.removeprefix(OURS), platform if foreign else None)
        return self._id(image)

    @in_a_line
    def runs(self, project: str) -> Mapping[str, str]:
        """As `Engine.runs`."""
        return {found.node: found.image for found in containers.of(self.client, project)}

    @in_a_line
    def start(self, plan: Plan, progress: Progress) -> None:
        """As `Engine.start`: parents, override, `docker compose up`."""
        drivers.check(plan)
        compose.refuse_mounts(plan)
        version = compose_version.looked_at()
        parents = self.make_parents(plan, progress)
        version.result()
        if any(node.image not in plan.images for node in plan.scenario.nodes.values()):
            lay_out(compose.scripts(plan))
        for node in plan.scenario.nodes.values():
            if node.carried:
                progress(f"packing the images of the containers in {node.name}")
                names = [plan.images.get(image, image) for image in node.carried]
                shell.run(["docker", "save", "--output", str(compose.carried(plan, node)), *names])
        progress(f"making {len(plan.scenario.networks)} networks and {len(plan.scenario.nodes)} nodes")
        for attempt in range(TRIES):
            try:
                self.compose_up(plan.project, self.render(plan, parents))
            except CommandFailed as failed:
                if attempt == TRIES - 1 or "overlaps" not in failed.output:
                    raise self._explained(plan, failed) from failed
                shell.run(compose.command(plan.project, "down", "-t", "0"))
            else:
                return

    def make_parents(self, plan: Plan, progress: Progress) -> Mapping[str, str]:
        """A link for each network, by name: a bridge, or a parent where Docker cannot make its own; else none."""
        if "bridge" in (kinds := drivers.links(plan)).values():
            progress("making isolated bridges")
        if "veth" in kinds.values():
            if links.are_needed(self.client, plan.project):
                progress(
                    f"this kernel has no dummy links: making the parent links of the {drivers.named(plan)} networks"
                )
            else:
                kinds = {network: kind for network, kind in kinds.items() if kind == "bridge"}
        if kinds:
            (plan.state / PARENTS).touch()
            links.make(self.client, self._own_image(), plan.project, list(kinds.values()))
        return links.names(plan.project, kinds)

    def render(self, plan: Plan, parents: Mapping[str, str]) -> Sequence[Path]:
        """The Compose files of a testbed: the stack, its overlay if it has one, and the override written anew."""
        override = _files(plan)[-1]
        subnets = allocate(plan.scenario, plan.project, self.subnets())
        override.write_text(compose.render(plan, subnets, parents), encoding="utf-8")
        return _files(plan)

    def compose_up(self, project: str, files: Sequence[Path], *more: str) -> None:
        """`docker compose up` of these files, without building or pulling anything; `more` are its further words."""
        words = ("up", "--detach", "--no-build", "--pull", "never", "--remove-orphans", *more)
        shell.run(compose.command(project, *words, files=files))

    @in_a_line
    def stop(self, project: str, state: Path) -> Mapping[str, int]:
        """As `Engine.stop`."""
        links.forget(self.client, project)
        found = containers.of(self.client, project)
        networks = self.client.networks.list(filters={"label": f"{PROJECT}={project}"})
        parents = 0
        if found or networks:
            compose.down(project)
        if (
            any(links.OPTIONS & (network.attrs.get("Options") or {}).keys() for network in networks)
            or (state / PARENTS).exists()
        ):
            parents = links.remove(self.client, self._own_image(), project)
        return {"container": len(found), "network": len(networks), "link": parents}

    @in_a_line
    def networks(self, project: str) -> Mapping[str, str]:
        """As `Engine.networks`: the drivers that Docker has used."""
        found = self.client.networks.list(filters={"label": f"{PROJECT}={project}"})
        return {one.attrs["Labels"][NETWORK]: str(one.attrs["Driver"]) for one in found}

    @in_a_line
    def states(self, project: str) -> Mapping[str, str]:
        """As `Engine.states`."""
        return {container.node: container.state for container in containers.of(self.client, project)}

    @in_a_line
    def run(
        self, project: str, node: str, command: Sequence[str], *, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        """As `Engine.run`."""
        container = containers.one(self.client, project, node)
        shell.log.info("%s", shell.quoted(["docker", "exec", "-i", container.name, *command]))
        api = self.client.api
        made = api.exec_create(container.id, list(command), stdin=bool(stdin))["Id"]
        stream = ExecStream(api.exec_start(made, socket=True))
        try:
            if stdin:
                stream.send(stdin)
                stream.end()
            out, err = stream.all()
        finally:
            stream.close()
        status = self._exit_code(node, made)
        completed = Completed(tuple(command), status, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and status:
            raise CommandFailed(command, status, completed.output, node)
        return completed

    def _exit_code(self, node: str, made: str) -> int:
        """With what status a command ended: its output may end a moment earlier, and with its node it never ends."""
        inspect = self.client.api.exec_inspect
        try:
            code = waiting.until(
                lambda: inspect(made)["ExitCode"], EXIT_SECONDS, "an exit code", good=lambda code: code is not None
            )
        except DeadlinePassed as late:
            raise NodeFailed(node, "ended while it ran a command", "see `invoke logs`") from late
        return int(code)

    @in_a_line
    def open(self, project: str, node: str, command: Sequence[str]) -> Stream:
        """As `Engine.open`."""
        container = containers.one(self.client, project, node)
        shell.log.info("%s", shell.quoted(["docker", "exec", "-i", container.name, *command[:2], "..."]))
        api = self.client.api
        made = api.exec_create(container.id, list(command), stdin=True)["Id"]
        return ExecStream(api.exec_start(made, socket=True))

    @in_a_line
    def terminal(self, project: str, node: str, command: Sequence[str]) -> Sequence[str]:
        """As `Engine.terminal`."""
        container = containers.one(self.client, project, node)
        flags = ["-it"] if os.isatty(0) and os.isatty(1) else ["-i"]
        return ["docker", "exec", *flags, container.name, *command]

    @in_a_line
    def follow(self, project: str, node: str) -> Sequence[str]:
        """As `Engine.follow`."""
        return ["docker", "logs", "--follow", containers.one(self.client, project, node).name]

    @in_a_line
    def log(self, project: str, node: str, since: str = "") -> str:
        """As `Engine.log`."""
        return containers.log(self.client, containers.one(self.client, project, node), since)

    @in_a_line
    def mark(self, project: str, node: str) -> str:
        """As `Engine.mark`: the time of the last line, by the engine's clock."""
        return containers.end_of_log(self.client, containers.one(self.client, project, node))

    @in_a_line
    def describe(self) -> Mapping[str, str]:
        """As `Engine.describe`."""
        info = self.client.info()
        return {"engine": f"Docker {info['ServerVersion']}", "kernel": str(info["KernelVersion"])}

    @in_a_line
    def renew(self, plan: Plan, node: str) -> None:
        """As `Engine.renew`: the override stays, and with it the underlay."""
        _until_mac_is_free(lambda: self.compose_up(plan.project, _files(plan), "--no-deps", node))

    def machine(self, command: Sequence[str]) -> Completed:
        """As `Engine.machine`: in a short-lived container, since the engine may be on another machine."""
        try:
            output: bytes = self.client.containers.run(
                self._own_image(),
                command=list(command[1:]),
                entrypoint=[command[0]],
                network_mode="host",
                cap_drop=["ALL"],
                remove=True,
            )
        except DockerException as refused:
            raise CommandFailed(command, None, str(refused), "the engine's machine") from refused
        return Completed(tuple(command), 0, output.decode(errors="replace"), "")

    @in_a_line
    def devices(self, project: str) -> Collection[str]:
        """As `Engine.devices`: parents and bridges, ours or those that Docker named after their networks."""
        networks = self.client.networks.list(filters={"label": f"{PROJECT}={project}"})
        found: set[str] = set()
        for network in networks:
            options = network.attrs.get("Options") or {}
            found.update(str(options[key]) for key in links.OPTIONS & options.keys())
            found.update(f"{kind}-{str(network.id)[:ID_IN_NAME]}" for kind in ("br", "dm", "di"))
        return found

    @in_a_line
    def restart(self, project: str, node: str) -> None:
        """As `Engine.restart`."""
        container = self.client.containers.get(containers.one(self.client, project, node).id)
        if container.status == "running":
            container.kill()
            container.wait()
        _until_mac_is_free(container.start)

    @in_a_line
    def usage(self, project: str) -> Usage:
        """As `Engine.usage`: what the kernel has counted for each container's cgroup, its page cache included."""
        nodes = [container.node for container in containers.of(self.client, project)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            said = list(pool.map(lambda node: self.run(project, node, cgroups.LOOK, check=False).output, nodes))
        return cgroups.total(dict(zip(nodes, said, strict=True)))

    def _explained(self, plan: Plan, failed: CommandFailed) -> TunnelbedError:
        """What Compose's complaint means: of itself, or of a node that has ended."""
        if meant := complaints.meaning(plan, failed):
            return meant
        for container in containers.of(self.client, plan.project):
            if container.state == "exited":
                return NodeFailed(
                    container.node, containers.last_lines(self.client, container, 5), "correct its configuration"
                )
        return complaints.shortened(failed)

    def _own_image(self) -> str:
        """Any image of ours for the engine's own platform: what a helper needs of it, all have."""
        # To have all of them listed takes ten times as long as to ask for the likeliest.
        if self._has(likeliest := node_image()):
            return likeliest
        for image in self.client.api.images(name="tunnelbed/node"):
            for tag in image["RepoTags"] or ():
                if _NATIVE_TAG.fullmatch(tag):
                    return str(tag)
        raise EngineUnavailable("there is no node image; build it with `invoke build`")

    def _has(self, tag: str) -> bool:
        """Whether the engine has an image of that tag."""
        return bool(self._id(tag))

    def _id(self, tag: str) -> str:
        """The ID of the image that has that tag now; empty where none has."""
        try:
            return str(self.client.images.get(tag).id)
        except NotFound:
            return ""
        except (DockerException, OSError) as refused:
            raise EngineUnavailable(
                f"the Docker engine does not list its images: {refused}; see `docker images`"
            ) from refused

    def subnets(self) -> Mapping[IPv4Network, str]:
        """The subnets out of which Docker hands out addresses, and for which networks.

        One without IPAM (driver `null`, as Kathara's networks have it) lists 0.0.0.0/0, and hands out none.
        """
        found = {}
        for network in self.client.networks.list():
            ipam = network.attrs.get("IPAM") or {}
            for pool in (ipam.get("Config") or ()) if ipam.get("Driver") != "null" else ():
                with contextlib.suppress(KeyError, ValueError):  # no subnet, or one of IPv6
                    found[IPv4Network(pool["Subnet"])] = f"Docker's network {network.name}"
        return found


# `images.node_image` without a platform at its end.
_NATIVE_TAG = re.compile(r"tunnelbed/node:[0-9a-f]{12}")


def _until_mac_is_free(start: Callable[[], object]) -> None:
    """Start a container whose MACs the kernel may not have given back yet.

    A MACVLAN link outlives its network namespace for some milliseconds, and its parent allows no MAC twice.
    """

    def attempt() -> bool:
        try:
            start()
        except (APIError, CommandFailed) as refused:
            if "already in use" not in str(refused):
                raise
            return False
        return True

    waiting.until(attempt, MAC_SECONDS, "the node's MAC to be free")


def _files(plan: Plan) -> Sequence[Path]:
    """A testbed's Compose files: the stack, its overlay if it has one, and the override."""
    overlay = [plan.scenario.overlay] if plan.scenario.overlay else []
    return [plan.scenario.stack, *overlay, plan.state / "override.yaml"]
