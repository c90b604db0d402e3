"""What is known of active alerts: order of activities, two lists in a row, and the memory in Kafka."""

from connectors.ninjaone.alertbook import SHARDS, AlertBook
from schemas.facts import Subject
from tests.connectors.memory_log import MemoryLog

HERE = Subject(organization_id=3, location_id=4, device_id=5)


def book_with(uid="u", *, known_at=100, activity_id=10, told=True):
    book = AlertBook()
    book.raised(uid, HERE, raised_at=1, known_at=known_at, activity_id=activity_id, told=told)
    return book


def test_a_list_that_was_asked_for_before_an_alert_became_known_does_not_miss_it():
    book = book_with(known_at=100)
    assert book.missing(set(), asked_at=100) == []
    assert book.missing(set(), asked_at=101) == []
    assert [alert.missing_since for alert in book.missing(set(), asked_at=102)] == [101]


def test_an_alert_that_is_listed_again_is_no_longer_missing():
    book = book_with(known_at=1)
    book.missing(set(), asked_at=2)
    book.missing({"u"}, asked_at=3)
    assert book.missing(set(), asked_at=4) == []


def test_a_reset_that_arrives_before_its_trigger_keeps_the_alert_ended():
    book = AlertBook()
    book.ended("u", at=50, activity_id=11)
    book.raised("u", HERE, raised_at=1, known_at=60, activity_id=10)
    assert len(book) == 0
    book.raised("u", HERE, raised_at=2, known_at=61, activity_id=12)
    assert len(book) == 1


def test_a_late_reset_of_an_earlier_raising_ends_nothing():
    book = book_with(activity_id=12)
    book.ended("u", at=50, activity_id=11)
    assert len(book) == 1


async def test_what_is_flushed_is_loaded_by_the_next_process():
    log, book = MemoryLog(), AlertBook()
    for number in range(200):
        subject = Subject(organization_id=3, location_id=None, device_id=number or None)
        book.raised(f"u{number}", subject, raised_at=number, known_at=1, activity_id=number, told=number % 2 == 0)
    book.missing({"u1"}, asked_at=7)
    await book.flush(log)
    assert len(log.compacted["cursors"]) == SHARDS
    other = AlertBook()
    other.load(log.compacted["cursors"])
    assert other._active == book._active


async def test_only_what_changed_is_written_and_an_empty_shard_is_forgotten():
    log, book = MemoryLog(), book_with()
    await book.flush(log)
    await book.flush(log)
    assert len(log.writes) == 1
    book.ended("u", at=5)
    await book.flush(log)
    assert log.compacted["cursors"] == {}


async def test_a_flush_that_fails_is_made_up_for():
    log, book = MemoryLog(refusing=ConnectionError("no broker")), book_with()
    try:
        await book.flush(log)
    except ConnectionError:
        log.refusing = None
    await book.flush(log)
    assert len(log.compacted["cursors"]) == 1


def test_what_a_webhook_told_before_the_load_is_not_overwritten():
    log_value = b'{"u":[9,null,9,1,1,1,null,1]}'
    book = book_with(activity_id=12)
    book.load({"ninjaone.alerts.0": log_value})
    assert book.of_device(5)[0].activity_id == 12


def test_an_ended_alert_is_back_only_in_lists_asked_for_a_minute_later():
    book = book_with()
    book.ended("u", at=1_000)
    assert not book.is_news("u")
    assert not book.is_back("u", asked_at=61_000)
    assert book.is_back("u", asked_at=61_001)
