"""The machine that we run on: its commands and signals, its clock, and how long to wait for what it runs."""
