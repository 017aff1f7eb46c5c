from __future__ import annotations

import base64

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


def test_audio_of_old_events_is_left_out_and_its_length_kept() -> None:
    payload = base64.b64encode(bytes(1000)).decode()
    log = EventLog(max_audio_bytes=3000)
    for _ in range(5):
        log.append(0.0, "received", "response.output_audio.delta", f'{{"item_id": "i", "delta": "{payload}"}}')
        log.append(0.0, "sent", "response.create", "{}")
    deltas = [event for event in log if event.event_type == "response.output_audio.delta"]
    assert len(log) == 10
    assert [event.audio_left_out_bytes for event in deltas] == [1000, 1000, 1000, 0, 0]
    assert deltas[0].event == {"item_id": "i", "delta": "(1000 bytes of audio)"}
    assert deltas[-1].event["delta"] == payload


def test_events_that_went_take_their_audio_along() -> None:
    log = EventLog(max_events=3, max_audio_bytes=2000)
    for _ in range(50):
        log.append(0.0, "sent", "input_audio_buffer.append", f'{{"audio":"{"A" * 800}"}}')
    assert [event.audio_left_out_bytes for event in log] == [600, 0, 0]


def test_words_are_never_taken_for_audio() -> None:
    words = "A" * 100
    event = EventLog().append(0.0, "received", "response.output_text.delta", f'{{"delta":"{words}"}}')
    assert event.without_audio() is event
    quoted = EventLog().append(
        0.0, "sent", "conversation.item.create", '{"item":{"content":[{"text":"\\"audio\\": \\"' + words + '\\""}]}}'
    )
    assert quoted.without_audio() is quoted


def test_audio_is_found_however_the_server_spaces_its_json() -> None:
    audio = "A" * 798 + "=="
    for frame in (f'{{"delta":"{audio}"}}', f'{{ "delta" :\n "{audio}" }}'):
        slim = EventLog().append(0.0, "received", "response.output_audio.delta", frame).without_audio()
        assert slim.audio_left_out_bytes == 598
        assert slim.event == {"delta": "(598 bytes of audio)"}
    twice = f'{{"item":{{"content":[{{"audio":"{audio}"}},{{"audio":"{audio}"}}]}}}}'
    both = EventLog().append(0.0, "sent", "conversation.item.create", twice).without_audio()
    assert both.audio_left_out_bytes == 2 * 598
