"""A working scenario to begin from: two gateways, two hosts, one tunnel; a cloud and its sites; or remote access.

Each with the features that prove it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunnelbed.errors import BadInput
from tunnelbed.topology.scaffold import hub, remote
from tunnelbed.topology.scaffold.templates import filled

AUTHENTICATIONS = ("certificates", "psk")
ENDS = {"a": "192.0.2.1", "b": "192.0.2.2"}
SECRETS = 'secrets {{\n    ike-peer {{\n        id = {peer}\n        secret = "{secret}"\n    }}\n}}\n'
SITES = {"a": "10.1.0.0/24", "b": "10.2.0.0/24"}


def make(name: str, root: Path, authentication: str = "certificates", sites: int = 0, laptops: int = 0) -> list[Path]:
    """Write the scenario `name` below `root`, which need not exist; the files written.

    With `sites`, so many around a cloud (`hub`); with `laptops`, so many behind a NAT (`remote`). Raises `BadInput` for
    a name that cannot be one or is taken, and for what cannot be made; nothing is written then.
    """
    if not re.fullmatch(r"[a-z](?:-?[a-z0-9]){0,30}", name):
        raise BadInput("NAME", "", repr(name), "a lower-case letter, then letters, digits, single -", "choose another")
    if authentication not in AUTHENTICATIONS:
        raise BadInput(
            "--auth", "", repr(authentication), f"one of: {', '.join(AUTHENTICATIONS)}", "choose one of them"
        )
    size = "--sites" if sites else "--laptops"
    if (sites or laptops) and authentication != "certificates":
        raise BadInput("--auth", "", authentication, f"certificates, with {size}", "omit one of them")
    if sites and laptops:
        raise BadInput("--laptops", "", laptops, "none, with --sites", "omit one of them")
    made = _files(name, authentication)
    if sites:
        made = hub.files(name, sites)
    elif laptops:
        made = remote.files(name, laptops)
    files = {root / path: text for path, text in made}
    if taken := next((path for path in files if path.exists()), None):
        raise BadInput(str(taken), "", "a file", f"no scenario {name} yet", "choose another name or remove it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


def _files(name: str, authentication: str) -> Iterator[tuple[str, str]]:
    """Each file's path below the root, and its text."""
    configs = f"configs/{name}"
    yield f"compose/{name}.yaml", filled("compose.yaml", {"name": name})
    yield f"features/{name}/proof.feature", filled("proof.feature", {"name": name})
    if authentication == "certificates":
        yield f"{configs}/pki.yaml", filled("pki.yaml", {"name": name})
    # One secret for both ends; a testbed's, and nobody else's.
    secret = secrets.token_urlsafe(24)
    for site, other in (("a", "b"), ("b", "a")):
        said = {
            "name": name,
            "site": site,
            "SITE": site.upper(),
            "own": ENDS[site],
            "peer": ENDS[other],
            "here": SITES[site],
            "there": SITES[other],
            **_authentication(name, site, other, authentication, secret),
        }
        for file in ("swanctl.conf", "nftables.conf", "ip.batch"):
            yield f"{configs}/gateway-{site}/{file}", filled(f"gateway/{file}", said)
        gateway = SITES[site].replace("0/24", "1")
        yield f"{configs}/host-{site}/ip.batch", f"route replace default via {gateway}\n"


def _authentication(name: str, site: str, other: str, how: str, secret: str) -> Mapping[str, str]:
    """The parts of swanctl.conf that say who believes whom, and why."""
    if how == "psk":
        return {
            "local_auth": f"auth = psk\n            id = {ENDS[site]}",
            "remote_auth": f"auth = psk\n            id = {ENDS[other]}",
            "secrets": SECRETS.format(peer=ENDS[other], secret=secret),
        }
    subject = f'"O={name}, CN=Gateway {{}}"'
    return {
        "local_auth": f"auth = pubkey\n            certs = gateway-{site}.pem\n"
        f"            id = {subject.format(site.upper())}",
        "remote_auth": f"auth = pubkey\n            cacerts = root.pem\n            revocation = strict\n"
        f"            id = {subject.format(other.upper())}",
        "secrets": "",
    }
