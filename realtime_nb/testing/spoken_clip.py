"""A clip to speak with: at the wire's rate, its true start and end of speech known."""

from __future__ import annotations

from realtime_nb.audio import AudioClip
from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.errors import AudioError


def with_bounds(clip: AudioClip) -> AudioClip:
    """Return the clip at 24 kHz with its true start and end of speech, measured if they are not known.

    Raises:
        AudioError: nothing in it stands out as speech.
    """
    if clip.sample_rate_hz != WIRE_SAMPLE_RATE_HZ:
        clip = clip.resampled(WIRE_SAMPLE_RATE_HZ)
    if clip.speech_start_ms is not None and clip.speech_end_ms is not None:
        return clip
    bounds = speech_bounds_ms(clip.samples, clip.sample_rate_hz)
    if bounds is None:
        raise AudioError("There is no speech in the clip.", what_now="Give a recording of one spoken sentence.")
    return AudioClip(clip.samples, title=clip.title, speech_start_ms=bounds[0], speech_end_ms=bounds[1])
