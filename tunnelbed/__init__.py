"""Virtual networks among containers, and the proof of what they do."""
