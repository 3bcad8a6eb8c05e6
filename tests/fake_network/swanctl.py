"""swanctl on a fake node: what only it does, reading files; whatever else is asked of charon, vici is asked."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fake_network.charon import FakeCharon


def run(charon: FakeCharon, words: Sequence[str]) -> str:
    """What swanctl prints, which is nothing. Raises `ValueError` where it ends with an error."""
    if not charon.answers:
        raise ValueError("loading: connecting to 'unix:///run/charon.vici' failed: Connection refused")
    told = dict(zip(words[1::2], words[2::2], strict=False))
    match words[0]:
        case "--load-conns":
            charon.load(told.get("--file", charon.own))
        case "--initiate":
            charon.initiate(told["--ike"], told["--child"])
        case "--load-creds" | "--flush-certs" | "--reload-settings":
            pass
        case _:
            raise ValueError(f"swanctl {words}")
    return ""
