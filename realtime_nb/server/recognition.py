"""Whole recordings to words: files decoded off the loop, heard by the same recogniser as live speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Event
from typing import Annotated

import msgspec
from msgspec import Meta

from realtime_nb.audio.file_reading import read_audio
from realtime_nb.audio.resample import resample
from realtime_nb.engines.base import (
    RECOGNISER_SAMPLE_RATE_HZ,
    Pcm16,
    Transcriber,
    Transcript,
    VoiceActivityDetector,
    WordTime,
)
from realtime_nb.engines.turn_detector import SpeechDetector, SpeechStarted, SpeechStopped
from realtime_nb.errors import AudioError, RemoteProtocolError
from realtime_nb.server.hearing import FEED_SAMPLES, NOTHING_HEARD

MakeDetector = Callable[[], VoiceActivityDetector]

SHORTEST_MS = 100
"""Less cannot be transcribed; the service's bound."""
SPEECH_PROBABILITY = 0.5
SPEECH_FRAMES = 3
"""So many frames in a row (96 ms with the bundled detector) above `SPEECH_PROBABILITY` are speech."""


class Chunking(msgspec.Struct, frozen=True, kw_only=True):
    """Where a recording is cut into turns, as a session's `server_vad` would."""

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0)] = 500


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A file's audio.

    Attributes:
        pcm16: int16, mono, 16 kHz.
        turns: what of it is to be heard, (first sample, end); none where nobody speaks.
    """

    pcm16: Pcm16
    turns: tuple[tuple[int, int], ...]

    @property
    def duration_ms(self) -> float:
        """How long it lasts."""
        return len(self.pcm16) * 1000 / RECOGNISER_SAMPLE_RATE_HZ


async def read_recording(
    file: bytes, make_detector: MakeDetector, *, param: str, chunking: Chunking | None = None
) -> Recording:
    """Decode a wav, flac, ogg (Vorbis or Opus) or mp3 file and look for speech in it, in a thread.

    A recogniser finds words in any noise, so a detector listens first: without speech nothing was said.

    Args:
        file: its bytes; what it is is seen from them, not from its name.
        make_detector: makes the detector.
        param: the field to name in an error.
        chunking: None takes the recording as one turn.

    Raises:
        RemoteProtocolError: it cannot be read, or is too short or too long.
    """
    abandoned = Event()
    try:
        return await asyncio.to_thread(_read, file, make_detector, param, chunking, abandoned)
    except AudioError as problem:
        raise RemoteProtocolError(
            f"Audio file might be corrupted or unsupported: {problem.message}",
            code="invalid_value",
            param=param,
            what_now="Supported formats: ['flac', 'mp3', 'mpga', 'oga', 'ogg', 'wav'].",
        ) from problem
    finally:
        abandoned.set()


def _read(
    file: bytes, make_detector: MakeDetector, param: str, chunking: Chunking | None, abandoned: Event
) -> Recording:
    decoded, sample_rate_hz, _ = read_audio(file)
    pcm16 = resample(decoded, sample_rate_hz, RECOGNISER_SAMPLE_RATE_HZ)
    if len(pcm16) * 1000 < SHORTEST_MS * RECOGNISER_SAMPLE_RATE_HZ:
        raise RemoteProtocolError(
            f"Audio file is too short. Minimum audio length is {SHORTEST_MS / 1000} seconds.",
            code="audio_too_short",
            param=param,
        )
    if chunking is not None:
        return Recording(pcm16=pcm16, turns=speech_spans(make_detector, pcm16, chunking, abandoned))
    speech = has_speech(make_detector, pcm16, abandoned)
    return Recording(pcm16=pcm16, turns=((0, len(pcm16)),) if speech else ())


async def recognise(
    transcriber: Transcriber,
    recording: Recording,
    *,
    vocabulary: Sequence[str] = (),
    on_partial: Callable[[str], None] | None = None,
) -> Transcript:
    """Return the words of a recording, "" where nobody speaks. Cancelling stops the work.

    Args:
        transcriber: hears one turn after the other.
        recording: what was said.
        vocabulary: sentences or words to expect.
        on_partial: called on the loop with the whole text so far whenever it changes.

    Raises:
        EngineError: the recogniser failed.
    """
    heard: list[Transcript] = []
    for start, end in recording.turns:
        so_far = _joined(heard)
        partial = None if on_partial is None else _continued(on_partial, so_far.text)
        chunk = await _heard(transcriber, recording.pcm16[start:end], vocabulary, partial)
        heard.append(_moved(chunk, start * 1000 // RECOGNISER_SAMPLE_RATE_HZ))
    return _joined(heard)


def _continued(on_partial: Callable[[str], None], before: str) -> Callable[[str], None]:
    return lambda text: on_partial(f"{before} {text}".strip())


def _moved(heard: Transcript, by_ms: int) -> Transcript:
    words = tuple(WordTime(word.word, word.start_ms + by_ms, word.end_ms + by_ms) for word in heard.words)
    return msgspec.structs.replace(heard, words=words)


def _joined(heard: Sequence[Transcript]) -> Transcript:
    said = [one for one in heard if one.text]
    if len(said) < 2:
        return said[0] if said else NOTHING_HEARD
    return Transcript(
        text=" ".join(one.text for one in said),
        confidence=min(one.confidence for one in said),
        words=tuple(word for one in said for word in one.words),
    )


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


def has_speech(make_detector: MakeDetector, pcm16: Pcm16, abandoned: Event) -> bool:
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


def speech_spans(
    make_detector: MakeDetector, pcm16: Pcm16, chunking: Chunking, abandoned: Event
) -> tuple[tuple[int, int], ...]:
    """Return where the turns are, in samples. Computes: keep it off a loop. See `has_speech`."""
    detector = SpeechDetector(
        make_detector(),
        sample_rate_hz=RECOGNISER_SAMPLE_RATE_HZ,
        threshold=chunking.threshold,
        prefix_padding_ms=chunking.prefix_padding_ms,
        silence_duration_ms=chunking.silence_duration_ms,
    )
    samples_per_ms = RECOGNISER_SAMPLE_RATE_HZ // 1000
    spans: list[tuple[int, int]] = []
    begun = 0
    for start in range(0, len(pcm16), RECOGNISER_SAMPLE_RATE_HZ):
        if abandoned.is_set():
            break
        for signal in detector.feed(pcm16[start : start + RECOGNISER_SAMPLE_RATE_HZ]):
            if isinstance(signal, SpeechStarted):
                begun = signal.audio_start_ms * samples_per_ms
            elif isinstance(signal, SpeechStopped):
                spans.append((begun, signal.audio_end_ms * samples_per_ms))
    if detector.speaking:
        spans.append((begun, len(pcm16)))
    return tuple(spans)
