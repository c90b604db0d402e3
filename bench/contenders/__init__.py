"""The same job done in several ways, each a process of its own (``python -m bench.contenders.<name>``)."""
