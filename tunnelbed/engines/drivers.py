"""Which drivers of Docker's networks can carry a scenario.

IPVLAN gives all nodes of a network one MAC, its parent's. The kernel then hands a frame to the node that has the
packet's destination *address*, whatever the MAC (drivers/net/ipvlan/ipvlan_core.c, `ipvlan_xmit_mode_l2`); one for
somewhere else goes to the machine. So a node there can have neighbours, and be no gateway for them.
"""

from __future__ import annotations

from tunnelbed.engines import Plan
from tunnelbed.errors import BadInput

DRIVERS = ("macvlan", "bridge", "ipvlan")


def check(plan: Plan) -> None:
    """See that a plan's driver is one of them, and one by which its nodes reach each other. Raises `BadInput`."""
    if plan.driver and plan.driver not in DRIVERS:
        raise BadInput("--driver", "", repr(plan.driver), f"one of: {', '.join(DRIVERS)}", "choose one of them")
    between = [node.name for node in plan.scenario.nodes.values() if len(node.attachments) > 1]
    if plan.driver == "ipvlan" and between:
        reason = f"{between[0]} stands between networks, and with IPVLAN no node can pass on what its neighbours send"
        raise BadInput("--driver", "", "ipvlan", "macvlan or bridge", reason)


def named(plan: Plan) -> str:
    """A plan's driver as a person reads of it."""
    return (plan.driver or DRIVERS[0]).upper()
