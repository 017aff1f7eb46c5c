"""espeak-ng (GPL-3) through ctypes, inside a worker process and nowhere else."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from realtime_nb.engines.speech_shaping import TimedWord
from realtime_nb.engines.voice_worker import OnAudio, Pcm16, VoiceWorker
from realtime_nb.engines.worker_main import Push
from realtime_nb.errors import EngineError, EngineUnavailable

_RETRIEVAL_SYNCHRONOUS = 2
_BUFFER_MS = 40
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_POSITION_CHARACTER = 1
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1
_CONTINUE, _STOP = 0, 1
_MIN_WORDS_PER_MINUTE, _MAX_WORDS_PER_MINUTE = 80, 450


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.POINTER(_Event))


class EspeakLibrary:
    """The library; one sentence at a time, from one thread at a time.

    Raises:
        EngineUnavailable: the package `espeakng-loader` is missing or its library does not load.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._espeak: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            data_path = str(espeakng_loader.get_data_path()).encode()
        except (ImportError, OSError) as error:
            raise EngineUnavailable(
                f"espeak-ng is not installed ({error}).",
                what_now="Install it with: pip install 'realtime-nb[embedded]'",
            ) from error
        self.sample_rate_hz: int = self._espeak.espeak_Initialize(_RETRIEVAL_SYNCHRONOUS, _BUFFER_MS, data_path, 0)
        if self.sample_rate_hz <= 0:
            raise EngineUnavailable(
                "espeak-ng found no voice data.",
                what_now="Reinstall it with: pip install --force-reinstall espeakng-loader",
            )
        self._espeak.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p),
        )
        self._callback = _SynthCallback(self._on_synth)
        self._espeak.espeak_SetSynthCallback(self._callback)
        self._voice = ""
        self._on_audio: OnAudio | None = None
        self._failure: Exception | None = None
        self._sentence = ""
        self._held: list[Pcm16] = []
        self._open_word: tuple[str, float] | None = None
        self._word_end = 0
        self._samples_seen = 0

    def warm(self) -> None:
        """Speak something short, unheard."""
        preset = {"variant": "en-us+klatt3", "pitch": 50, "pitch_range": 50, "words_per_minute": 165, "tract": 1.0}
        self.speak("Ready to talk.", preset, 1.0, lambda samples, words: True)

    def speak(self, sentence: str, preset: dict[str, Any], speed: float, on_audio: OnAudio) -> None:
        """Speak a sentence with `{variant, pitch, pitch_range, words_per_minute, tract}`, a word's audio at a time."""
        self._select(preset, speed)
        self._sentence, self._on_audio, self._failure = sentence, on_audio, None
        self._held, self._open_word, self._word_end, self._samples_seen = [], None, 0, 0
        data = sentence.encode()
        status = self._espeak.espeak_Synth(data, len(data) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        if self._failure is not None:
            raise self._failure
        if status:
            raise EngineError(f"espeak-ng refused the sentence (status {status}).")
        self._release(self._samples_seen / self.sample_rate_hz)
        self._on_audio = None

    def _select(self, preset: dict[str, Any], speed: float) -> None:
        if preset["variant"] != self._voice:
            if self._espeak.espeak_SetVoiceByName(preset["variant"].encode()):
                raise EngineError(f"espeak-ng has no voice {preset['variant']!r}.")
            self._voice = preset["variant"]
        rate = round(preset["words_per_minute"] * speed / preset["tract"])
        self._espeak.espeak_SetParameter(_RATE, min(max(rate, _MIN_WORDS_PER_MINUTE), _MAX_WORDS_PER_MINUTE), 0)
        self._espeak.espeak_SetParameter(_PITCH, preset["pitch"], 0)
        self._espeak.espeak_SetParameter(_RANGE, preset["pitch_range"], 0)

    def _on_synth(self, wave: Any, n_samples: int, events: Any) -> int:
        try:
            going = self._take_words(events)
            if wave and n_samples:
                self._samples_seen += n_samples
                self._held.append(np.ctypeslib.as_array(wave, (n_samples,)).copy())
            return _CONTINUE if going else _STOP
        except Exception as error:
            self._failure = error
            return _STOP

    def _take_words(self, events: Any) -> bool:
        going, index = True, 0
        while events[index].type != _EVENT_END_OF_LIST:
            event = events[index]
            if event.type == _EVENT_WORD:
                going = self._begin_word(event) and going
            index += 1
        return going

    def _begin_word(self, event: Any) -> bool:
        """Open a word, unless the event is about a part of the one that is open (as the 27 of 427)."""
        first = event.text_position - 1
        if first < self._word_end:
            return True
        start_s = event.audio_position_ms / 1000
        going = self._release(start_s)
        self._word_end = first + event.length
        self._open_word = (self._sentence[first : self._word_end], start_s)
        return going

    def _release(self, end_s: float) -> bool:
        """Hand over the audio so far: the word it holds has its end now."""
        words: list[TimedWord] = []
        if self._open_word is not None:
            word, start_s = self._open_word
            if plain := word.strip(".,;:!?\"'()"):
                words.append((plain, start_s, end_s))
            self._open_word = None
        if not self._held and not words:
            return True
        samples = np.concatenate(self._held) if self._held else np.zeros(0, dtype=np.int16)
        self._held = []
        return self._on_audio is not None and self._on_audio(samples, words)


def main(push: Push) -> VoiceWorker:
    """Return the worker's object."""
    return VoiceWorker(EspeakLibrary())
