"""Executors: commands become calls, each effect once (design section 5, rules 4 and 5).

``executor.Executor`` is the role. ``window`` (which command next), ``trying`` (what a verdict means) and ``settlement``
(what is said about it) are pure; ``attempts`` and ``outcomes`` are its two ways to write; ``engine`` makes the calls.
"""
