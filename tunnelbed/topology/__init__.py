"""The stack as Compose reads it: networks, nodes, names, and what a scenario's files say."""
