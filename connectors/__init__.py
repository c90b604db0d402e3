"""Speak HTTP with the two vendors and publish what they say: auth, paging, limits, errors as data, pollers, the
webhook receiver, and the two sandboxes. Knows ``schemas`` only; everything else comes in through ``connectors.ports``.
"""
