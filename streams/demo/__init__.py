"""``lockstep demo``: the whole line on simulators and a real Kafka, told while it happens and counted by the simulators."""
