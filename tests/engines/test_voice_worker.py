import threading
from typing import Any

import numpy as np
import pytest

from realtime_nb.engines.voice_worker import OnAudio, VoiceWorker
from realtime_nb.engines.worker_main import Outlet
from realtime_nb.errors import EngineError

PRESET = {"tract": 1.0, "gain_db": 0.0}


class FakeLibrary:
    """Speaks loud 50 ms pieces for ever, or until told to stop."""

    sample_rate_hz = 16_000

    def __init__(self, pieces: int | None = None, failure: Exception | None = None) -> None:
        self.pieces = pieces
        self.failure = failure
        self.spoken: list[str] = []
        self.stopped = threading.Event()

    def warm(self) -> None:
        self.spoken.append("warm")

    def speak(self, sentence: str, preset: dict[str, Any], speed: float, on_audio: OnAudio) -> None:
        self.spoken.append(sentence)
        if self.failure is not None:
            raise self.failure
        piece = np.tile(np.array([8_000, -8_000], dtype=np.int16), 400)
        number = 0
        while self.pieces is None or number < self.pieces:
            number += 1
            if not on_audio(piece, []):
                self.stopped.set()
                return
            threading.Event().wait(0.001)


def test_a_cancelled_stream_stops_the_library_and_speaks_no_more_sentences():
    library = FakeLibrary()
    items: list[Any] = []
    outlet = Outlet(lambda item: (items.append(item), outlet.cancel()), 100)
    VoiceWorker(library).speak({"sentences": ["one", "two"], "preset": PRESET, "speed": 1.0}, outlet)
    assert library.stopped.wait(10)
    assert library.spoken == ["one"]
    assert len(items) == 1


def test_a_failing_library_is_an_engine_error():
    with pytest.raises(EngineError, match="out of breath"):
        worker = VoiceWorker(FakeLibrary(failure=RuntimeError("out of breath")))
        worker.speak({"sentences": ["one"], "preset": PRESET, "speed": 1.0}, Outlet(lambda item: None, 100))


def test_sentences_follow_one_another():
    library = FakeLibrary(pieces=4)
    items: list[Any] = []
    worker = VoiceWorker(library)
    worker.warm()
    worker.speak({"sentences": ["one", "two"], "preset": PRESET, "speed": 1.0}, Outlet(items.append, 100))
    assert library.spoken == ["warm", "one", "two"]
    assert sum(len(item["pcm16"]) for item in items) / 48 == pytest.approx(200 + 220 + 200 + 60, abs=3)
