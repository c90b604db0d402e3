"""Shadow mode: what Lockstep would do is predicted without a write, and what another connector does is watched."""
