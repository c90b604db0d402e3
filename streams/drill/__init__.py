"""``lockstep drill``: a running Lockstep under load and faults by seed, judged by what vendors and topics recorded."""
