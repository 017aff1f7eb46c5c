"""What the embedded server needs of an engine: small protocols and the values they exchange.

All audio at this seam is mono PCM16 (`numpy.int16`, shape `(n_samples,)`). Recognisers and detectors
hear 16 kHz; synthesizers speak 24 kHz. Nothing here blocks: an engine that computes does so in a
worker process and talks to it through `realtime_nb.engines.worker`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]

RECOGNISER_SAMPLE_RATE_HZ = 16_000
SYNTHESIZER_SAMPLE_RATE_HZ = 24_000


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do. Ask this; do not test an engine's class."""

    name: str
    licence: str
    description: str = ""
    streaming: bool = False
    partials: bool = False
    word_times: bool = False
    tools: bool = False
    vision: bool = False
    voices: tuple[str, ...] = ()


class VoiceActivityDetector(Protocol):
    """One stream's speech detector. Cheap enough for the loop (≤ 1 ms a frame)."""

    capabilities: Capabilities
    frame_samples: int
    """Samples at 16 kHz that `probability` takes, exactly."""

    def probability(self, frame: Pcm16) -> float:
        """Return the probability, 0 to 1, that the frame holds speech."""
        ...

    def reset(self) -> None:
        """Forget the stream so far."""
        ...


class NoiseSuppressor(Protocol):
    """One stream's noise suppressor. Cheap enough for the loop (≤ 2 ms per 20 ms)."""

    capabilities: Capabilities

    def process(self, pcm16: Pcm16) -> Pcm16:
        """Return as many samples as came in, cleaned, at the stream's rate; at most 20 ms late."""
        ...


class WordTime(msgspec.Struct, frozen=True):
    """One word and where it stands in the audio it belongs to."""

    word: str
    start_ms: int
    end_ms: int


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What a recogniser heard.

    Attributes:
        text: the words, "" when nothing was recognised.
        confidence: 0 to 1; below 0.3 the brain should say that it did not catch it.
        words: word times relative to the first sample fed, empty when the engine has none.
        in_domain: True when the text came from the domain model, None when there is no such notion.
    """

    text: str
    confidence: float = 1.0
    words: tuple[WordTime, ...] = ()
    in_domain: bool | None = None


class TranscriberStream(Protocol):
    """One utterance being recognised while it is spoken.

    `feed` is called on the loop and only queues (bounded; a stream that cannot keep up drops nothing:
    it raises `EngineCrashed` from the next await). One stream serves one user turn.
    """

    def feed(self, pcm16: Pcm16) -> None:
        """Queue audio, 16 kHz."""
        ...

    async def hypothesis(self) -> Transcript:
        """Return the transcript as if the turn ended now. More `feed` calls may follow and go on with the turn.

        Cancelling is safe; the stream stays usable.
        """
        ...

    async def finish(self) -> Transcript:
        """Return the final transcript and release the stream.

        It equals the last `hypothesis` if nothing was fed since.
        """
        ...

    async def aclose(self) -> None:
        """Release the stream without a result. Closing twice is fine."""
        ...


class Transcriber(Protocol):
    """A recogniser. `open` a stream per user turn."""

    capabilities: Capabilities

    async def start(self) -> None:
        """Load and warm everything, so that the first turn is as fast as the tenth. Calling twice is fine."""
        ...

    async def open(
        self,
        *,
        on_partial: Callable[[str], None] | None = None,
        vocabulary: Sequence[str] = (),
    ) -> TranscriberStream:
        """Open a stream.

        Args:
            on_partial: called on the loop with the whole text so far whenever it changes.
            vocabulary: sentences or words to expect besides the engine's own domain (session instructions,
                tool names and descriptions, a transcription prompt).
        """
        ...

    async def aclose(self) -> None: ...


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said so far, as a chat model reads it.

    Attributes:
        role: "system", "user", "assistant", "tool_call" or "tool_output".
        text: what was said; for a call its JSON arguments; for an output the output string.
        name: the function's name, for calls.
        call_id: ties an output to its call.
        confidence: of the recogniser, for spoken user messages.
        image_urls: data URIs of images in a user message.
    """

    role: str
    text: str
    name: str | None = None
    call_id: str | None = None
    confidence: float = 1.0
    image_urls: tuple[str, ...] = ()


class ChatTool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a chat model needs for one response."""

    instructions: str = ""
    messages: tuple[ChatMessage, ...] = ()
    tools: tuple[ChatTool, ...] = ()
    tool_choice: str = "auto"
    """"none", "auto", "required", or the name of one function."""
    max_output_tokens: int | None = None
    spoken: bool = True
    """False when the answer will be read and not heard."""


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of the answer's text, spaces included."""

    text: str


class ToolCall(msgspec.Struct, frozen=True):
    """A complete function call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


ChatDelta = TextDelta | ToolCall


class ChatModel(Protocol):
    """The dialogue brain: a streamed answer, function calls included. Stateless: all state is in the request."""

    capabilities: Capabilities

    async def start(self) -> None: ...

    def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        """Stream an answer. Closing the iterator stops the work. Raises `EngineError`."""
        ...

    async def aclose(self) -> None: ...


class SynthesizedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of speech.

    Attributes:
        pcm16: int16, 24 kHz, mono, 20 to 200 ms (the last may be shorter).
        words: words that begin in this chunk, times relative to the start of the whole utterance.
    """

    pcm16: Pcm16
    words: tuple[WordTime, ...] = ()


class Synthesizer(Protocol):
    """A voice. Several utterances may run at once; each is one async iterator."""

    capabilities: Capabilities

    async def start(self) -> None: ...

    def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncIterator[SynthesizedChunk]:
        """Stream the speech of `text`. Closing the iterator stops the work. Raises `EngineError`.

        Args:
            text: one or more sentences, at most 4,096 characters.
            voice: one of `capabilities.voices`; an unknown one raises `EngineUnavailable`.
            speed: 0.25 to 1.5.
        """
        ...

    async def aclose(self) -> None: ...


class EngineSet(msgspec.Struct, kw_only=True):
    """The engines behind one embedded server.

    Attributes:
        name: what users pick and what the UI shows, for example "offline" or "scripted".
        model: the model name announced in `session.created`.
        label: one line for humans, for example "pocketsphinx · matcher · flite".
        noise_suppressor: makes one of a kind ("near_field", "far_field") for a sample rate in Hz; None when there is
            none. May take a while: called off the loop.
    """

    name: str
    model: str
    label: str
    vad: Callable[[], VoiceActivityDetector]
    transcriber: Transcriber
    chat: ChatModel
    synthesizer: Synthesizer
    noise_suppressor: Callable[[str, int], NoiseSuppressor] | None = None

    async def start(self) -> None:
        """Warm all three engines in parallel, and let the detector read its weights off the loop."""
        import anyio
        import anyio.to_thread

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, self.vad)
            for engine in (self.transcriber, self.chat, self.synthesizer):
                tasks.start_soon(engine.start)

    async def aclose(self) -> None:
        """Release workers. Closing twice is fine."""
        for engine in (self.transcriber, self.chat, self.synthesizer):
            await engine.aclose()
