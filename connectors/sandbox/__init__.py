"""Simulators of the two vendors on loopback, faithful to the reference pages; Lockstep's own tests and demo use them."""
