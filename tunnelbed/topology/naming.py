"""How a sentence calls nodes and networks, and which they are.

- `client A1`, `client-a1`: the node client-a1
- `the server`, `the Internet`: the only node of that role
- `every client of site B`: all nodes of a role, of a site or anywhere
- `the ISP link of site A`: the network with that role and site; also by its name, `isp_link_a`
- `any ISP link`: all networks of a role
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from tunnelbed.errors import BadInput
from tunnelbed.topology.model import Network, Node, Scenario

# For the matcher of phrases: as little as possible, up to the phrase's next word.
NODE = r"(?:the )?[A-Za-z][\w.-]*(?: [A-Z0-9][A-Za-z0-9]*)?"
NODES = rf"every [a-z]+(?: of site [A-Za-z0-9]+)?|{NODE}"
LINK = r"(?:the|any|every) [A-Za-z]+(?: link)?(?: of (?:site|cloud) [A-Za-z0-9]+)?|[a-z][a-z0-9_]+"


def node(scenario: Scenario, said: str) -> Node:
    """The node a sentence means; `BadInput` lists those there are."""
    plain = said.removeprefix("the ")
    by_name = {name.casefold(): found for name, found in scenario.nodes.items()}
    if found := by_name.get(re.sub(r"\s+", "-", plain.casefold())):
        return found
    of_role = scenario.having(role=plain.casefold())
    if len(of_role) == 1:
        return of_role[0]
    known = ", ".join(scenario.nodes)
    expected = f"one node; {plain} is the role of {len(of_role)}" if of_role else f"a node: {known}"
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
    match = re.fullmatch(r"every (?P<role>[a-z]+?)s?(?: of site (?P<site>\w+))?", said)
    if not match:
        return [node(scenario, said)]
    if match["site"]:
        site(scenario, match["site"])
    role = "" if match["role"] == "node" else match["role"]
    found = scenario.having(role=role, site=(match["site"] or "").casefold())
    if not found:
        roles = ", ".join(sorted({found.role for found in scenario.nodes.values() if found.role}))
        raise BadInput(scenario.name, "", repr(said), f"a role that some node has: {roles}", "correct the sentence")
    return found


def networks(scenario: Scenario, said: str) -> Sequence[Network]:
    """The networks a sentence means, at least one."""
    if said in scenario.networks:
        return [scenario.networks[said]]
    match = re.fullmatch(r"(?:the|any|every) (?P<role>.+?)(?: of (?:site|cloud) (?P<site>\w+))?", said)
    role = match["role"].casefold().replace(" ", "_") if match else ""
    wanted = (match["site"] or "").casefold() if match else ""
    found = [
        network
        for network in scenario.networks.values()
        if network.role == role and (not wanted or network.site == wanted)
    ]
    if not found:
        known = ", ".join(f"{network.name} ({network.role or 'no role'})" for network in scenario.networks.values())
        raise BadInput(scenario.name, "", repr(said), f"one of: {known}", "name a network, or its role and site")
    return found


def site(scenario: Scenario, said: str) -> str:
    """The site a sentence means."""
    name = said.casefold()
    if name not in scenario.sites:
        listed = ", ".join(found.upper() for found in scenario.sites)
        raise BadInput(scenario.name, "", f"site {said}", f"one of: {listed}", "correct the sentence")
    return name
