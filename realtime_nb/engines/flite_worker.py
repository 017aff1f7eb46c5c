"""Flite (Carnegie Mellon, BSD-like licence) through ctypes, inside a worker process."""

from __future__ import annotations

import ctypes
import unicodedata
from typing import Any

import numpy as np

from realtime_nb.engines.speech_shaping import TimedWord
from realtime_nb.engines.voice_worker import OnAudio, Pcm16, VoiceWorker
from realtime_nb.engines.worker_main import Push
from realtime_nb.errors import EngineUnavailable

LIBRARY = "libflite.so.1"
VOICE_LIBRARIES = ("slt", "rms", "awb", "kal16")
SAMPLE_RATE_HZ = 16_000
_PIECE_SAMPLES = 320
_CONTINUE, _STOP = 0, -1

# Flite keeps the pointer of a feature's name and not a copy: these must live as long as the process.
_KEY_STREAMING = ctypes.create_string_buffer(b"streaming_info")
_KEY_STRETCH = ctypes.create_string_buffer(b"duration_stretch")
_KEY_F0_SHIFT = ctypes.create_string_buffer(b"f0_shift")

_FIRST_SEGMENT_START = b"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end"
_LAST_SEGMENT_END = b"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end"

_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
)

_Pointer = ctypes.c_void_p


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_int16)),
    )


class _StreamingInfo(ctypes.Structure):
    pass


_AudioCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(_Wave), ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(_StreamingInfo)
)
_StreamingInfo._fields_ = (
    ("min_buffsize", ctypes.c_int),
    ("asc", _AudioCallback),
    ("utt", _Pointer),
    ("item", _Pointer),
    ("userdata", _Pointer),
)


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", _Pointer), ("ffunctions", _Pointer), ("utt_init", _Pointer))


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "flite_init": (ctypes.c_int, ()),
    "new_audio_streaming_info": (ctypes.POINTER(_StreamingInfo), ()),
    "audio_streaming_info_val": (_Pointer, (ctypes.POINTER(_StreamingInfo),)),
    "flite_feat_set": (None, (_Pointer, _Pointer, _Pointer)),
    "flite_feat_set_float": (None, (_Pointer, _Pointer, ctypes.c_float)),
    "flite_text_to_wave": (_Pointer, (ctypes.c_char_p, _Pointer)),
    "delete_wave": (None, (_Pointer,)),
    "utt_relation": (_Pointer, (_Pointer, ctypes.c_char_p)),
    "relation_head": (_Pointer, (_Pointer,)),
    "item_next": (_Pointer, (_Pointer,)),
    "flite_ffeature_float": (ctypes.c_float, (_Pointer, ctypes.c_char_p)),
    "flite_ffeature_string": (ctypes.c_char_p, (_Pointer, ctypes.c_char_p)),
}


class FliteLibrary:
    """The library and its four voices; one sentence at a time, from one thread at a time.

    Raises:
        EngineUnavailable: the libraries are not on this system.
    """

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self) -> None:
        try:
            self._flite: Any = ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)
            self._voice_libraries = {name: ctypes.CDLL(f"libflite_cmu_us_{name}.so.1") for name in VOICE_LIBRARIES}
        except OSError as error:
            raise EngineUnavailable(
                f"flite is not installed ({error}).", what_now="Install it with: apt-get install libflite1"
            ) from error
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._flite, name)
            function.restype, function.argtypes = result, arguments
        self._flite.flite_init()
        self._callback = _AudioCallback(self._on_wave)
        self._voices = {name: self._register(name) for name in VOICE_LIBRARIES}
        self._on_audio: OnAudio | None = None
        self._failure: Exception | None = None
        self._words_told = False

    def _register(self, name: str) -> Any:
        register = getattr(self._voice_libraries[name], f"register_cmu_us_{name}")
        register.restype, register.argtypes = ctypes.POINTER(_Voice), (_Pointer,)
        voice = register(None)
        info = self._flite.new_audio_streaming_info()
        info.contents.min_buffsize = _PIECE_SAMPLES
        info.contents.asc = self._callback
        value = self._flite.audio_streaming_info_val(info)
        self._flite.flite_feat_set(voice.contents.features, _KEY_STREAMING, value)
        return voice

    def warm(self) -> None:
        """Speak a word with each voice library."""
        for name in VOICE_LIBRARIES:
            preset = {"library": name, "stretch": 1.0, "f0_shift": 1.0, "tract": 1.0}
            self.speak("Ready to talk.", preset, 1.0, lambda samples, words: True)

    def speak(self, sentence: str, preset: dict[str, Any], speed: float, on_audio: OnAudio) -> None:
        """Speak a sentence with `{library, stretch, f0_shift, tract}`; pieces of 10 to 30 ms come as they are made."""
        voice = self._voices[preset["library"]]
        features = voice.contents.features
        stretch = preset["stretch"] * preset["tract"] / speed
        self._flite.flite_feat_set_float(features, _KEY_STRETCH, stretch)
        self._flite.flite_feat_set_float(features, _KEY_F0_SHIFT, preset["f0_shift"] / preset["tract"])
        self._on_audio, self._failure, self._words_told = on_audio, None, False
        wave = self._flite.flite_text_to_wave(_ascii(sentence), ctypes.cast(voice, _Pointer))
        self._on_audio = None
        if wave:
            self._flite.delete_wave(wave)
        if self._failure is not None:
            raise self._failure

    def _on_wave(self, wave: Any, start: int, size: int, last: int, info: Any) -> int:
        try:
            words = [] if self._words_told else self._words(info.contents.utt)
            self._words_told = True
            samples: Pcm16 = np.ctypeslib.as_array(wave.contents.samples, (start + size,))[start:].copy()
            assert self._on_audio is not None
            return _CONTINUE if self._on_audio(samples, words) else _STOP
        except Exception as error:
            self._failure = error
            return _STOP

    def _words(self, utterance: int | None) -> list[TimedWord]:
        """Return the written words with their times, which flite knows before it makes the first sample."""
        words: list[TimedWord] = []
        relation = self._flite.utt_relation(utterance, b"Token") if utterance else None
        item = self._flite.relation_head(relation) if relation else None
        while item:
            word = self._flite.flite_ffeature_string(item, b"name").decode("ascii", "replace")
            start_s = self._flite.flite_ffeature_float(item, _FIRST_SEGMENT_START)
            end_s = self._flite.flite_ffeature_float(item, _LAST_SEGMENT_END)
            if end_s > start_s:
                words.append((word, start_s, end_s))
            item = self._flite.item_next(item)
        return words


def _ascii(sentence: str) -> bytes:
    """Return the sentence as flite reads it: letters without accents."""
    return unicodedata.normalize("NFKD", sentence.translate(_LETTERS)).encode("ascii", "ignore")


def main(push: Push) -> VoiceWorker:
    """Return the worker's object."""
    return VoiceWorker(FliteLibrary())
