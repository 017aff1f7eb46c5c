"""Tests that every voice engine passes: subclass `VoiceEngineContract`, set `create`, have a `synthesizer` fixture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import aclosing

import anyio
import numpy as np
import psutil
import pytest

from realtime_nb.engines.worker_synthesizer import WorkerSynthesizer
from realtime_nb.errors import EngineCrashed, EngineError, EngineUnavailable
from tests.engines.voice_measures import all_voices, differ, joined, measured, spoken

PRESETS = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
LONG = " ".join(f"This is sentence number {number} of a rather long text." for number in range(1, 31))


class VoiceEngineContract:
    create: Callable[[], WorkerSynthesizer]

    async def test_ten_voices_are_equally_loud_never_clip_and_differ(self, synthesizer: WorkerSynthesizer):
        assert synthesizer.capabilities.voices == PRESETS
        voices = await all_voices(synthesizer)
        for name, voice in voices.items():
            assert voice.rms_dbfs == pytest.approx(-20, abs=2), name
            assert voice.peak_dbfs < -0.3, name
            assert 60 < voice.median_f0_hz < 300, name
        alike = [pair for pair in itertools.combinations(PRESETS, 2) if not differ(voices[pair[0]], voices[pair[1]])]
        assert alike == []

    async def test_chunks_are_small_and_the_first_is_smaller(self, synthesizer: WorkerSynthesizer):
        lengths = [len(chunk.pcm16) / 24 for chunk in await spoken(synthesizer, LONG[:200])]
        assert lengths[0] == 40
        assert set(lengths[1:-1]) == {100}
        assert 0 < lengths[-1] <= 100

    @pytest.mark.parametrize("voice", PRESETS)
    async def test_the_first_chunk_is_audible(self, synthesizer: WorkerSynthesizer, voice: str):
        first = (await spoken(synthesizer, "Hello there.", voice=voice))[0].pcm16
        audible = np.flatnonzero(np.abs(first.astype(int)) > 32_768 * 10 ** (-45 / 20))
        assert audible[0] / 24 <= 30

    async def test_words_stand_where_they_are_said(self, synthesizer: WorkerSynthesizer):
        chunks = await spoken(synthesizer, "Hello there. Dr. Smith has 427 eggs, and tea!")
        words = [word for chunk in chunks for word in chunk.words]
        assert [word.word for word in words] == ["Hello", "there", "Dr", "Smith", "has", "427", "eggs", "and", "tea"]
        assert all(word.start_ms < word.end_ms for word in words)
        assert all(before.end_ms <= after.start_ms + 1 for before, after in itertools.pairwise(words))
        assert words[-1].end_ms <= len(joined(chunks)) / 24 + 150
        elapsed_ms = 0.0
        for chunk in chunks:
            end_ms = elapsed_ms + len(chunk.pcm16) / 24
            assert all(elapsed_ms - 1 <= word.start_ms <= end_ms for word in chunk.words)
            elapsed_ms = end_ms

    async def test_a_word_is_loud_and_the_gap_between_sentences_is_not(self, synthesizer: WorkerSynthesizer):
        chunks = await spoken(synthesizer, "Banana. Tomorrow.")
        audio = joined(chunks).astype(float)
        first, second = (word for chunk in chunks for word in chunk.words)
        middle_ms = second.start_ms - 60
        gap = audio[(middle_ms - 20) * 24 : (middle_ms + 20) * 24]
        for word in (first, second):
            assert audio[word.start_ms * 24 : word.end_ms * 24].std() > 20 * gap.std()

    async def test_speed_changes_the_length_and_not_the_pitch(self, synthesizer: WorkerSynthesizer):
        normal, fast, slow = [
            measured(joined(await spoken(synthesizer, "I had two eggs and a banana for breakfast.", speed=speed)))
            for speed in (1.0, 1.5, 0.6)
        ]
        assert fast.seconds < 0.8 * normal.seconds < normal.seconds < 0.8 * slow.seconds
        assert [fast.median_f0_hz, slow.median_f0_hz] == pytest.approx([normal.median_f0_hz] * 2, rel=0.1)

    async def test_nothing_to_say_is_no_audio(self, synthesizer: WorkerSynthesizer):
        assert await spoken(synthesizer, "") == []
        assert await spoken(synthesizer, " … 🙂 **  \n --- ") == []

    @pytest.mark.parametrize(
        "text",
        ["café", "¿Qué? Ünïcode – “quoted”", "北京 is Beijing.", "a" * 600, "100 %", "x\x00y", "a@b.com", "Straße"],
    )
    async def test_odd_text_is_spoken_and_does_not_crash(self, synthesizer: WorkerSynthesizer, text: str):
        chunks = await spoken(synthesizer, text)
        assert len(joined(chunks)) > 1_000
        assert all(word.word for chunk in chunks for word in chunk.words)

    async def test_closing_the_iterator_stops_the_work_and_frees_the_voice(self, synthesizer: WorkerSynthesizer):
        async with aclosing(synthesizer.speak(LONG)) as chunks:
            async for _ in chunks:
                break
        assert len(joined(await spoken(synthesizer, "Stop."))) > 1_000

    async def test_a_reader_that_waits_does_not_hold_up_another(self, synthesizer: WorkerSynthesizer):
        async with aclosing(synthesizer.speak(LONG)) as unread:
            await anext(unread)
            assert len(joined(await spoken(synthesizer, "Meanwhile, I am quick.", voice="echo"))) > 1_000
            assert len((await anext(unread)).pcm16) == 2_400

    async def test_several_utterances_at_once_are_each_whole(self, synthesizer: WorkerSynthesizer):
        alone = len(joined(await spoken(synthesizer, LONG[:300], voice="verse")))
        together: list[int] = []

        async def speak() -> None:
            together.append(len(joined(await spoken(synthesizer, LONG[:300], voice="verse"))))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(speak)
        assert together == [pytest.approx(alone, abs=2_400)] * 3

    async def test_bad_arguments_say_what_is_possible(self, synthesizer: WorkerSynthesizer):
        with pytest.raises(EngineUnavailable, match="shimmer"):
            synthesizer.speak("hi", voice="nobody")
        with pytest.raises(EngineError, match="speed"):
            synthesizer.speak("hi", speed=3)
        with pytest.raises(EngineError, match="too long"):
            synthesizer.speak("a" * 4_097)

    async def test_a_killed_worker_fails_the_utterance_and_the_next_one_speaks(self, synthesizer: WorkerSynthesizer):
        with pytest.raises(EngineCrashed):
            async with aclosing(synthesizer.speak(LONG)) as chunks:
                async for number, _ in aenumerate(chunks):
                    if number == 0:
                        psutil.Process(synthesizer._pool.workers[0].pid).kill()
        assert len(joined(await spoken(synthesizer, "Back again."))) > 1_000

    async def test_closing_ends_the_process(self):
        synthesizer = self.create()
        await synthesizer.start()
        process = psutil.Process(synthesizer._pool.workers[0].pid)
        await synthesizer.aclose()
        await synthesizer.aclose()
        assert not process.is_running()
        with pytest.raises(EngineCrashed, match="closed"):
            await spoken(synthesizer, "hello")


async def aenumerate(items):
    number = 0
    async for item in items:
        yield number, item
        number += 1
