"""``lockstep drill``: a whole installation under load and under faults by seed, and what it lost or doubled: nothing."""
