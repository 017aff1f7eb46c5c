"""Engines that do exactly what a script says: deterministic, seedable, with set delays.

They serve tests (drive `sleep` with a virtual clock), teaching (see how each delay moves the whole turn) and load
(they cost next to nothing). Nothing here imports more than numpy.

    engines = create(texts=["where is my order"], replies=[("order", "It is on its way.")])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import anyio

from realtime_nb.engines import noise_suppression
from realtime_nb.engines.base import EngineSet
from realtime_nb.engines.scripted.chat import ChatReply, ChatRules, ChatScript, ScriptedChat
from realtime_nb.engines.scripted.listening import (
    DEFAULT_TEXTS,
    HeardAs,
    ScriptedTranscriber,
    ScriptedTranscriberStream,
    ScriptedVad,
    rms_dbfs,
    speech_duration_ms,
)
from realtime_nb.engines.scripted.script import ScriptedCrash, ScriptedDelays, Sleep
from realtime_nb.engines.scripted.speech import VOICE_FREQUENCIES_HZ, ScriptedSynthesizer, word_times

__all__ = [
    "DEFAULT_TEXTS",
    "VOICE_FREQUENCIES_HZ",
    "ChatReply",
    "ChatRules",
    "ChatScript",
    "HeardAs",
    "ScriptedChat",
    "ScriptedCrash",
    "ScriptedDelays",
    "ScriptedSynthesizer",
    "ScriptedTranscriber",
    "ScriptedTranscriberStream",
    "ScriptedVad",
    "Sleep",
    "create",
    "rms_dbfs",
    "speech_duration_ms",
    "word_times",
]


def create(
    *,
    texts: Sequence[str | HeardAs] = DEFAULT_TEXTS,
    replies: ChatRules | ChatScript | None = None,
    delays: ScriptedDelays | None = None,
    transcriber_crashes: Iterable[ScriptedCrash] = (),
    chat_crashes: Iterable[ScriptedCrash] = (),
    synthesizer_crashes: Iterable[ScriptedCrash] = (),
    seed: int = 0,
    sleep: Sleep = anyio.sleep,
) -> EngineSet:
    """Return a set of scripted engines.

    Args:
        texts: what the transcriber hears, in order.
        replies: rules or a function for the chat model (see `ScriptedChat`); None repeats what was heard.
        delays: how long each step takes.
        transcriber_crashes: when the transcriber breaks.
        chat_crashes: when the chat model breaks.
        synthesizer_crashes: when the synthesizer breaks.
        seed: of the delays' jitter.
        sleep: how to wait, in seconds; give a virtual clock's to go faster than time.
    """
    return EngineSet(
        name="scripted",
        model="realtime-nb-scripted",
        label="scripted texts · scripted replies · tones",
        vad=ScriptedVad,
        transcriber=ScriptedTranscriber(texts, delays=delays, crashes=transcriber_crashes, seed=seed, sleep=sleep),
        chat=ScriptedChat(replies, delays=delays, crashes=chat_crashes, seed=seed, sleep=sleep),
        synthesizer=ScriptedSynthesizer(delays=delays, crashes=synthesizer_crashes, seed=seed, sleep=sleep),
        noise_suppressor=noise_suppression.factory(),
    )
