"""What a pocketsphinx decoder has understood, and whether to believe it."""

from __future__ import annotations

import math
from typing import Any

FRAMES_PER_S = 100
UNENDED_SCORE_SCALE = 1024.0
ACOUSTIC_MIDDLE = -4.0
ACOUSTIC_WIDTH = 0.2
"""Mean acoustic log score a word frame at which the fit is one half: real speech lies above, garbage below."""
SUSTAINED_MIDDLE = -1.5
SUSTAINED_WIDTH = 0.1
"""A score that speech, whose sounds change, does not reach: 100 clips of 6 voices and 2 people lie below -1.8, hiss and
hum mostly above -0.4."""
SLOWEST_MS_A_PHONE = 180.0
LENGTHENED_MS = 120.0
"""The same clips lie below 190 ms a phone; the last syllable of a turn may take this much longer. Hiss, hum and clatter
that a decoder takes for a word lie above 220."""
TEMPO_STEEPNESS = 6


class Reading:
    """What one decoder has at this moment."""

    def __init__(self, decoder: Any, *, ended: bool = False) -> None:
        """Read the decoder's best path.

        Args:
            decoder: a pocketsphinx decoder.
            ended: whether `end_utt` was called; before it acoustic scores are in units of `UNENDED_SCORE_SCALE`.
        """
        scale = 1.0 if ended else UNENDED_SCORE_SCALE
        best = decoder.hyp()
        self.log_score = math.log(best.score) if best is not None and best.score > 0 else -math.inf
        self.frames = max(1, decoder.n_frames())
        self.words: list[tuple[str, int, int]] = []
        self._phones = 0
        acoustic = 0.0
        for segment in decoder.seg() or () if best is not None else ():
            if segment.word[0] not in "<[+":
                word = segment.word.partition("(")[0]
                self.words.append((word, segment.start_frame, segment.end_frame + 1))
                self._phones += len((decoder.lookup_word(word) or word).split())
                acoustic += math.log(max(segment.ascore, 1e-300)) * scale
        self._word_frames = sum(end - start for _, start, end in self.words)
        self.text = " ".join(word for word, _, _ in self.words)
        self.acoustic = acoustic / self._word_frames if self._word_frames else -math.inf

    @property
    def fit(self) -> float:
        """How well the sound fits the words, 0 to 1."""
        return _logistic((self.acoustic - ACOUSTIC_MIDDLE) / ACOUSTIC_WIDTH) if self.words else 0.0

    @property
    def plausibility(self) -> float:
        """Whether anybody speaks like that, 0 to 1."""
        if not self.words:
            return 0.0
        allowed_ms = SLOWEST_MS_A_PHONE * self._phones + LENGTHENED_MS
        tempo = min(1.0, allowed_ms / (self._word_frames * 1000 / FRAMES_PER_S)) ** TEMPO_STEEPNESS
        return tempo * _logistic((SUSTAINED_MIDDLE - self.acoustic) / SUSTAINED_WIDTH)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(min(60.0, -x)))
