"""Whole recordings to words: files decoded off the loop, heard by the same recogniser as live speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Event

import msgspec

from realtime_nb.audio.file_reading import read_audio
from realtime_nb.audio.resample import resample
from realtime_nb.engines.base import (
    RECOGNISER_SAMPLE_RATE_HZ,
    EngineSet,
    Pcm16,
    Transcriber,
    Transcript,
    VoiceActivityDetector,
)
from realtime_nb.errors import AudioError, RemoteProtocolError
from realtime_nb.server.hearing import FEED_SAMPLES, NOTHING_HEARD

SHORTEST_MS = 100
"""Less cannot be transcribed; the service's bound."""
SPEECH_PROBABILITY = 0.5
SPEECH_FRAMES = 3
"""So many frames in a row (96 ms with the bundled detector) above `SPEECH_PROBABILITY` are speech."""


class Recording(msgspec.Struct, frozen=True):
    """A file's audio: int16, mono, 16 kHz."""

    pcm16: Pcm16

    @property
    def duration_ms(self) -> float:
        """How long it lasts."""
        return len(self.pcm16) * 1000 / RECOGNISER_SAMPLE_RATE_HZ


async def read_recording(file: bytes, *, param: str) -> Recording:
    """Decode a wav, flac, ogg (Vorbis or Opus) or mp3 file, in a thread.

    Args:
        file: its bytes; what it is is seen from them, not from its name.
        param: the field to name in an error.

    Raises:
        RemoteProtocolError: it cannot be read, or is too short or too long.
    """
    try:
        recording = await asyncio.to_thread(_decoded, file)
    except AudioError as problem:
        raise RemoteProtocolError(
            f"Audio file might be corrupted or unsupported: {problem.message}",
            code="invalid_value",
            param=param,
            what_now="Supported formats: ['flac', 'mp3', 'mpga', 'oga', 'ogg', 'wav'].",
        ) from problem
    if recording.duration_ms < SHORTEST_MS:
        raise RemoteProtocolError(
            f"Audio file is too short. Minimum audio length is {SHORTEST_MS / 1000} seconds.",
            code="audio_too_short",
            param=param,
        )
    return recording


def _decoded(file: bytes) -> Recording:
    pcm16, sample_rate_hz, _ = read_audio(file)
    return Recording(resample(pcm16, sample_rate_hz, RECOGNISER_SAMPLE_RATE_HZ))


async def recognise(
    engines: EngineSet,
    recording: Recording,
    *,
    vocabulary: Sequence[str] = (),
    on_partial: Callable[[str], None] | None = None,
) -> Transcript:
    """Return the words of a recording, "" where nobody speaks. Cancelling stops the work.

    A recogniser finds words in any noise, so a detector listens first: without speech nothing was said.

    Args:
        engines: whose transcriber and detector.
        recording: heard as one turn.
        vocabulary: sentences or words to expect.
        on_partial: called on the loop with the whole text so far whenever it changes.

    Raises:
        EngineError: the recogniser failed.
    """
    abandoned = Event()
    try:
        speech = await asyncio.to_thread(has_speech, engines.vad, recording.pcm16, abandoned)
    finally:
        abandoned.set()
    if not speech:
        return NOTHING_HEARD
    return await _heard(engines.transcriber, recording.pcm16, vocabulary, on_partial)


async def _heard(
    transcriber: Transcriber, pcm16: Pcm16, vocabulary: Sequence[str], on_partial: Callable[[str], None] | None
) -> Transcript:
    stream = await transcriber.open(on_partial=on_partial, vocabulary=vocabulary)
    try:
        for start in range(0, len(pcm16), FEED_SAMPLES):
            stream.feed(pcm16[start : start + FEED_SAMPLES])
            await stream.hypothesis()
        return await stream.finish()
    finally:
        await stream.aclose()


def has_speech(make_detector: Callable[[], VoiceActivityDetector], pcm16: Pcm16, abandoned: Event) -> bool:
    """Return whether a detector hears speech anywhere. Computes up to the first speech: keep it off a loop.

    Args:
        make_detector: makes one for this recording.
        pcm16: int16 at 16 kHz.
        abandoned: set when nobody wants to know any more.
    """
    detector = make_detector()
    size, run = detector.frame_samples, 0
    for start in range(0, len(pcm16) - size + 1, size):
        run = run + 1 if detector.probability(pcm16[start : start + size]) >= SPEECH_PROBABILITY else 0
        if run >= SPEECH_FRAMES:
            return True
        if abandoned.is_set():
            break
    return False
