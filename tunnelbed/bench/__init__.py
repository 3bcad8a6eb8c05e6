"""How long scenarios take and what they cost, on any engine, against plain Compose in the same run.

A measurement is what a person types, from start to end. Only ratios of one run compare across machines.
"""

# The VMs of engine qemu that are measured, in MB and processors: the paper's, and what the engine gives by itself.
VMS = "512x2,192x1"
