from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.protocol.playback import CutKind, Playback, PlaybackKey

KEY = PlaybackKey("item_a")
UNTIMED = settings(deadline=None)


def test_nothing_heard_deletes_the_item() -> None:
    playback = Playback()
    playback.received(KEY, 24_000)
    assert playback.cut() == [(CutKind.DELETE, KEY, 0)]


def test_less_than_a_millisecond_heard_counts_as_nothing() -> None:
    playback = Playback()
    playback.received(KEY, 24_000)
    playback.rendered(KEY, 23)
    assert playback.cut()[0].kind is CutKind.DELETE


def test_what_was_heard_is_floored() -> None:
    playback = Playback()
    playback.received(KEY, 48_000)
    playback.rendered(KEY, 24_023)
    assert playback.cut() == [(CutKind.TRUNCATE, KEY, 1000)]


def test_nothing_unheard_needs_no_truncate() -> None:
    playback = Playback()
    playback.received(KEY, 4_800)
    playback.complete(KEY)
    playback.rendered(KEY, 4_800)
    assert playback.cut() == []


def test_all_received_heard_but_more_to_come_is_truncated_at_what_was_received() -> None:
    playback = Playback()
    playback.received(KEY, 4_800)
    playback.rendered(KEY, 4_800)
    assert playback.cut() == [(CutKind.TRUNCATE, KEY, 200)]


def test_a_part_is_cut_once() -> None:
    playback = Playback()
    playback.received(KEY, 48_000)
    playback.rendered(KEY, 24_000)
    playback.cut()
    playback.rendered(KEY, 48_000)
    assert playback.cut() == []
    assert playback.heard_ms(KEY) == 1000


def test_several_open_parts_are_cut_in_order() -> None:
    playback, second = Playback(), PlaybackKey("item_b")
    playback.received(KEY, 24_000)
    playback.received(second, 24_000)
    playback.rendered(KEY, 12_000)
    assert [(cut.kind, cut.key) for cut in playback.cut()] == [(CutKind.TRUNCATE, KEY), (CutKind.DELETE, second)]


@UNTIMED
@given(st.lists(st.tuples(st.sampled_from(["received", "rendered"]), st.integers(0, 100_000)), max_size=30))
def test_heard_never_exceeds_received_and_never_goes_back(steps: list[tuple[str, int]]) -> None:
    playback, heard_ms = Playback(), 0
    for what, samples in steps:
        getattr(playback, what)(KEY, samples)
        assert heard_ms <= playback.heard_ms(KEY) <= playback.received_ms(KEY)
        heard_ms = playback.heard_ms(KEY)
    for cut in playback.cut():
        assert cut.audio_end_ms <= playback.received_ms(KEY)
        assert (cut.kind is CutKind.TRUNCATE) == (cut.audio_end_ms > 0)
