"""Virtual networks among containers, and the proof of what they do.

The library in rooms. A room knows only those above it in this list; tests/test_layers.py holds it to that.

    errors                   what can go wrong
    host/                    this machine: its commands, signals and clock; waiting for a condition
    topology/                the stack as Compose reads it: networks, nodes, their names; scaffolds
    engines/                 what runs nodes: docker/, qemu/, their images, and the conversation with a node
    observe/                 packets, probes, recordings, captures, the kernel's firewall trace
    vpn/                     the seam for VPNs, a folder for each of them; keys and certificates
    testbed/                 one scenario on one engine: up, down, status, options, readiness, verification
    checks/                  every verdict: reachability, confidentiality, firewalls, layer 2, packet traces ...
    faults/                  what is broken on purpose, and undone: links, nodes, credentials, attacks
    report/                  what people look at: drawings, reports, the terminal
    mutation/ bench/         mistakes that features must notice; measurements

Outside it: `steps/` turns sentences into calls of checks and faults, `environment.py` is behave's hooks, `tasks.py` the
command line, `scripts/node/` what runs inside a node.
"""

__version__ = "0.1.0"
