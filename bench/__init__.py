"""Benchmarks on the real embedded broker, and the harness that the kafka tests share with them."""
