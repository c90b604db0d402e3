"""Paginators: complete whatever the vendor's page sizes, and loud when pages do not add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.paging import ActivityPages, AfterPages, CursorPages, PagingError


def read_after(ids, *, asked, cap):
    """A vendor's list with ``after``, whose pages are at most ``cap`` rows; returns what a paginator read and asked."""
    pages, read, requests = AfterPages(asked), [], 0
    while (params := pages.next()) is not None:
        query = dict(params)
        after = int(query.get("after", 0))
        page = [id_ for id_ in ids if id_ > after][: min(cap, int(query["pageSize"]))]
        pages.take(page)
        read += page
        requests += 1
    return read, requests


@given(st.sets(st.integers(1, 500)), st.integers(1, 60), st.integers(1, 60))
def test_a_list_is_read_whole_whatever_the_page_cap(ids, asked, cap):
    assert read_after(sorted(ids), asked=asked, cap=cap)[0] == sorted(ids)


def test_a_full_first_page_and_a_short_second_one_take_two_requests():
    assert read_after(range(1, 1501), asked=1000, cap=1000)[1] == 2


def test_a_page_that_comes_twice_is_refused():
    pages = AfterPages(2)
    pages.take([1, 2])
    with pytest.raises(PagingError, match="page after 2 repeats row 1"):
        pages.take([1, 2])


def test_a_row_that_comes_twice_counts_once_and_the_list_goes_on():
    pages = AfterPages(3)
    pages.take([1, 2, 2])
    pages.take([2, 3, 4])
    assert dict(pages.next())["after"] == "4"
    pages.take([4])
    assert pages.next() is None


def test_an_instance_that_gives_its_whole_list_whatever_is_asked_is_read_in_two_requests():
    pages = AfterPages(1000)
    pages.take(range(1, 61))
    pages.take(range(1, 61))
    assert pages.next() is None


def test_a_page_that_jumps_back_goes_on_behind_its_news():
    pages = AfterPages(4)
    pages.take([1, 2, 3, 4])
    pages.take([3, 4, 5, 6])
    assert dict(pages.next())["after"] == "6"


def test_rows_without_a_readable_id_do_not_end_the_list_early():
    pages = AfterPages(3)
    pages.take([1, 2, 3])
    pages.take([4, 6], count=3)
    assert dict(pages.next())["after"] == "6"


def test_a_report_ends_without_rows_or_without_cursor():
    first = CursorPages()
    first.take(10, "c1", 10)
    assert dict(first.next())["cursor"] == "c1"
    first.take(0, "c1", 10)
    assert first.next() is None
    second = CursorPages()
    second.take(3, None)
    assert second.next() is None


def test_a_report_whose_cursor_jumps_back_is_refused():
    pages = CursorPages()
    pages.take(10, "c", 20)
    with pytest.raises(PagingError, match="from 20 to 10"):
        pages.take(10, "c", 10)


def read_above(ids, above, *, size, newest_first, cap=None, inclusive=False, deaf=False, names_newest=True):
    """A vendor's activities; ``newest_first`` says which end of a gap ``newerThan`` serves when it is larger than a page.

    ``cap`` rows come at most, whatever is asked; ``inclusive`` bounds are part of the page; ``deaf``: newerThan is
    not listened to.
    """
    pages, read = ActivityPages(above, size), set()
    size = min(size, cap or size)
    edge = 1 if inclusive else 0
    for _ in range(10_000):
        params = pages.next()
        if params is None:
            return read
        query = dict(params)
        if "olderThan" in query:
            page = [id_ for id_ in ids if id_ < int(query["olderThan"]) + edge][-size:]
        else:
            newer = [id_ for id_ in ids if deaf or id_ > int(query["newerThan"]) - edge]
            page = newer[-size:] if newest_first else newer[:size]
        pages.take(list(reversed(page)), last=max(ids, default=None) if names_newest else None)
        read.update(id_ for id_ in page if id_ > above)
    raise AssertionError("the paginator does not end")


@given(st.sets(st.integers(1, 300)), st.integers(0, 300), st.integers(1, 20), st.booleans())
def test_every_activity_above_the_cursor_is_read_whichever_end_comes_first(ids, above, size, newest_first):
    ordered = sorted(ids)
    assert read_above(ordered, above, size=size, newest_first=newest_first) == {id_ for id_ in ids if id_ > above}


@given(
    st.sets(st.integers(1, 300)),
    st.integers(0, 300),
    st.integers(10, 40),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_nothing_is_missed_where_an_instance_gives_less_or_more_than_it_was_asked_for(ids, above, cap, quirks):
    inclusive, newest_first, deaf, names_newest = quirks
    ordered = sorted(ids)
    told = read_above(
        ordered,
        above,
        size=1000,
        cap=cap,
        newest_first=newest_first or deaf,
        inclusive=inclusive,
        deaf=deaf,
        names_newest=names_newest,
    )
    assert told == {id_ for id_ in ids if id_ > above}


def test_the_page_cap_of_an_instance_is_learned_by_one_look_back():
    pages = ActivityPages(100)
    pages.take(range(101, 121))
    assert dict(pages.next())["olderThan"] == "101"
    pages.take(range(1, 101))
    pages.take([])
    later = ActivityPages(120, largest=pages.largest)
    later.take(range(121, 151))
    assert later.next() is None


def test_the_newest_id_of_the_account_saves_the_last_request():
    pages = ActivityPages(100)
    pages.take(range(101, 121), last=120)
    assert dict(pages.next())["olderThan"] == "101"
    pages.take([100, 99], last=120)
    assert pages.next() is None
    other = ActivityPages(100)
    other.take([101, 100, 99], last=101)
    assert other.next() is None


def test_a_quiet_poll_is_one_request():
    pages = ActivityPages(100)
    assert dict(pages.next()) == {"newerThan": "100", "pageSize": "1000"}
    pages.take([])
    assert pages.next() is None


def test_activities_that_are_older_although_there_are_newer_ones_are_refused():
    with pytest.raises(PagingError, match="newer than 100 were asked for, 98 came"):
        ActivityPages(100).take([99, 98], last=105)


def test_activities_at_or_below_the_cursor_are_dropped_and_what_is_above_is_asked_for_once_more():
    pages = ActivityPages(100)
    pages.take([101, 100, 99])
    assert dict(pages.next())["newerThan"] == "101"
    pages.take([101, 100], last=101)
    assert pages.next() is None


def test_activities_that_are_not_older_are_a_loop():
    pages = ActivityPages(100, 10)
    pages.take(list(range(200, 210)))
    with pytest.raises(PagingError, match="older than 200"):
        pages.take(list(range(200, 210)))
