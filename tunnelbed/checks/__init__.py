"""The verdicts of sentences: reachability, confidentiality, firewalls, tunnels, nodes."""
