from __future__ import annotations

from realtime_nb.session.input_tape import MAX_TAPE_MS, InputTape


def test_slices_are_addressed_by_the_servers_count() -> None:
    tape = InputTape()
    tape.append(b"\x01\x00" * 24 * 100, 1000.0)
    tape.append(b"\x02\x00" * 24 * 100, 1100.0)
    assert tape.slice(99, 101) == b"\x01\x00" * 24 + b"\x02\x00" * 24
    assert tape.end_ms == 200


def test_old_audio_goes_and_the_count_goes_on() -> None:
    tape = InputTape()
    chunk = bytes(48 * 1000)
    for _ in range(MAX_TAPE_MS // 1000 + 5):
        tape.append(chunk, 0.0)
    assert tape.end_ms == MAX_TAPE_MS + 5000
    assert tape.slice(0, 4000) == b""
    assert len(tape.slice(5000, 6000)) == 48_000


def test_a_millisecond_of_tape_is_placed_on_the_sessions_clock() -> None:
    tape = InputTape()
    tape.append(bytes(48 * 20), 500.0)
    tape.append(bytes(48 * 20), 900.0)
    assert tape.session_ms(20) == 500
    assert tape.session_ms(10) == 490
    assert tape.session_ms(40) == 900


def test_a_pause_between_two_openings_of_the_microphone_belongs_to_neither() -> None:
    tape = InputTape()
    tape.append(bytes(48 * 20), 500.0)
    tape.append(bytes(48 * 20), 60_000.0)
    assert tape.session_ms(20) == 500
    assert tape.session_ms(20, begins=True) == 59_980
    assert tape.session_ms(21) == 59_981
    assert tape.session_ms(45) == 60_005
    assert tape.session_ms(40, begins=True) == 60_000


def test_a_new_connection_counts_from_zero() -> None:
    tape = InputTape()
    tape.append(b"\x01\x00" * 24 * 100, 0.0)
    tape.restart()
    assert tape.end_ms == 0
    tape.append(b"\x02\x00" * 24 * 10, 500.0)
    assert tape.slice(0, 10) == b"\x02\x00" * 240
    assert tape.session_ms(10) == 500


def test_a_late_chunk_does_not_move_what_was_spoken() -> None:
    tape = InputTape()
    for k in range(10):
        late_ms = 15.0 if k == 9 else 0.0
        tape.append(bytes(20 * 48), 1000 + 20 * (k + 1) + late_ms)
    assert tape.session_ms(195) == 1210
    assert tape.spoken_by_ms(195) == 1195


def test_a_pause_of_the_microphone_is_not_spoken_through() -> None:
    tape = InputTape()
    tape.append(bytes(20 * 48), 1020)
    tape.append(bytes(20 * 48), 5000)
    assert tape.spoken_by_ms(35) == 4995
    assert tape.spoken_by_ms(20) == 1020


def test_a_clip_that_is_sent_at_once_was_spoken_when_it_was_sent() -> None:
    tape = InputTape()
    for _ in range(5):
        tape.append(bytes(20 * 48), 1000)
    assert tape.spoken_by_ms(100) == 1000
