"""A clip through the chain's bottleneck: transcribed, and the transcript spoken again. No answer comes in between."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.audio.pcm import pcm16_from_bytes
from realtime_nb.audio.prosody import TimedWord
from realtime_nb.audio.text_loss import TextLoss, what_text_loses
from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines.rest_client import RestClient, stage
from realtime_nb.pipelines.stage_server import StageEndpoint, StageServer, find_server
from realtime_nb.runtime import runtime
from realtime_nb.studies.provenance import machine, now

WORD_TIMES_MODEL = "whisper-1"
"""The hosted recogniser that tells when each word was said; asked for where no model is named."""
TIMEOUT_S = 60.0


@dataclass(frozen=True, eq=False, repr=False)
class TextBottleneck:
    """A clip before and after it was a text.

    Attributes:
        clip: what was said.
        text: all that the recogniser passed on.
        words: (word, start_ms, end_ms) in the clip; empty where the recogniser does not tell.
        spoken: the text, spoken again.
        spoken_words: likewise, in that reading.
        loss: the comparison of the two.
        provenance: engines, models, endpoints, machine and date, on one line.
    """

    clip: AudioClip
    text: str
    words: tuple[TimedWord, ...]
    spoken: AudioClip
    spoken_words: tuple[TimedWord, ...]
    loss: TextLoss
    provenance: str

    def __repr__(self) -> str:
        return (
            f"TextBottleneck({self.clip.title!r} → {self.text!r} → {self.spoken!r})\n{self.loss!r}\n{self.provenance}"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        sides = "".join(
            f'<div style="flex:1 1 260px;min-width:0"><b>{title}</b>{clip._repr_mimebundle_()["text/html"]}</div>'
            for title, clip in (("as it was said", self.clip), ("after it was a text", self.spoken))
        )
        html = (
            f'<div style="display:flex;flex-wrap:wrap;gap:16px">{sides}</div>'
            f"<p>All that went through: <code>{escape(self.text)}</code></p>"
            f"{self.loss._repr_mimebundle_()['text/html']}<small>{escape(self.provenance)}</small>"
        )
        return {"text/plain": repr(self), "text/html": html}


async def text_bottleneck(
    clip: AudioClip,
    *,
    transcription: StageEndpoint | None = None,
    speech: StageEndpoint | None = None,
    voice: str = "alloy",
    engine: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> TextBottleneck:
    """Transcribe a clip, speak the transcript again, and compare the two.

    It uses `/v1/audio/transcriptions` and `/v1/audio/speech` of `REALTIME_NB_URL`, of the hosted service when there is
    an `OPENAI_API_KEY`, else of the embedded server. The second reading is transcribed, too, for its word times. May
    be awaited from any loop; cancelling stops the work.

    Args:
        clip: speech.
        transcription: where it is transcribed; None chooses as `connect` does.
        speech: where it is spoken again.
        voice: that speaks.
        engine: of the embedded server; `REALTIME_NB_ENGINE` otherwise, else "offline".
        timeout_s: for each of the three requests, in seconds.

    Raises:
        RealtimeError: no words were recognised, or a stage failed (and which, and what now).
        AudioError: the clip is shorter than 150 ms.
    """
    chosen = engine or os.environ.get("REALTIME_NB_ENGINE", "offline")
    places = (transcription or StageEndpoint(), speech or StageEndpoint())
    found = await runtime().call(_through_text(clip, *places, voice=voice, engine=chosen, timeout_s=timeout_s))
    # Measuring computes, and asking for the machine's name reads files.
    return await asyncio.to_thread(_compared, clip, found, voice)


class _Passed(NamedTuple):
    ears: StageServer
    mouth: StageServer
    text: str
    words: tuple[TimedWord, ...]
    spoken: AudioClip
    spoken_words: tuple[TimedWord, ...]


def _compared(clip: AudioClip, found: _Passed, voice: str) -> TextBottleneck:
    loss = what_text_loses(clip, found.spoken, words=found.words, words_again=found.spoken_words)
    return TextBottleneck(clip, *found[2:], loss, _line(found.ears, found.mouth, voice))


async def _through_text(
    clip: AudioClip, transcription: StageEndpoint, speech: StageEndpoint, *, voice: str, engine: str, timeout_s: float
) -> _Passed:
    ears = await find_server("transcription", transcription, engine=engine)
    if not ears.embedded and transcription.model is None:
        ears = ears._replace(endpoint=msgspec.structs.replace(ears.endpoint, model=WORD_TIMES_MODEL))
    mouth = await find_server("speech", speech, engine=engine)
    hearing, speaking = RestClient(ears), RestClient(mouth)
    try:
        text, words = await _transcribe(hearing, ears, clip, timeout_s)
        if not text:
            raise RealtimeError(
                f"No words were recognised in {clip.title or 'the clip'!r}, so there is nothing to speak again.",
                what_now="Choose a clip with clear speech.",
            )
        spoken = await _speak(speaking, mouth, text, voice, timeout_s)
        _, spoken_words = await _transcribe(hearing, ears, spoken, timeout_s)
    finally:
        await hearing.aclose()
        await speaking.aclose()
    return _Passed(ears, mouth, text, words, spoken, spoken_words)


async def _transcribe(
    client: RestClient, server: StageServer, clip: AudioClip, timeout_s: float
) -> tuple[str, tuple[TimedWord, ...]]:
    """Return the text, with word times where the server gives them: not every model knows `verbose_json`."""
    import openai

    file = ("clip.wav", clip.to_wav_bytes(), "audio/wav")
    create = client.sdk.audio.transcriptions.create
    model = server.endpoint.model
    async with stage(server, timeout_s):
        try:
            heard: Any = await create(
                file=file, model=model, response_format="verbose_json", timestamp_granularities=["word"]
            )
        except openai.BadRequestError:
            heard = await create(file=file, model=model)
    words = getattr(heard, "words", None) or ()
    return str(heard.text).strip(), tuple((word.word, 1000 * word.start, 1000 * word.end) for word in words)


async def _speak(client: RestClient, server: StageServer, text: str, voice: str, timeout_s: float) -> AudioClip:
    async with stage(server, timeout_s):
        answer = await client.sdk.audio.speech.create(
            model=server.endpoint.model, input=text, voice=voice, response_format="pcm"
        )
        data = await answer.aread()
    origin = f"Synthetic speech by {server.engine or server.endpoint.model} at {server.said}, voice {voice!r}"
    return AudioClip(pcm16_from_bytes(data[: len(data) // 2 * 2]), title="spoken again", transcript=text, origin=origin)


def _line(ears: StageServer, mouth: StageServer, voice: str) -> str:
    engines = dict.fromkeys(server.engine for server in (ears, mouth) if server.engine)
    places = dict.fromkeys(server.said for server in (ears, mouth))
    models = "models" if ears.embedded and mouth.embedded else "models asked for"
    return " · ".join(
        (
            "measured",
            f"engine: {', '.join(engines) or 'not told by the server'}",
            f"{models}: {ears.endpoint.model} → {mouth.endpoint.model}, voice {voice}",
            f"endpoint: {', '.join(places)}",
            f"machine: {machine()}",
            "n = 1 clip",
            now()[:10],
        )
    )
