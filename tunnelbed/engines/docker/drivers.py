"""Which drivers of Docker's networks can carry a scenario.

IPVLAN gives all nodes of a network one MAC, its parent's. The kernel then hands a frame to the node that has the
packet's destination *address*, whatever the MAC (drivers/net/ipvlan/ipvlan_core.c, `ipvlan_xmit_mode_l2`); one for
somewhere else goes to the machine. So a node there can have neighbours, and be no gateway for them.
"""

from __future__ import annotations

from tunnelbed.engines import Plan
from tunnelbed.errors import BadInput
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.limits import DRIVERS
from tunnelbed.topology.model import Network


def of(plan: Plan, network: Network) -> str:
    """The driver of a network: `--driver`, or else the stack's, or else MACVLAN."""
    return plan.driver or network.driver or DRIVERS[0]


def check(plan: Plan) -> None:
    """See that a plan's drivers are known, and that its nodes reach each other by them. Raises `BadInput`."""
    if plan.driver and plan.driver not in DRIVERS:
        raise BadInput("--driver", "", repr(plan.driver), f"one of: {', '.join(DRIVERS)}", "choose one of them")
    between = [node for node in plan.scenario.nodes.values() if len(node.attachments) > 1]
    for node in between:
        for network in (plan.scenario.networks[at.network] for at in node.attachments):
            if of(plan, network) == "ipvlan":
                file = yaml_sections.shorten(plan.scenario.stack)
                where = ("--driver", "") if plan.driver else (file, f"networks.{network.name}.driver")
                reason = (
                    f"{node.name} stands between networks, and with IPVLAN no node can pass on what its neighbours send"
                )
                raise BadInput(*where, "ipvlan", "macvlan or bridge", reason)


def used(plan: Plan) -> tuple[str, ...]:
    """The drivers that a plan's networks need, in the order of `DRIVERS`."""
    found = {of(plan, network) for network in plan.scenario.networks.values()}
    return tuple(driver for driver in DRIVERS if driver in found)


def links(plan: Plan) -> dict[str, str]:
    """The kind of link of the machine's that each network needs: a bridge, or a parent (`veth`)."""
    return {
        name: "bridge" if of(plan, network) == "bridge" else "veth" for name, network in plan.scenario.networks.items()
    }


def named(plan: Plan) -> str:
    """A plan's drivers that need a parent, as a person reads of them."""
    return " and ".join(driver.upper() for driver in used(plan) if driver != "bridge")
