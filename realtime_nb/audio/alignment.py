"""Which moment of one reading belongs to which of another: by words, else by dynamic time warping of the spectrum.

The warping (Sakoe & Chiba 1978) compares cepstra, which describe the speech sound and not its melody or loudness: an
alignment that used F0 would make melodies look alike that are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.clip import AudioClip

FRAME_MS, HOP_MS = 25, 10
BANDS, CEPSTRA = 24, 12
LOWEST_HZ, HIGHEST_HZ = 100.0, 5000.0
BAND_SHARE = 0.25
"""A moment may move by at most this share of the longer reading."""
MIN_WORDS_SHARE = 0.6
"""Words align two readings when at least so many of the first one's are in the second, in order."""
MAX_ALIGNED_MS = 30_000.0
"""Of speech, without words: the work grows with its square."""

Floats = npt.NDArray[np.float64]
TimedWord = tuple[str, float, float]
Method = Literal["words", "dtw"]

METHODS: dict[Method, str] = {
    "words": "by the recogniser's word times, straight lines within each word",
    "dtw": f"by dynamic time warping of {CEPSTRA} cepstra (speech sounds, no melody), in a band of {BAND_SHARE:.0%}",
}


class Alignment(NamedTuple):
    """A monotonic map between two readings.

    Attributes:
        method: how it was found.
        here_ms: times in the first clip, rising.
        there_ms: the same moments in the second.
        words: index pairs (first, second) of the words that are the same.
    """

    method: Method
    here_ms: Floats
    there_ms: Floats
    words: tuple[tuple[int, int], ...] = ()

    def there(self, here_ms: npt.ArrayLike) -> Floats:
        """Return where moments of the first clip are in the second."""
        return np.interp(np.asarray(here_ms, dtype=float), self.here_ms, self.there_ms)

    def covers(self, here_ms: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which moments of the first clip lie between the first and the last that are aligned."""
        times = np.asarray(here_ms, dtype=float)
        return (times >= self.here_ms[0]) & (times <= self.here_ms[-1])


def same_words(here: Sequence[TimedWord], there: Sequence[TimedWord]) -> tuple[tuple[int, int], ...]:
    """Return the index pairs of words that both readings have, in order; case and punctuation do not count."""
    first, second = ([_plain(word) for word, _, _ in words] for words in (here, there))
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return tuple((a + step, b + step) for a, b, size in blocks for step in range(size))


def align(
    here: AudioClip,
    there: AudioClip,
    *,
    here_words: Sequence[TimedWord] = (),
    there_words: Sequence[TimedWord] = (),
) -> Alignment:
    """Align two readings of the same text: by their words where most are the same, else by the speech sounds."""
    pairs = same_words(here_words, there_words)
    if here_words and len(pairs) >= MIN_WORDS_SHARE * len(here_words):
        starts = [(here_words[a][1], there_words[b][1]) for a, b in pairs]
        ends = [(here_words[a][2], there_words[b][2]) for a, b in pairs]
        moments = [moment for word in zip(starts, ends, strict=True) for moment in word]
        times = np.maximum.accumulate(np.array(_with_edges(moments, here, there), dtype=float), axis=0)
        return Alignment("words", times[:, 0], times[:, 1], pairs)
    first, second = _cepstra(_speech(here)), _cepstra(_speech(there))
    path = _warp(first, second)
    offsets_ms = np.array([clip.speech_start_ms or 0.0 for clip in (here, there)])
    times = path * float(HOP_MS) + FRAME_MS / 2 + offsets_ms
    return Alignment("dtw", times[:, 0], times[:, 1], pairs)


def _with_edges(moments: list[tuple[float, float]], here: AudioClip, there: AudioClip) -> list[tuple[float, float]]:
    """Add where the speech of both begins and ends, as far as known, so that a misheard edge has its place, too."""
    before = [(here.speech_start_ms, there.speech_start_ms)]
    after = [(here.speech_end_ms, there.speech_end_ms)]
    first = [(a, b) for a, b in before if a is not None and b is not None and a < moments[0][0] and b < moments[0][1]]
    last = [(a, b) for a, b in after if a is not None and b is not None and a > moments[-1][0] and b > moments[-1][1]]
    return [*first, *moments, *last]


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _speech(clip: AudioClip) -> AudioClip:
    """Return the speech without the silence around it, as far as its bounds are known; 30 s at most."""
    start_ms = clip.speech_start_ms or 0.0
    end_ms = clip.speech_end_ms if clip.speech_end_ms is not None else clip.duration_ms
    return clip.trimmed(start_ms, min(end_ms, start_ms + MAX_ALIGNED_MS))


def _cepstra(clip: AudioClip) -> Floats:
    """Return mel cepstra 1 to 12, each with mean 0 and spread 1, (n_frames, 12)."""
    rate_hz = 16_000
    samples = clip.resampled(rate_hz).samples.astype(np.float64)
    frame, hop = rate_hz * FRAME_MS // 1000, rate_hz * HOP_MS // 1000
    samples = np.pad(samples, (0, max(0, frame - len(samples))))
    starts = np.arange(1 + (len(samples) - frame) // hop) * hop
    power = np.abs(np.fft.rfft(samples[starts[:, None] + np.arange(frame)] * np.hanning(frame), 512, axis=1)) ** 2
    bands = np.log(power @ _mel_filters(rate_hz, 512).T + 1.0)
    angles = np.pi / BANDS * np.outer(np.arange(1, CEPSTRA + 1), np.arange(BANDS) + 0.5)
    cepstra = bands @ np.cos(angles).T
    return (cepstra - cepstra.mean(axis=0)) / np.maximum(cepstra.std(axis=0), 1e-6)


def _mel_filters(rate_hz: int, size: int) -> Floats:
    lowest, highest = (2595 * float(np.log10(1 + edge / 700)) for edge in (LOWEST_HZ, HIGHEST_HZ))
    mels = np.linspace(lowest, highest, BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / rate_hz)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def _warp(first: Floats, second: Floats) -> npt.NDArray[np.int64]:
    """Return the cheapest path, (n_steps, 2) frame indices; each step moves one frame on either or both sides."""
    n_first, n_second = len(first), len(second)
    band = max(10, int(BAND_SHARE * max(n_first, n_second)))
    costs = np.full((n_first + 1, n_second + 1), np.inf)
    costs[0, 0] = 0.0
    for row in range(1, n_first + 1):
        middle = row * n_second // n_first
        low, high = max(1, middle - band), min(n_second, middle + band)
        local = np.sqrt(np.mean((second[low - 1 : high] - first[row - 1]) ** 2, axis=1))
        above = np.minimum(costs[row - 1, low : high + 1], costs[row - 1, low - 1 : high]).tolist()
        left = costs[row, low - 1]
        for offset, (cost, best) in enumerate(zip(local.tolist(), above, strict=True)):
            left = cost + min(best, left)
            costs[row, low + offset] = left
    return _path(costs)


def _path(costs: Floats) -> npt.NDArray[np.int64]:
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    steps = [(row - 1, column - 1)]
    while row > 1 or column > 1:
        options = ((row - 1, column - 1), (row - 1, column), (row, column - 1))
        row, column = min(options, key=lambda cell: costs[cell])
        steps.append((row - 1, column - 1))
    return np.array(steps[::-1])
