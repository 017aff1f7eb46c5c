"""Say a word of a recording with more weight: pitch, length and loudness of a stretch changed, the rest untouched.

Pitch-synchronous overlap-add (TD-PSOLA, Moulines & Charpentier 1990): two-period grains of the voice are laid down
closer together (higher) or repeated (longer). What comes out is manipulated speech, and its title says so.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.clip import AudioClip
from realtime_nb.audio.pitch import pitch_track
from realtime_nb.errors import ConfigurationError

UNVOICED_PERIOD_MS = 8.0
FADE_MS = 20.0
MAX_SEMITONES, MAX_GAIN_DB, MAX_STRETCH = 12.0, 12.0, 2.0

Floats = npt.NDArray[np.float64]


def emphasise(
    clip: AudioClip,
    start_ms: float,
    end_ms: float,
    *,
    semitones: float = 5.0,
    gain_db: float = 4.0,
    stretch: float = 1.3,
    word: str = "",
) -> AudioClip:
    """Return the clip with one stretch raised, lengthened and made louder, as speakers do with a word that matters.

    Args:
        clip: speech.
        start_ms: where the word begins.
        end_ms: where it ends.
        semitones: added in the middle of the stretch, falling to none at its edges; negative lowers.
        gain_db: added loudness, faded at the edges; peaks are limited by turning the whole clip down.
        stretch: factor on its duration, 0.5 to 2.
        word: for the title.

    Raises:
        ConfigurationError: an empty stretch, or more than 12 semitones, 12 dB or twice the length.
    """
    start_ms, end_ms = max(0.0, start_ms), min(clip.duration_ms, end_ms)
    if end_ms - start_ms < 2 * FADE_MS:
        raise ConfigurationError(
            f"The stretch from {start_ms:.0f} to {end_ms:.0f} ms is too short to be emphasised.",
            what_now=f"Give a word inside the clip, which lasts {clip.duration_ms:.0f} ms.",
        )
    if abs(semitones) > MAX_SEMITONES or abs(gain_db) > MAX_GAIN_DB or not 1 / MAX_STRETCH <= stretch <= MAX_STRETCH:
        raise ConfigurationError(
            f"{semitones:g} semitones, {gain_db:g} dB and {stretch:g} times the length cannot be made to sound right.",
            what_now="Stay within 12 semitones, 12 dB, and half to twice the length.",
        )
    rate = clip.sample_rate_hz
    samples = clip.samples.astype(np.float64)
    first, last = int(start_ms * rate / 1000), int(end_ms * rate / 1000)
    marks, periods = _pitch_marks(samples, clip, first, last)
    new_length = round((last - first) * stretch)
    changed = _overlap_add(samples, marks, periods, (first, last), new_length, semitones)
    changed *= 10 ** (gain_db * _bump(new_length) / 20)
    fade = min(int(FADE_MS * rate / 1000), (last - first) // 2, new_length // 2)
    ramp = np.linspace(0, 1, fade)
    changed[:fade] = ramp * changed[:fade] + (1 - ramp) * samples[first : first + fade]
    changed[-fade:] = ramp[::-1] * changed[-fade:] + (1 - ramp[::-1]) * samples[last - fade : last]
    whole = np.concatenate((samples[:first], changed, samples[last:]))
    whole *= min(1.0, 32_000 / max(1.0, float(np.abs(whole).max())))
    return _titled(clip, whole, word, end_ms, (new_length - (last - first)) * 1000 / rate)


def _titled(clip: AudioClip, whole: Floats, word: str, end_ms: float, longer_ms: float) -> AudioClip:
    def moved(mark_ms: float | None) -> float | None:
        return None if mark_ms is None else mark_ms + (longer_ms if mark_ms >= end_ms - FADE_MS else 0.0)

    what = f"emphasis on “{word}” added" if word else "emphasis added"
    return dataclasses.replace(
        clip,
        samples=np.round(whole).astype(np.int16),
        title=f"{clip.title} ({what})" if clip.title else what,
        origin="; ".join(part for part in (clip.origin, f"{what} by resynthesis (TD-PSOLA)") if part),
        speech_start_ms=clip.speech_start_ms,
        speech_end_ms=moved(clip.speech_end_ms),
    )


def _pitch_marks(samples: Floats, clip: AudioClip, first: int, last: int) -> tuple[list[int], list[int]]:
    """Return where the periods of the stretch are, and how long each is, in samples."""
    rate = clip.sample_rate_hz
    track = pitch_track(clip.samples, rate)
    voiced = ~np.isnan(track.f0_hz)
    usual_hz = float(np.median(track.f0_hz[voiced])) if voiced.any() else 0.0
    marks: list[int] = []
    periods: list[int] = []
    at = first
    while at < last:
        nearest = int(np.argmin(np.abs(track.times_ms - at * 1000 / rate))) if len(track.times_ms) else 0
        f0_hz = float(track.f0_hz[nearest]) if len(track.times_ms) else float("nan")
        trusted = usual_hz and 0.6 < f0_hz / usual_hz < 1.7
        period = int(rate / f0_hz) if trusted else int(UNVOICED_PERIOD_MS * rate / 1000)
        if trusted:
            # The glottal pulse is the loudest sample near where the last period says the next should be.
            low, high = max(0, at - period // 4), min(len(samples), at + period // 4 + 1)
            at = low + int(np.argmax(samples[low:high]))
        if not marks or at > marks[-1] + period // 3:
            marks.append(at)
            periods.append(period)
        at += period
    return marks, periods


def _overlap_add(
    samples: Floats, marks: list[int], periods: list[int], edges: tuple[int, int], new_length: int, semitones: float
) -> Floats:
    first, last = edges
    scale = new_length / (last - first)
    ratios = 2 ** (semitones * _bump(new_length) / 12)
    out, weight = np.zeros(new_length), np.zeros(new_length)
    positions = np.array(marks, dtype=float) - first
    at = 0.0
    while at < new_length:
        index = int(np.argmin(np.abs(positions * scale - at)))
        period = periods[index]
        window = np.hanning(2 * period + 1)
        source, target = np.arange(-period, period + 1) + marks[index], np.arange(-period, period + 1) + round(at)
        fits = (source >= 0) & (source < len(samples)) & (target >= 0) & (target < new_length)
        out[target[fits]] += (window * samples[np.clip(source, 0, len(samples) - 1)])[fits]
        weight[target[fits]] += window[fits]
        at += period / ratios[min(int(at), new_length - 1)]
    return out / np.maximum(weight, 0.5)


def _bump(n_samples: int) -> Floats:
    """Return 0 at the edges, 1 in the middle: a raised cosine with a flat top."""
    return np.minimum(1.0, 1.5 * np.sin(np.linspace(0, np.pi, n_samples)) ** 2)
