from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.input_buffer import MAX_BUFFER_MS, InputBuffer


def test_milliseconds_count_all_audio_ever_appended() -> None:
    buffer = InputBuffer()
    buffer.append(bytes(48 * 300))
    buffer.take_all()
    buffer.append(bytes(48 * 100))
    assert (buffer.start_ms, buffer.end_ms, buffer.buffered_ms) == (300.0, 400.0, 100.0)


def test_taking_a_stretch_forgets_everything_before_its_end() -> None:
    buffer = InputBuffer(8)
    buffer.append(b"".join(bytes([n]) * 8 for n in range(100)))
    assert buffer.take(10, 12) == bytes([10]) * 8 + bytes([11]) * 8
    assert buffer.start_ms == 12


def test_less_than_100_ms_cannot_be_committed_and_stay() -> None:
    buffer = InputBuffer()
    buffer.append(bytes(48 * 99))
    with pytest.raises(RemoteProtocolError) as refused:
        buffer.take_all()
    assert refused.value.code == "input_audio_buffer_commit_empty"
    assert buffer.buffered_ms == 99


def test_a_full_buffer_refuses_and_keeps_what_it_has() -> None:
    buffer = InputBuffer(8)
    buffer.append(bytes(8 * MAX_BUFFER_MS))
    with pytest.raises(RemoteProtocolError):
        buffer.append(bytes(8))
    assert buffer.buffered_ms == MAX_BUFFER_MS


def test_a_new_format_drops_the_audio_and_goes_on_counting() -> None:
    buffer = InputBuffer()
    buffer.append(bytes(48 * 50))
    buffer.change_format(8)
    buffer.append(bytes(8 * 10))
    assert (buffer.start_ms, buffer.end_ms) == (50.0, 60.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=20))
def test_discarding_and_taking_never_split_a_sample(steps: list[tuple[int, int]]) -> None:
    buffer = InputBuffer()
    for appended_ms, ms in steps:
        buffer.append(bytes(48 * appended_ms))
        end_ms = buffer.end_ms
        buffer.discard_before(ms + 0.013)
        assert len(buffer.take(ms, ms + 7.7)) % 2 == 0
        assert buffer.end_ms == pytest.approx(end_ms)
