from __future__ import annotations

import pytest

from realtime_nb.session.event_log import EventLog


def filled(n: int, **bounds: int) -> EventLog:
    log = EventLog(**bounds)
    for number in range(n):
        log.append(float(number), "sent", "x", f'{{"n":{number}}}')
    return log


def test_events_are_found_by_their_number() -> None:
    log = filled(5)
    assert log[3].event == {"n": 3}
    assert [event.sequence for event in log] == [0, 1, 2, 3, 4]


def test_the_oldest_go_first_and_are_counted() -> None:
    log = filled(10, max_events=4)
    assert (len(log), log.dropped) == (4, 6)
    with pytest.raises(KeyError):
        log[5]
    events, missed = log.since(2)
    assert ([event.sequence for event in events], missed) == ([6, 7, 8, 9], 4)
    assert log.since(10) == ([], 0)


def test_bytes_are_bounded_and_the_newest_always_stays() -> None:
    log = filled(10, max_bytes=20)
    assert 1 <= len(log) <= 2
    log.append(0.0, "received", "big", "z" * 1000)
    assert len(log) == 1


def test_what_is_not_json_is_kept_raw() -> None:
    log = EventLog()
    assert log.append(0.0, "received", "", "not json").event == {"raw": "not json"}
