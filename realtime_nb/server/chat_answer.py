"""An answer of the chat endpoint as the wire shows it, whole or in chunks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from realtime_nb.audio.codec import encode_audio
from realtime_nb.audio.pcm import pcm16_to_bytes
from realtime_nb.engines.base import Pcm16
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.session_config import voice_name
from realtime_nb.server.chat_body import ChatBody
from realtime_nb.server.chat_prompt import PromptTokens
from realtime_nb.server.chat_reply import Reply, SaidPiece
from realtime_nb.server.production import Called, Spoken
from realtime_nb.server.speech import checked_codec

BASE64_BYTES = 6
"""Audio goes out in multiples of this: whole samples, and all base64 put together is the base64 of the whole."""


class ChatAnswer:
    """One answer.

    Args:
        body: of the request.
        prompt: what the model read.
        ids: makes the identifiers.
        created: Unix time, seconds.
        longest_tokens: of the answer.
        engine: what really answers, as its `system_fingerprint`.

    Attributes:
        reply: what is being said.
        audio_id: what later requests call its speech.
        voice: that speaks it.
    """

    def __init__(
        self, body: ChatBody, prompt: PromptTokens, *, ids: IdFactory, created: int, longest_tokens: int, engine: str
    ) -> None:
        self.reply = Reply(
            longest_tokens=longest_tokens, one_call=body.parallel_tool_calls is False, keeps_audio=not body.stream
        )
        self.audio_id = ids.new("audio")
        self.voice = voice_name(body.audio.voice) if body.audio is not None else "alloy"
        self._body = body
        self._prompt = prompt
        self._ids = ids
        self._head = {
            "id": ids.new("chatcmpl"),
            "created": created,
            "model": body.model,
            "service_tier": "default",
            "system_fingerprint": engine,
        }
        self._with_usage = body.stream_options is not None and body.stream_options.include_usage
        self._begun = False
        self._audio_begun = False
        self._n_calls = 0
        self._unsent = b""

    # --- whole ----------------------------------------------------------------------------------------------------

    def whole(self, expires_at: int) -> bytes:
        """Return the whole answer as JSON. Encodes its audio: keep it off a loop.

        Args:
            expires_at: when its speech is forgotten, Unix time in seconds.
        """
        choice = {
            "index": 0,
            "message": self._message(expires_at),
            "finish_reason": self.reply.finish_reason,
            "logprobs": None,
        }
        answer = {"object": "chat.completion", **self._head, "choices": [choice], "usage": self._usage()}
        return msgspec.json.encode(answer)

    def _message(self, expires_at: int) -> dict[str, Any]:
        reply = self.reply
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        if not self._body.spoken:
            message["content"] = reply.text or (None if reply.calls else "")
        elif reply.audio_ms:
            assert self._body.audio is not None
            codec = checked_codec(self._body.audio.format, param="audio.format")
            message["audio"] = {
                "id": self.audio_id,
                "data": base64.b64encode(encode_audio(reply.pcm16, codec)).decode(),
                "expires_at": expires_at,
                "transcript": reply.text,
            }
        if reply.calls:
            message["tool_calls"] = [self._call(call, self._ids.new("call")) for call in reply.calls]
        return message

    @staticmethod
    def _call(call: Called, call_id: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}

    # --- in chunks ------------------------------------------------------------------------------------------------

    def chunks(self, piece: SaidPiece) -> Iterator[dict[str, Any]]:
        """Return what one more piece adds to the stream."""
        if not self._begun:
            self._begun = True
            content = {} if self._body.spoken else {"content": ""}
            yield self._chunk({"role": "assistant", **content, "refusal": None})
        if isinstance(piece, Called):
            yield from self._call_chunks(piece)
        elif not isinstance(piece, Spoken):
            yield self._chunk({"content": piece.text})
        else:
            if piece.text:
                yield self._audio_chunk({"transcript": piece.text})
            yield from self._data_chunks(piece.pcm16)

    def last_chunks(self, expires_at: int) -> Iterator[dict[str, Any]]:
        """Return the stream's end.

        Args:
            expires_at: when its speech is forgotten, Unix time in seconds.
        """
        if not self._begun:
            yield self._chunk({"role": "assistant", "content": None if self._body.spoken else "", "refusal": None})
        if self._unsent:
            yield self._audio_chunk({"data": base64.b64encode(self._unsent).decode()})
        if self._audio_begun:
            yield self._chunk({"audio": {"expires_at": expires_at}})
        yield self._chunk({}, finish_reason=self.reply.finish_reason)
        if self._with_usage:
            yield {"object": "chat.completion.chunk", **self._head, "choices": [], "usage": self._usage()}

    def _call_chunks(self, call: Called) -> Iterator[dict[str, Any]]:
        index, self._n_calls = self._n_calls, self._n_calls + 1
        begun = self._call(Called(call.name, ""), self._ids.new("call"))
        yield self._chunk({"tool_calls": [{"index": index, **begun}]})
        yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": call.arguments}}]})

    def _data_chunks(self, pcm16: Pcm16) -> Iterator[dict[str, Any]]:
        data = self._unsent + pcm16_to_bytes(pcm16)
        whole = len(data) - len(data) % BASE64_BYTES
        self._unsent = data[whole:]
        if whole:
            yield self._audio_chunk({"data": base64.b64encode(data[:whole]).decode()})

    def _audio_chunk(self, audio: dict[str, Any]) -> dict[str, Any]:
        """Return a chunk of audio; the first alone names the id, for clients put the strings of all together."""
        named = {} if self._audio_begun else {"id": self.audio_id}
        self._audio_begun = True
        return self._chunk({"audio": {**named, **audio}})

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._with_usage else {}
        return {"object": "chat.completion.chunk", **self._head, "choices": [choice], **usage}

    # --- cost -----------------------------------------------------------------------------------------------------

    def _usage(self) -> dict[str, Any]:
        prompt, reply = self._prompt, self.reply
        completion = reply.text_tokens + reply.audio_tokens
        return {
            "prompt_tokens": prompt.total,
            "completion_tokens": completion,
            "total_tokens": prompt.total + completion,
            "prompt_tokens_details": {
                "text_tokens": prompt.text,
                "audio_tokens": prompt.audio,
                "image_tokens": prompt.image,
                "cached_tokens": 0,
            },
            "completion_tokens_details": {
                "text_tokens": reply.text_tokens,
                "audio_tokens": reply.audio_tokens,
                "reasoning_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
