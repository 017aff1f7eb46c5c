"""One request from speech to speech: `/v1/chat/completions` with audio in and audio out, streamed."""

from __future__ import annotations

import base64
import contextlib
import time
from typing import Any, ClassVar

from realtime_nb.audio import AudioClip
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import Route

from .chat_request import ChatAnswer, ChatRequest
from .heard_here import HeardHere
from .rest_client import stage, uploading
from .stage_server import StageEndpoint
from .turn_run import TurnRun

EXPIRY_MARGIN_S = 60
"""An answer that the server will soon forget is repeated in words."""


class ChatAudioPipeline(HeardHere):
    """Records to the end of the turn, sends the sound, plays what streams back.

    The history holds the user's recordings; earlier answers are named by their audio id while the server knows it, and
    repeated in words after that. What the user said is never known in words.

    Args:
        chat: does `/v1/chat/completions` with audio; None chooses as `connect` does.
        options: see `HeardHere` and `TurnPipeline`.
    """

    route: ClassVar[Route] = "chat-audio"

    def __init__(self, *, chat: StageEndpoint | None = None, **options: Any) -> None:
        super().__init__({"audio_chat": chat}, **options)

    async def _answer(self, turn: TurnRun, question: AudioClip) -> list[dict[str, Any]]:
        server = self._servers["audio_chat"]
        data = base64.b64encode(question.to_wav_bytes()).decode()
        part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        user = {"role": "user", "content": [part]}
        request = {
            "model": server.endpoint.model,
            "modalities": ["text", "audio"],
            "audio": {"voice": self.voice, "format": "pcm16"},
        }
        answer = ChatAnswer()
        async with stage(server, self.timeouts.chat_s):
            with uploading(lambda: turn.reach("uploaded")):
                chat = ChatRequest(self._sdk("audio_chat"), turn, self.toolbox, request)
                async with contextlib.aclosing(chat.deltas([*self._earlier(), user], answer)) as deltas:
                    async for delta in deltas:
                        _take(turn, delta, answer)
        return [user, *answer.added, _remembered(answer)]

    def _earlier(self) -> list[dict[str, Any]]:
        system = [{"role": "system", "content": self.instructions}] if self.instructions else []
        return [*system, *(_as_sent(message) for message in self._history)]


def _take(turn: TurnRun, delta: Any, answer: ChatAnswer) -> None:
    arrived_ms = monotonic_ms()
    audio = getattr(delta, "audio", None)
    data, words = answer.take_audio(audio) if audio is not None else ("", "")
    if data or words or delta.content:
        turn.speaks_after_tools()
    if words or delta.content:
        turn.said(words or delta.content, arrived_ms)
        answer.text += "" if words else delta.content
    if data:
        turn.spoken(base64.b64decode(data), arrived_ms)


def _remembered(answer: ChatAnswer) -> dict[str, Any]:
    words = answer.audio_transcript or answer.text
    return {"role": "assistant", "content": words, "audio": {"id": answer.audio_id}, "expires_at": answer.expires_at}


def _as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """Return a remembered message as the wire wants it now."""
    if "audio" not in message:
        return message
    if message["audio"]["id"] and message["expires_at"] > time.time() + EXPIRY_MARGIN_S:
        return {"role": "assistant", "audio": message["audio"]}
    return {"role": "assistant", "content": message["content"]}
