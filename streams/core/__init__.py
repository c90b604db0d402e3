"""The functional core: facts in, decisions and commands out. No clock, no randomness, no I/O, no logging, no Faust."""
