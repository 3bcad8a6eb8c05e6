"""swanctl on a fake node: what a fake charon is told, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.fake_network import report
from tests.fake_network.charon import FakeCharon


def run(charon: FakeCharon, words: Sequence[str]) -> str:
    """What swanctl prints. Raises `ValueError` where it ends with an error."""
    if not charon.answers:
        raise ValueError("loading: connecting to 'unix:///run/charon.vici' failed: Connection refused")
    told = dict(zip(words[1::2], words[2::2], strict=False))
    match words[0]:
        case "--list-sas":
            return "\n".join(
                [*(f"list-sa event {{{_text(one)}}}" for one in report.tunnels(charon)), "list-sas reply {}\n"]
            )
        case "--list-conns":
            return "\n".join(
                [*(f"list-conn event {{{_text(one)}}}" for one in report.connections(charon)), "list-conns reply {}\n"]
            )
        case "--load-conns":
            charon.load(told.get("--file", charon.own))
        case "--terminate":
            charon.terminate(int(told["--ike-id"]))
        case "--initiate":
            charon.initiate(told["--ike"], told["--child"])
        case "--rekey":
            layer = "IKE" if "--ike-id" in told else "ESP"
            charon.rekey(int(told.get("--ike-id") or told["--child-id"]), layer)
        case "--load-creds" | "--flush-certs" | "--reload-settings":
            pass
        case _:
            raise ValueError(f"swanctl {words}")
    return ""


def _text(said: Mapping[str, object]) -> str:
    """A message as `--raw` prints it."""
    found = []
    for key, value in said.items():
        if isinstance(value, Mapping):
            found.append(f"{key} {{{_text(value)}}}")
        elif isinstance(value, list):
            found.append(f"{key}=[{' '.join(value)}]")
        else:
            found.append(f"{key}={value}")
    return " ".join(found)
