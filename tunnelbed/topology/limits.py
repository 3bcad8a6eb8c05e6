"""What a stack may ask for and a testbed does otherwise, and what no testbed can have.

A word that is neither here nor read elsewhere is Compose's business alone, and has its way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunnelbed.topology.yaml_sections import Section, shown

DRIVERS = ("macvlan", "bridge", "ipvlan")
# Words of a service that a testbed does otherwise: what is done, for a note.
OTHERWISE: Mapping[str, str] = {
    "ports": "no port is opened on this machine; nodes reach each other by their networks",
    "container_name": "containers are named after the testbed, so that copies can be up at the same time",
    "restart": "a node that ends stays ended, so that `up` reports it",
    "user": "a node starts as root, since it configures its interfaces",
    "logging": "each node's log is kept where `invoke logs` reads it",
}
# Words that would join a node to the machine or to containers outside: the value (None: any), and what is expected.
REFUSED: Mapping[str, tuple[str | None, str, str]] = {
    "network_mode": (None, "networks, in which the node has interfaces of its own", "attach it to networks instead"),
    "pid": ("host", "a node with processes of its own", "remove the line"),
    "ipc": ("host", "a node with memory of its own", "remove the line"),
    "uts": (None, "a node with a name of its own", "remove the line"),
    "external_links": (None, "nodes of this stack alone", "write a service for it"),
    "volumes_from": (None, "volumes of the node's own", "write them under `volumes`"),
}


def check_service(said: Section) -> Iterator[tuple[str, str]]:
    """The words of a service that are done otherwise, each with how; raises `BadInput` for what cannot be done."""
    for word, (value, expected, advice) in REFUSED.items():
        if (found := said.said.get(word)) and (value is None or found == value):
            raise said.bad(word, shown(found), expected, advice)
    _one_container(said)
    for word, what in OTHERWISE.items():
        if said.said.get(word) not in (None, [], {}, "no"):
            yield word, what
    depends = said.said.get("depends_on")
    conditions = depends.values() if isinstance(depends, Mapping) else ()
    asked = [how.get("condition") for how in conditions if isinstance(how, Mapping)]
    if "service_completed_successfully" in asked:
        expected = "nodes that run as long as the testbed"
        raise said.bad("depends_on", "service_completed_successfully", expected, "do that in the node's own command")
    if "service_healthy" in asked:
        yield "depends_on", "nodes start at the same time; `up` returns when every healthcheck passes"


def check_network(said: Section) -> Iterator[tuple[str, str]]:
    """The same of a network."""
    if said.said.get("external"):
        advice = "remove `external`, and give it a subnet"
        raise said.bad("external", "it", "a network of the testbed alone", advice)
    driver = said.said.get("driver")
    if driver not in (None, "", *DRIVERS):
        raise said.bad("driver", shown(driver), f"one of: {', '.join(DRIVERS)}, or none", "remove it for MACVLAN")
    if said.said.get("driver_opts"):
        yield "driver_opts", "not used; no network is joined to a device of this machine"
    pools = said.section("ipam").said.get("config")
    if isinstance(pools, list) and any(isinstance(pool, Mapping) and pool.get("gateway") for pool in pools):
        yield "ipam.config.gateway", "sets no route; put routes into the nodes' ip.batch"


def _one_container(said: Section) -> None:
    deploy = said.said.get("deploy")
    replicas = deploy.get("replicas") if isinstance(deploy, Mapping) else None
    for word, count in (("scale", said.said.get("scale")), ("deploy.replicas", replicas)):
        if count not in (None, 1):
            raise said.bad(word, count, "one container for each service", "write a service for each node")
