"""The stack as Compose reads it: networks, nodes, names, and the files of a scenario."""
