"""``lockstep doctor``: one look at the whole installation. Changes nothing, and calls no vendor unless it is asked to."""
