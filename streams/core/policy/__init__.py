"""The policy: its file format, what it means, what is wrong with it, how two of them differ."""
