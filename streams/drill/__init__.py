"""Drills: faults on purpose, on a running system, and what came of them."""
