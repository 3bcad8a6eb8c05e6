"""What is broken on purpose, and undone: links, nodes, credentials, attacks."""
