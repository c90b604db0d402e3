"""``lockstep resync`` and ``reconcile``: both vendors read anew beside the log, and what follows from that."""
