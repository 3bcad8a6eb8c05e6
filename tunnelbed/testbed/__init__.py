"""One scenario on one engine: up, down, status, options, readiness, a run of its sentences."""
