"""How long scenarios take and what they cost, on any engine, against plain Compose in the same run.

A measurement is what a person types, from start to end. Only ratios of one run compare across machines.
"""
