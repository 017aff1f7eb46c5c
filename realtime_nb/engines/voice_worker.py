"""The worker's side of a voice: runs a speech library sentence by sentence and sends shaped chunks.

A `SpeechLibrary` speaks one sentence at a time (the C libraries keep global state, so one lock guards them) and
computes faster than real time, so a slow reader never holds the lock: a sentence's pieces wait in a queue.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from realtime_nb.engines.speech_shaping import SpeechShaper, TimedWord
from realtime_nb.engines.worker_main import Outlet, callback_stream
from realtime_nb.errors import EngineError

Pcm16 = npt.NDArray[np.int16]
OnAudio = Callable[[Pcm16, list[TimedWord]], bool]

MAX_PIECES = 8_192
"""Pieces of one sentence that may wait: 240 characters at the slowest speed stay far below."""


class SpeechLibrary(Protocol):
    """A loaded voice library."""

    sample_rate_hz: int

    def warm(self) -> None:
        """Speak something short with every voice there is."""
        ...

    def speak(self, sentence: str, preset: dict[str, Any], speed: float, on_audio: OnAudio) -> None:
        """Speak a sentence; hand over audio as it comes. `on_audio` returns False to stop."""
        ...


class VoiceWorker:
    """What `worker_main` calls."""

    def __init__(self, library: SpeechLibrary) -> None:
        self._library = library
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Speak something short, so that the first sentence is as fast as the tenth."""
        self._library.warm()

    @callback_stream
    def speak(self, payload: dict[str, Any], out: Outlet) -> None:
        """Stream `{"pcm16": bytes, "words": [[word, start_ms, end_ms]]}` for `{sentences, preset, speed}`."""
        preset, sentences = payload["preset"], payload["sentences"]
        shaper = SpeechShaper(self._library.sample_rate_hz, tract=preset["tract"], gain_db=preset["gain_db"])
        for number, sentence in enumerate(sentences, start=1):
            for samples, words in self._pieces(sentence, preset, payload["speed"], out):
                if not all(map(out.send, shaper.push(samples, words))):
                    return
            if out.cancelled or not all(map(out.send, shaper.end_sentence(last=number == len(sentences)))):
                return

    def _pieces(
        self, sentence: str, preset: dict[str, Any], speed: float, out: Outlet
    ) -> Iterator[tuple[Pcm16, list[TimedWord]]]:
        pieces: queue.Queue[tuple[Pcm16, list[TimedWord]] | Exception | None] = queue.Queue(MAX_PIECES)

        def on_audio(samples: Pcm16, words: list[TimedWord]) -> bool:
            if out.cancelled:
                return False
            pieces.put_nowait((samples, words))
            return True

        def work() -> None:
            try:
                with self._lock:
                    if not out.cancelled:
                        self._library.speak(sentence, preset, speed, on_audio)
                pieces.put(None)
            except Exception as error:
                pieces.put(error)

        thread = threading.Thread(target=work, name="voice-sentence", daemon=True)
        thread.start()
        while (piece := pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise EngineError(f"the voice library failed: {piece}") from piece
            yield piece
        thread.join()
