"""Faust programs as one would write them, each with one known trap (E1 to E9), and the job that springs the same on ours.

All read one topic with one partition and ``FACTS`` facts; each says which it has handled.
"""

FACTS = 12
