"""What the checker can find, by stable names, and the report that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Every kind of finding and what it means. The names are part of the interface: drills and their readers know them.
KINDS: Mapping[str, str] = {
    # Lost: something went in and did not come out.
    "LostAlert": "NinjaOne raised an alert that no fact ever told of",
    "LostFact": "a fact that concerns an agent has no decision in the audit",
    "LostCommand": "a decision names a command that is not in its topic",
    "LostHandoff": "a decision tells another agent something that never came to it",
    "MissingDeadLetter": "a record that nobody can decode is not among the dead letters",
    "MissingTicket": "a ticket was said to be opened, or is owed to an active alert, and is not there",
    "MissedClear": "an alert is over in NinjaOne and still active for us",
    "MissedClose": "every alert of a ticket is over, and the ticket is open",
    "MissedReset": "a ticket is complete, and its alert still active",
    "UnsettledCommand": "a command was never settled, and nothing says what it waits for",
    # Doubled: something came out more than once.
    "DoubledDecision": "a fact was decided twice",
    "DoubledDeadLetter": "an agent put a record among the dead letters twice",
    "DoubledCommand": "a command is in its topic twice",
    "DoubledHandoff": "what one decision told another agent stands twice in handoffs",
    "SettledTwice": "a command has two settlements that differ",
    "DoubledTicket": "an incident has two tickets, and no healing made it one",
    "TwoOpenTickets": "at some moment an incident had two open tickets, and no healing is recorded",
    "DoubledItem": "a device has two active configuration items",
    "NewInsteadOfReopened": "a condition came back in the time of its rule, and got a new ticket instead of its own",
    "CompletedTwice": "we completed a ticket that we had completed, with nothing between",
    "ResetTwice": "we reset an alert that we had reset, with nothing between",
    # Out of order.
    "GapInFacts": "offsets of facts are missing, or do not rise by one",
    "OrderBroken": "an agent decided later facts of a partition before earlier ones",
    "CloseBeforeCreate": "a ticket was closed, or its closing ordered, before it was created",
    # From nowhere, or changed on the way.
    "UnreadableRecord": "a record that nobody planted cannot be decoded",
    "NeedlessDeadLetter": "a record that can be decoded is among the dead letters",
    "InventedAlert": "a fact tells of an alert that NinjaOne never had",
    "UnknownFact": "a decision names a fact that is not in its topic",
    "ChangedFact": "a decision keeps other bytes than the fact has",
    "UnknownCommand": "a command is in a topic that no decision issued",
    "UnknownHandoff": "an agent was told something that no decision says",
    "ChangedCommand": "a command has other bytes than its decision says",
    "UnknownSettlement": "a settlement of a command that was never issued",
    "UnaskedTicket": "we created a ticket that no command asks for",
    "UnaskedReopening": "we reopened a ticket that no command asks to be reopened",
    # Against the rule of the ticket's life.
    "NeedlessTicket": "a ticket was made for an alert that was known to be over: reset within its hold, or before",
    "TouchedCompleted": "we completed a ticket that a technician had worked on, where the rule leaves it open",
    "ForgottenAlert": "an alert is active and held back, and what it waits for is over",
    # Nothing is silently dropped.
    "NoReason": "a decision, or the disposition of an active alert, gives no reason",
    "ActiveAlertClosed": "an alert is active in NinjaOne and over for us",
    # The audit.
    "UnreadableAudit": "an audit record cannot be read",
    "ChangedAudit": "an audit record does not have the hash of its contents",
    "CutAtBeginning": "a chain does not begin with its first record",
    "CutInMiddle": "records of a chain are missing between others",
    "CutAtEnd": "a chain ends before the record that the live state names",
    "BrokenLink": "a record does not name the hash of the one before it",
    "StateBehind": "the live state names an earlier record than the last of the chain, or another one",
    "ReplayDiffers": "deciding the recorded facts again gives something else",
    # Calls.
    "TooManyInFlight": "more than three calls at once at one endpoint of Autotask",
    "OverThreadLimit": "Autotask refused a call for too many at once",
    "OverHourlyLimit": "Autotask refused a call because the hour's budget was used up",
    "CallWhileUnhealthy": "a call other than a test went out while the connection was closed",
    "TestsWhileUnhealthy": "more refused tests went out while the connection was closed than anybody asked for",
}

#: Of which ``lost`` in a report is the number.
LOST = frozenset(
    {
        "LostAlert",
        "LostFact",
        "LostCommand",
        "LostHandoff",
        "MissingDeadLetter",
        "MissingTicket",
        "MissedClear",
        "MissedClose",
        "MissedReset",
        "UnsettledCommand",
        "GapInFacts",
        "ForgottenAlert",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be: its ``kind`` is one of ``KINDS``, ``about`` names the thing, ``detail`` is one line."""

    kind: str
    about: str
    detail: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'{self.kind}' is not a kind of finding")

    def __str__(self) -> str:
        return f"{self.kind}: {self.about}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found and how much was looked at."""

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
