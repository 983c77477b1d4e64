"""Who gets what and when, on a clock of its own."""

from __future__ import annotations

from realtime.subscribers import MOST_SUBSCRIBERS, MOST_WISHES, Subscribers

ORDER = ["/a", "/b", "/c", "/t"]


def made(**options) -> Subscribers:
    return Subscribers(ORDER, ["/t"], options.get("interval", 0.1), 1.0)


def subscribed(interval=0.0, lease=None, addresses=("/a", "/b")) -> Subscribers:
    book = made()
    book.add("peer", "origin", "wish", frozenset(addresses), interval, lease, 0.0)
    return book


def taken(book, changed, now):
    return [(peer, addresses) for peer, addresses in book.take(changed, now)]


def test_without_a_rate_changes_go_at_once_and_in_the_order_of_the_table():
    book = subscribed()
    assert taken(book, ["/a", "/b", "/c"], 0.0) == [("peer", ["/a", "/b"])]
    assert taken(book, ["/b"], 0.001) == [("peer", ["/b"])]
    assert taken(book, ["/c"], 0.002) == []


def test_a_rate_thins_changes_and_sends_each_address_once_when_due():
    book = subscribed(interval=0.5)
    sent = []
    for step in range(100):
        sent += [(step, addresses) for _, addresses in book.take(["/b", "/a"], step / 100)]
    assert sent == [(50, ["/a", "/b"])]
    assert book.wait(0.99) <= 0.02
    assert taken(book, [], 1.0) == [("peer", ["/a", "/b"])]
    assert taken(book, [], 5.0) == []
    assert taken(book, ["/a"], 5.0) == [("peer", ["/a"])]


def test_a_rate_thins_telemetry_and_none_makes_it_faster_than_its_interval():
    for interval, most in ((0.0, 10), (0.001, 10), (0.5, 2)):
        book = subscribed(interval=interval, addresses=("/t",))
        rounds = sum(len(taken(book, [], step / 1000)) for step in range(1, 1001))
        assert most - 1 <= rounds <= most


def test_of_two_wishes_for_the_same_value_the_faster_one_counts():
    book = subscribed(interval=1.0)
    book.add("peer", "origin", "other", frozenset(["/b"]), 0.0, None, 0.0)
    assert taken(book, ["/a", "/b"], 0.1) == [("peer", ["/b"])]
    assert taken(book, [], 1.1) == [("peer", ["/a"])]


def test_what_waits_is_not_lost_when_a_subscriber_subscribes_again():
    book = subscribed(interval=1.0)
    assert taken(book, ["/a"], 0.5) == []
    book.add("peer", "origin", "other", frozenset(["/c"]), 0.0, None, 0.6)
    assert taken(book, [], 1.1) == [("peer", ["/a"])]


def test_heart_beats_are_numbered_and_those_missed_are_not_made_up_for():
    book = subscribed()
    assert list(book.beat(0.9)) == []
    assert list(book.beat(1.0)) == [("peer", 1)]
    assert list(book.beat(1.5)) == []
    assert list(book.beat(2.02)) == [("peer", 2)]
    assert list(book.beat(10.0)) == [("peer", 3)]
    assert list(book.beat(10.01)) == []


def test_a_lease_lapses_unless_the_peer_or_who_subscribed_it_says_something():
    book = subscribed(lease=5.0)
    book.hear("somebody", 4.0)
    assert book.lapse(5.0) == {}
    book.hear("origin", 4.0)
    assert book.lapse(8.9) == {}
    book.hear("peer", 8.9)
    assert book.lapse(13.8) == {}
    assert book.lapse(14.0) == {"peer": 5.0}
    assert "peer" not in book


def test_without_a_lease_a_subscription_is_for_good():
    book = subscribed()
    assert book.lapse(1e9) == {}


def test_subscribers_and_wishes_are_limited():
    book = made()
    evicted = [book.add(n, n, "", frozenset(["/a"]), 0.0, None, 0.0) for n in range(MOST_SUBSCRIBERS + 2)]
    assert [peer for peer in evicted if peer is not None] == [0, 1]
    assert len(book) == MOST_SUBSCRIBERS
    for n in range(3 * MOST_WISHES):
        book.add(5, 5, f"/{n}", frozenset(["/b"]), 0.0, None, 0.0)
    assert len(book._subscribers[5].wishes) == MOST_WISHES
