"""A transcript in the forms that clients ask for: words, segments, subtitles."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from realtime_nb.engines.base import Transcript, WordTime

SEGMENT_GAP_MS = 600
"""A pause so long between two words begins a new segment."""
SEGMENT_MAX_MS = 8_000
"""A segment ends at the next word once it is so long."""


class Segment(msgspec.Struct, frozen=True):
    """A stretch of the transcript."""

    text: str
    start_ms: float
    end_ms: float


def segments(transcript: Transcript, duration_ms: float) -> list[Segment]:
    """Return the transcript cut at pauses; in one piece where the recogniser tells no word times.

    Args:
        transcript: of the whole recording.
        duration_ms: of the recording.
    """
    if not transcript.text:
        return []
    if not transcript.words:
        return [Segment(transcript.text, 0.0, duration_ms)]
    groups: list[list[WordTime]] = [[]]
    for word in transcript.words:
        group = groups[-1]
        paused = group and word.start_ms - group[-1].end_ms >= SEGMENT_GAP_MS
        if paused or (group and word.end_ms - group[0].start_ms > SEGMENT_MAX_MS):
            groups.append([])
        groups[-1].append(word)
    return [Segment(" ".join(one.word for one in group), group[0].start_ms, group[-1].end_ms) for group in groups]


def verbose(
    transcript: Transcript, duration_ms: float, *, language: str, granularities: Sequence[str]
) -> dict[str, Any]:
    """Return `verbose_json`, without its usage.

    What this server cannot know is said so by the neutral value: no tokens, temperature 0. `avg_logprob` is the
    logarithm of the recogniser's own confidence; the compression ratio is Whisper's measure, length by zlib.
    """
    answer: dict[str, Any] = {
        "task": "transcribe",
        "language": language,
        "duration": round(duration_ms / 1000, 3),
        "text": transcript.text,
    }
    if "word" in granularities:
        answer["words"] = [
            {"word": one.word, "start": one.start_ms / 1000, "end": one.end_ms / 1000} for one in transcript.words
        ]
    if "segment" in granularities:
        confidence = max(transcript.confidence, 1e-3)
        answer["segments"] = [
            {
                "id": number,
                "seek": 0,
                "start": one.start_ms / 1000,
                "end": one.end_ms / 1000,
                "text": one.text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": round(math.log(confidence), 4),
                "compression_ratio": round(_compression_ratio(one.text), 4),
                "no_speech_prob": 0.0,
            }
            for number, one in enumerate(segments(transcript, duration_ms))
        ]
    return answer


def _compression_ratio(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def srt(transcript: Transcript, duration_ms: float) -> str:
    """Return SubRip subtitles."""
    cues = [
        f"{number}\n{_clock(one.start_ms, ',')} --> {_clock(one.end_ms, ',')}\n{one.text}\n"
        for number, one in enumerate(segments(transcript, duration_ms), start=1)
    ]
    return "\n".join(cues)


def vtt(transcript: Transcript, duration_ms: float) -> str:
    """Return WebVTT subtitles."""
    cues = [
        f"{_clock(one.start_ms, '.')} --> {_clock(one.end_ms, '.')}\n{one.text}\n"
        for one in segments(transcript, duration_ms)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _clock(at_ms: float, comma: str) -> str:
    seconds, milliseconds = divmod(round(at_ms), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{comma}{milliseconds:03}"
