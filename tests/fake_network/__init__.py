"""A network without an engine: nodes that forward, filter, translate and seal, and speak the agent's own protocol.

    network = FakeNetwork(scenario)            # an engine: its nodes are what the stack and configs/ say
    bed = Testbed(scenario, root, network)
    with waiting.measured_by(network.clock):   # time passes only where somebody waits
        ...                                    # any verdict, as on a testbed that is up

Packets are computed in this process, one after another, so that a verdict takes milliseconds and is the same each
time. What a node has besides (rules, routes, addresses), a test changes by the commands that a person would type:
`network.run(project, "router", ["sh", "-ec", "nft 'insert rule ip filter output drop'"])`. A command that the fake does
not know is an error, never an empty answer.

It stands in tests/, not in the library: it knows the words of every tool on a node (nft, ip, swanctl), and no room of
the library may know them all.
"""

from __future__ import annotations

from tests.fake_network.network import FakeNetwork

__all__ = ["FakeNetwork"]
