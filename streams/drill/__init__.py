"""Drills: a running Lockstep put under seeded faults, and judged by what the vendors and the topics recorded."""
