"""Which decisions this build makes. Every audit record names the number, so that a later build knows what it can decide again.

Raise it with any change after which a recorded fact is decided otherwise, or in other words: other changes, reasons, commands or state for the
same fact. ``tests/core/test_decision_version.py`` notices such a change. Records of another number are not judged by this
build's decisions: their chain is, and the state follows what they recorded (``streams.core.verify``).
"""

from __future__ import annotations

#: The version of the decisions. Records without one are from before it was named, and are judged as if they were of this.
DECISIONS = 1
