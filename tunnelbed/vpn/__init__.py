"""The VPNs that nodes run, and their keys."""
