"""A clip said as a person would."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.pipelines.base import collect
from realtime_nb.pipelines.speaking import FRAME_BYTES, FRAME_MS, Speaking
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import Marks
from tests.pipelines.tapped import question
from tests.pipelines.test_pipelines import CLIP, made

pytestmark = pytest.mark.anyio


async def test_no_frame_is_given_before_it_was_spoken_and_silence_follows() -> None:
    clip = question(speech_ms=50, before_ms=20)
    speaking, got = Speaking(clip), b""
    async for frame in speaking.frames():
        assert len(frame) == FRAME_BYTES
        assert monotonic_ms() >= speaking.began_ms + speaking.said_ms - 1
        got += frame
        if speaking.after_ms >= 30:
            break
    assert speaking.said_ms % FRAME_MS == 0
    assert got.rstrip(b"\0") == clip.pcm16_bytes().rstrip(b"\0")


async def test_a_late_reader_does_not_move_the_end_of_the_speech() -> None:
    speaking, marks = Speaking(question(speech_ms=60, before_ms=0)), Marks()
    async for _ in speaking.frames():
        if not marks.moments:
            await asyncio.sleep(0.1)
            speaking.mark_end(marks)
        if speaking.after_ms >= 0:
            break
    assert marks.time_ms("speech_end") == speaking.began_ms + 60


def end_ms(clip: AudioClip) -> float | None:
    marks = Marks()
    Speaking(clip).mark_end(marks)
    return marks.time_ms("speech_end")


def test_the_end_is_the_clips_own_else_by_energy_else_unknown() -> None:
    said = question(speech_ms=300, before_ms=100, after_ms=200)
    unsaid = AudioClip(said.samples)
    assert end_ms(said) == 400
    assert end_ms(unsaid) == pytest.approx(400, abs=5)
    assert end_ms(unsaid.resampled(48_000)) == pytest.approx(400, abs=10)
    assert end_ms(AudioClip(question(speech_ms=300, before_ms=0).samples)) == pytest.approx(300, abs=5)
    assert end_ms(AudioClip.silence(300)) is None


def test_what_nobody_can_hear_is_silent() -> None:
    assert Speaking(AudioClip(np.zeros(0, np.int16))).silent
    assert Speaking(AudioClip(np.full(2400, 30, np.int16))).silent
    assert not Speaking(AudioClip(np.full(2400, -300, np.int16))).silent


async def test_a_cell_that_computes_does_not_stop_the_clock() -> None:
    async with made("chain") as found:
        for each in found:
            await each.start()
            answering = asyncio.create_task(collect(each, CLIP))
            await asyncio.sleep(0.1)
            time.sleep(1.5)  # noqa: ASYNC251 - the cell
            turn = await answering
            assert turn.status == "completed"
            assert turn.timeline.voice_to_voice_ms is not None
            assert turn.timeline.voice_to_voice_ms < 1200
