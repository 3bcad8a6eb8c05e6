"""Virtual networks among containers, and the proof of what they do."""

__version__ = "0.1.0"
