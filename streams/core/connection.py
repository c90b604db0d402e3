"""The health of one connection as an event-sourced state machine (design section 6). Pure: time comes as an argument.

    NotConnected | Unhealthy -> Healthy     by a successful test only, which begins a new epoch
    Healthy <-> Degraded                    time-outs, 5xx, overload pages; and calls that work again
    Healthy | Degraded -> Unhealthy         these credentials do not work
    any -> NotConnected                     disconnected by an operator, which begins a new epoch as well

Several processes publish what they see, in one order (the topic has one partition). ``evolve`` is the judge: what does
not follow from the state at its place in that order, or speaks of an epoch that is over, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.facts import ConnectionChanged, ConnectionName, ConnectionState

DISPLAY: dict[ConnectionName, str] = {"ninjaone": "NinjaOne", "autotask": "Autotask"}
CONNECTIONS: tuple[ConnectionName, ...] = ("ninjaone", "autotask")

#: One lost packet is no trouble; three calls in a row are, or ten seconds without one that worked.
TROUBLES_IN_A_ROW = 3
TROUBLED_FOR_MS = 10_000
#: The way back is slower than the way down: several processes see different luck, and the state must not flicker.
WORKED_IN_A_ROW = 3
DEGRADED_AT_LEAST_MS = 10_000

_MAY_BECOME: dict[ConnectionState, tuple[ConnectionState, ...]] = {
    "NotConnected": (),
    "Healthy": ("Degraded", "Unhealthy"),
    "Degraded": ("Healthy", "Unhealthy"),
    "Unhealthy": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a connection stands. ``since`` is when this state began (epoch ms; 0: never anything else).

    ``credentials`` is the salted digest of those that were tested last; calls with others must wait for their test.
    """

    name: ConnectionName
    state: ConnectionState = "NotConnected"
    reason: str = "never tested"
    since: int = 0
    epoch: int = 0
    credentials: str = ""
    by: str = ""

    @property
    def open(self) -> bool:
        """Whether calls may go out."""
        return self.state in ("Healthy", "Degraded")


def accepts(connection: Connection, change: ConnectionChanged) -> bool:
    """Whether the change follows from this state."""
    if change.connection != connection.name or change.epoch < connection.epoch:
        return False
    if change.epoch > connection.epoch:
        # Only what an operator (or the one test of new credentials) did begins an epoch.
        return change.epoch == connection.epoch + 1 and change.state in ("Healthy", "NotConnected")
    if change.state == connection.state:
        # The same state for a newer reason: a further test that failed.
        return change.state in ("NotConnected", "Unhealthy")
    return change.state in _MAY_BECOME[connection.state]


def evolve(connection: Connection, change: ConnectionChanged) -> Connection:
    """The state after the change; the same state where it does not follow."""
    if not accepts(connection, change):
        return connection
    lasting = change.state == connection.state and change.epoch == connection.epoch
    return replace(
        connection,
        state=change.state,
        reason=change.reason,
        since=connection.since if lasting and connection.since else change.changed_at,
        epoch=change.epoch,
        credentials=change.credentials,
        by=change.by,
    )


def passed(connection: Connection, *, credentials: str, at: int, by: str) -> ConnectionChanged:
    """A test succeeded with these credentials: Healthy, in a new epoch, whatever was before."""
    reason = "Connection succeeded with provided credentials."
    return _change(connection, "Healthy", reason, at, by, epoch=connection.epoch + 1, credentials=credentials)


def failed(connection: Connection, *, reason: str, credentials: str, at: int, by: str) -> ConnectionChanged:
    """A test was refused. What stands is Unhealthy; what never stood keeps its state and shows the reason."""
    state: ConnectionState = "NotConnected" if connection.state == "NotConnected" else "Unhealthy"
    return _change(connection, state, reason, at, by, credentials=credentials)


def refused(connection: Connection, *, reason: str, epoch: int, at: int, by: str) -> ConnectionChanged | None:
    """A call learned that the credentials do not work. ``None``: seen in an epoch that is over, or known already."""
    if epoch != connection.epoch or not connection.open:
        return None
    return _change(connection, "Unhealthy", reason, at, by)


def degraded(connection: Connection, *, reason: str, at: int, by: str) -> ConnectionChanged | None:
    """Calls fail in ways that are not about credentials. ``None`` unless Healthy."""
    return _change(connection, "Degraded", reason, at, by) if connection.state == "Healthy" else None


def recovered(connection: Connection, *, at: int, by: str) -> ConnectionChanged | None:
    """Calls work again. ``None`` unless Degraded, and long enough so."""
    if connection.state != "Degraded" or at - connection.since < DEGRADED_AT_LEAST_MS:
        return None
    return _change(connection, "Healthy", "calls work again", at, by)


def disconnected(connection: Connection, *, reason: str, at: int, by: str) -> ConnectionChanged | None:
    """An operator took the credentials away. ``None`` where nothing was connected.

    Their digest stays: where they still come from the environment, they must not be tested anew by themselves.
    """
    if connection.state == "NotConnected":
        return None
    return _change(connection, "NotConnected", reason, at, by, epoch=connection.epoch + 1)


def _change(
    connection: Connection,
    state: ConnectionState,
    reason: str,
    at: int,
    by: str,
    *,
    epoch: int | None = None,
    credentials: str | None = None,
) -> ConnectionChanged:
    return ConnectionChanged(
        connection=connection.name,
        previous=connection.state,
        state=state,
        reason=reason,
        epoch=connection.epoch if epoch is None else epoch,
        credentials=connection.credentials if credentials is None else credentials,
        changed_at=at,
        by=by,
    )


@dataclass(frozen=True, slots=True)
class Strain:
    """What one process saw of a connection lately: troubles in a row since when, or calls that worked in a row."""

    troubles: int = 0
    troubled_since: int | None = None
    worked: int = 0

    def trouble(self, at: int) -> Strain:
        """After one more call in trouble."""
        return Strain(self.troubles + 1, at if self.troubled_since is None else self.troubled_since, 0)

    def work(self) -> Strain:
        """After one more call that worked."""
        return Strain(0, None, self.worked + 1)

    def is_degraded(self, at: int) -> bool:
        """Whether this is more than bad luck."""
        lasting = self.troubled_since is not None and at - self.troubled_since >= TROUBLED_FOR_MS
        return self.troubles >= TROUBLES_IN_A_ROW or lasting

    def is_recovered(self) -> bool:
        """Whether enough calls in a row worked."""
        return self.worked >= WORKED_IN_A_ROW
