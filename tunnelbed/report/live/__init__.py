"""A page on loopback that shows a testbed while it runs: `invoke show`."""
