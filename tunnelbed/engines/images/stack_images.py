"""Images that a stack builds itself (`build:`), made by Compose.

A Dockerfile there may begin `FROM tunnelbed/node`: that is this checkout's node image, which no registry has. Its steps
use the machine's own network, as those of the node image do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from tunnelbed.engines.images.bake import Progress
from tunnelbed.errors import BadInput, CommandFailed
from tunnelbed.host import shell
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import Node, Scenario

BASE = "tunnelbed/node"


def build(scenario: Scenario, file: Path, base: str, platform: str, progress: Progress) -> None:
    """Build the images of the nodes that have `build:`; `base` is the node image's tag, `file` is written for Compose.

    Raises `BadInput` with the last complaint of a build that fails.
    """
    nodes = [node for node in scenario.nodes.values() if node.build]
    progress(f"building the images of {', '.join(node.name for node in nodes)}")
    file.write_text(render(nodes, base, platform), encoding="utf-8")
    files = [scenario.stack, *([scenario.overlay] if scenario.overlay else []), file]
    chosen = [word for one in files for word in ("-f", str(one))]
    names = [node.name for node in nodes]
    try:
        # Attestations say when an image was built: the same image would be another each time.
        words = ["docker", "compose", "--progress", "plain", "-p", scenario.name, *chosen, "build", *names]
        shell.run(words, env={"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})
    except CommandFailed as failed:
        lines = [line.strip() for line in failed.output.splitlines() if line.strip()]
        wrong = [line for line in lines if "ERROR" in line or "failed to" in line] or lines or ["no output"]
        key = f"services.{names[0]}.build" if len(names) == 1 else "services"
        stack = yaml_sections.shorten(scenario.stack)
        raise BadInput(stack, key, f"`{wrong[-1]}`", "a build that succeeds", "correct it") from failed


def render(nodes: Sequence[Node], base: str, platform: str) -> str:
    """What fits the builds of a stack to this machine, as a Compose file."""
    services = {
        node.name: {
            "image": node.image,
            **({"platform": platform} if platform else {}),
            "build": {"network": "host", "additional_contexts": {BASE: f"docker-image://{base}"}},
        }
        for node in nodes
    }
    return yaml.safe_dump({"services": services}, sort_keys=False, width=120)
