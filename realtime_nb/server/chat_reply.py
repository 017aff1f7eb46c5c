"""One answer of the chat endpoint being made: pieces of the same production as a session's reply, counted and cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from math import ceil
from typing import Literal

import numpy as np

from realtime_nb.engines.base import SYNTHESIZER_SAMPLE_RATE_HZ, Pcm16
from realtime_nb.server.production import Broke, Called, Ended, Production, Spoken, Written
from realtime_nb.server.prompt import ASSISTANT_AUDIO_MS_PER_TOKEN, CHARACTERS_PER_TOKEN

FinishReason = Literal["stop", "length", "tool_calls"]
SaidPiece = Written | Spoken | Called


class Reply:
    """What was said so far.

    Args:
        longest_tokens: of text and audio together; beyond it the answer is cut (`length`).
        one_call: stop after the first function call.
        keeps_audio: for `pcm16`; a stream does not need it.
    """

    def __init__(self, *, longest_tokens: int, one_call: bool, keeps_audio: bool) -> None:
        self.calls: list[Called] = []
        self._longest_tokens = longest_tokens
        self._one_call = one_call
        self._keeps_audio = keeps_audio
        self._texts: list[str] = []
        self._audio: list[Pcm16] = []
        self._characters = 0
        self._samples = 0

    async def pieces(self, production: Production) -> AsyncGenerator[SaidPiece, None]:
        """Run a production and yield what it makes, up to the length. Closing the generator stops the work.

        Raises:
            Exception: an engine failed, with an `EngineError` if it keeps its promises.
        """
        work = asyncio.create_task(production.run(), name="chat-production")
        try:
            while not self._full:
                piece = await production.take()
                if isinstance(piece, Ended):
                    return
                if isinstance(piece, Broke):
                    raise piece.error
                self._add(piece)
                yield piece
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _add(self, piece: SaidPiece) -> None:
        if isinstance(piece, Called):
            self.calls.append(piece)
            self._characters += len(piece.name) + len(piece.arguments)
            return
        self._texts.append(piece.text)
        self._characters += len(piece.text)
        if isinstance(piece, Spoken):
            if self._keeps_audio:
                self._audio.append(piece.pcm16)
            self._samples += len(piece.pcm16)

    @property
    def _too_long(self) -> bool:
        return self.text_tokens + self.audio_tokens >= self._longest_tokens

    @property
    def _full(self) -> bool:
        return self._too_long or (self._one_call and bool(self.calls))

    @property
    def text(self) -> str:
        """The words."""
        return "".join(self._texts)

    @property
    def pcm16(self) -> Pcm16:
        """The speech, int16 at 24 kHz, if it is kept."""
        return np.concatenate(self._audio) if self._audio else np.zeros(0, np.int16)

    @property
    def audio_ms(self) -> float:
        """How long the speech is."""
        return self._samples * 1000 / SYNTHESIZER_SAMPLE_RATE_HZ

    @property
    def text_tokens(self) -> int:
        """Words and calls, by the documented rates."""
        return ceil(self._characters / CHARACTERS_PER_TOKEN)

    @property
    def audio_tokens(self) -> int:
        """Speech, by the documented rates."""
        return ceil(self.audio_ms / ASSISTANT_AUDIO_MS_PER_TOKEN)

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended, once it has."""
        if self.calls:
            return "tool_calls"
        return "length" if self._too_long else "stop"
