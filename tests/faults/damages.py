"""All planted damage: each takes the healthy evidence and breaks one thing, as a fault in the product would."""

from __future__ import annotations

from collections.abc import Callable

from streams.drill.evidence import Evidence
from tests.faults import damaged_log as log
from tests.faults import damaged_vendors as vendors

#: (what was done, the kind it must be named by, the damage)
Damage = tuple[str, str, Callable[[Evidence], Evidence]]

DAMAGES: tuple[Damage, ...] = (
    ("a fact nobody decided", "LostFact", log.undecided),
    ("a device that was not decided", "LostFact", log.decided_by_one_agent_only),
    ("a fact decided twice", "DoubledDecision", log.decided_twice),
    ("two facts of a device in the wrong order", "OrderBroken", log.swapped),
    ("a fact that is missing between others", "GapInFacts", log.fact_missing),
    ("a decision about a fact that never was", "UnknownFact", log.fact_never_read),
    ("a fact with other bytes than were decided", "ChangedFact", log.fact_changed),
    ("a decision without any reason", "NoReason", log.silent),
    ("no dead letter for a poison", "MissingDeadLetter", log.dead_letter_missing),
    ("a dead letter kept twice", "DoubledDeadLetter", log.dead_letter_twice),
    ("a dead letter of a good fact", "NeedlessDeadLetter", log.dead_letter_of_a_good_fact),
    ("a broken record that nobody planted", "UnreadableRecord", log.nobody_planted_it),
    ("a command that is missing", "LostCommand", log.command_missing),
    ("a command that is there twice", "DoubledCommand", log.command_twice),
    ("a command with another title", "ChangedCommand", log.command_changed),
    ("a command that nobody ordered", "UnknownCommand", log.command_of_nobody),
    ("a word to another agent that was never written", "LostHandoff", log.told_and_not_written),
    ("a word to another agent that was never forwarded", "LostHandoff", log.told_and_not_forwarded),
    ("a word to another agent written twice", "DoubledHandoff", log.told_twice),
    ("a word to an agent that nobody said", "UnknownHandoff", log.told_by_nobody),
    ("a command that was never settled", "UnsettledCommand", log.never_settled),
    ("a command with two outcomes", "SettledTwice", log.settled_twice),
    ("a settlement of no command", "UnknownSettlement", log.settled_by_nobodys_order),
    ("a closing ordered before the opening", "CloseBeforeCreate", log.closed_before_ordered_open),
    ("two open tickets of one incident", "DoubledTicket", vendors.ticket_twice),
    ("two open tickets for a while", "TwoOpenTickets", vendors.ticket_twice_for_a_while),
    ("a ticket that no command asks for", "UnaskedTicket", vendors.ticket_nobody_asked_for),
    ("a ticket closed before it was created", "CloseBeforeCreate", vendors.closed_before_created),
    ("a ticket that we completed twice", "CompletedTwice", vendors.completed_twice),
    ("a ticket that was never closed", "MissedClose", vendors.never_closed),
    ("a ticket that is not there", "MissingTicket", vendors.ticket_gone),
    ("two active items of one device", "DoubledItem", vendors.item_twice),
    ("an alert that nobody knows", "LostAlert", vendors.alert_of_nobody),
    ("an alert that NinjaOne never had", "InventedAlert", vendors.alert_invented),
    ("an alert that was cleared unnoticed", "MissedClear", vendors.cleared_unnoticed),
    ("a completed ticket whose alert was not reset", "MissedReset", vendors.never_reset),
    ("a second reset by NinjaOne's history", "ResetTwice", vendors.reset_twice),
    ("a second reset by NinjaOne's calls", "ResetTwice", vendors.reset_by_two_calls),
    ("an alert that fired again unnoticed", "ActiveAlertClosed", vendors.still_active_though_closed),
    ("a ticket of an alert that was reset within its hold", "NeedlessTicket", vendors.ticket_within_hold),
    ("a new ticket instead of the former one", "NewInsteadOfReopened", vendors.doubled_instead_of_reopened),
    ("a ticket that we reopened unasked", "UnaskedReopening", vendors.reopened_by_nobodys_order),
    ("a reopening ordered before the opening", "CloseBeforeCreate", log.reopened_before_ordered_open),
    ("a touched ticket that we completed", "TouchedCompleted", vendors.touched_and_completed),
    ("a ticket left open to nobody", "MissedClose", vendors.touched_by_nobody),
    ("an alert forgotten after its maintenance", "ForgottenAlert", vendors.forgotten_after_maintenance),
    ("a chain cut at its beginning", "CutAtBeginning", log.cut_at_the_beginning),
    ("a chain cut in its middle", "CutInMiddle", log.cut_in_the_middle),
    ("a chain cut at its end", "CutAtEnd", log.cut_at_the_end),
    ("a whole chain removed", "CutAtEnd", log.whole_chain_cut),
    ("a byte of an audit record flipped", "ChangedAudit", log.byte_flipped),
    ("an audit record that ends early", "UnreadableAudit", log.brace_lost),
    ("a forged record among honest ones", "BrokenLink", log.link_broken),
    ("a forged decision with every hash repaired", "ReplayDiffers", log.decision_forged),
    ("a live state older than the audit", "StateBehind", log.state_of_yesterday),
    ("a call while Unhealthy", "CallWhileUnhealthy", vendors.call_while_unhealthy),
    ("tests that nobody asked for", "TestsWhileUnhealthy", vendors.tests_nobody_asked_for),
    ("four calls at once", "TooManyInFlight", vendors.four_at_once),
    ("a refusal for too many threads", "OverThreadLimit", vendors.too_many_threads),
    ("a refusal beyond the hour's budget", "OverHourlyLimit", vendors.over_the_hour),
)
