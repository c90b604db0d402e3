"""What the demo says it has proven, in words that need no knowledge of how Lockstep works."""

from __future__ import annotations


def opened(alerts: int, tickets: int, latency: str) -> str:
    """Alerts became tickets; ``latency`` says how fast."""
    return (
        f"{alerts} alerts were raised in NinjaOne and {tickets} tickets opened in Autotask, one for each, "
        f"with the queue and priority that one of two rules chose; {latency}"
    )


def redelivered(alerts: int, written: int, doubled: int) -> str:
    """NinjaOne's webhooks came again, in reverse order and twice; ``written`` calls to either vendor changed anything."""
    came = f"NinjaOne's last 20 webhooks came again in reverse order, and those of {alerts} new alerts twice each"
    if written == alerts:
        wrote = f"that changed nothing: one call for each of the {alerts} new tickets, and no other write"
    else:
        wrote = f"{written} calls wrote something where {alerts} new tickets need one each"
    return f"{came}; {wrote}, {_doubled(doubled)}"


def after_a_kill(alerts: int, doubled: int, seconds: float) -> str:
    """The burst in whose middle a worker was killed is through."""
    return (
        f"all {alerts} alerts have their ticket all the same, {_doubled(doubled)}; {seconds:.1f} s after the last alert"
    )


def _doubled(count: int) -> str:
    return "and no ticket was opened twice" if count == 0 else f"but {count} tickets were opened twice"
