"""What a shadow reports: each alert as Lockstep decided it, beside what another connector did. Pure."""
