"""How a sentence calls nodes and networks, and which they are.

- `client A1`, `client-a1`: the node client-a1, however it is written there (`Client_A1`)
- `the server`, `the Internet`: the only node of that role
- `every client of site B`: all nodes of a role, of a site or anywhere
- `the ISP link of site A`: the network with that role and site; also by its name, `isp_link_a`
- `any ISP link`: all networks of a role

Whatever Compose lets a stack call a service or a network (letters, digits, `.`, `_` and `-`), a sentence can say.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence

from tunnelbed.errors import BadInput
from tunnelbed.topology.model import Network, Node, Scenario

# A name as Compose allows it, and no IPv4 address, which other phrases are about.
NAME = r"(?!\d+(?:\.\d+){3}(?![\w.-]))[A-Za-z0-9._-]+"
# For the matcher of phrases: as little as possible, up to the phrase's next word.
NODE = rf"(?:the )?{NAME}(?: [A-Z0-9][A-Za-z0-9]*)?"
NODES = rf"every {NAME}(?: of site {NAME})?|{NODE}"
LINK = rf"(?:the|any|every) {NAME}(?: link)?(?: of (?:site|cloud) {NAME})?|{NAME}"


def node(scenario: Scenario, said: str) -> Node:
    """The node a sentence means; `BadInput` lists those there are."""
    plain = said.removeprefix("the ")
    for name in (said, plain):
        if name in scenario.nodes:
            return scenario.nodes[name]
    alike = [found for name, found in scenario.nodes.items() if _key(name) == _key(plain)]
    if len(alike) == 1:
        return alike[0]
    of_role = [found for found in scenario.nodes.values() if found.role and _key(found.role) == _key(plain)]
    if not alike and len(of_role) == 1:
        return of_role[0]
    if alike:
        expected = f"one node; {' and '.join(found.name for found in alike)} have that name"
    elif of_role:
        expected = f"one node; {plain} is the role of {len(of_role)}"
    else:
        expected = f"a node: {', '.join(scenario.nodes)}"
    raise BadInput(scenario.name, "", repr(said), expected, "name one, as in `client A1` or `client-a1`")


def spoken(scenario: Scenario, found: Node) -> str:
    """How a sentence calls a node: `the server`, `client A1`, or by its bare name where nothing shorter means it."""
    word, _, number = found.name.partition("-")
    role = "Internet" if found.role == "internet" else found.role
    candidates = [f"the {role}"] if role and found.name.startswith(found.role) else []
    candidates += [f"{word} {number.upper()}"] if re.fullmatch(r"[a-z0-9]{1,3}", number) else []
    candidates += [f"the {word}"] if not number else []
    for said in candidates:
        with contextlib.suppress(BadInput):
            if re.fullmatch(NODE, said) and node(scenario, said) == found:
                return said
    return found.name


def nodes(scenario: Scenario, said: str) -> Sequence[Node]:
    """The nodes a sentence means, at least one."""
    match = re.fullmatch(rf"every (?P<role>{NAME})(?: of site (?P<site>{NAME}))?", said)
    if not match:
        return [node(scenario, said)]
    where = site(scenario, match["site"]) if match["site"] else ""
    of_site = scenario.having(site=where)
    if match["role"].lower() in ("node", "nodes"):
        return of_site
    for role in _singulars(match["role"].lower()):
        if found := [one for one in of_site if one.role == role]:
            return found
    roles = ", ".join(sorted({found.role for found in of_site if found.role}))
    raise BadInput(scenario.name, "", repr(said), f"the role of a node: {roles}", "correct the sentence")


def networks(scenario: Scenario, said: str) -> Sequence[Network]:
    """The networks a sentence means, at least one."""
    for name in (said, said.removeprefix("the ")):
        if name in scenario.networks:
            return [scenario.networks[name]]
    match = re.fullmatch(rf"(?:the|any|every) (?P<role>.+?)(?: of (?:site|cloud) (?P<site>{NAME}))?", said)
    role = _key(match["role"]) if match else ""
    wanted = (match["site"] or "").lower() if match else ""
    found = [
        network
        for network in scenario.networks.values()
        if role and _key(network.role) == role and (not wanted or network.site == wanted)
    ]
    if not found:
        known = ", ".join(f"{network.name} ({network.role or 'no role'})" for network in scenario.networks.values())
        raise BadInput(scenario.name, "", repr(said), f"one of: {known}", "name a network, or its role and site")
    return found


def site(scenario: Scenario, said: str) -> str:
    """The site a sentence means."""
    name = said.lower()
    if name not in scenario.sites:
        listed = ", ".join(found.upper() for found in scenario.sites)
        raise BadInput(scenario.name, "", f"site {said}", f"one of: {listed}", "correct the sentence")
    return name


def _key(said: str) -> str:
    """A name in one of the ways it may be written: `client A1`, `client-a1`, `Client_A1`."""
    return re.sub(r"[\s_-]+", "-", said.lower())


def _singulars(role: str) -> Iterable[str]:
    """A role as it may stand in a label: as it was said (`dns`), or without a plural's end (`clients`)."""
    return (role, role.removesuffix("s")) if role != "s" else (role,)
