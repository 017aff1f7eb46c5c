"""The messages of a request as a chat model reads them: recordings heard, earlier answers looked up, all counted."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from math import ceil
from typing import Any

import msgspec

from realtime_nb.engines.base import ChatMessage, ChatRequest, ChatTool, EngineSet, Transcript
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.images import read_image
from realtime_nb.server.chat_body import (
    AnyMessage,
    AssistantMessage,
    AudioPart,
    ChatBody,
    DeveloperMessage,
    ImagePart,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    tools,
)
from realtime_nb.server.context import vocabulary
from realtime_nb.server.kept_answers import KeptAnswers
from realtime_nb.server.prompt import (
    ASSISTANT_AUDIO_MS_PER_TOKEN,
    USER_AUDIO_MS_PER_TOKEN,
    image_tokens,
    text_tokens,
)
from realtime_nb.server.recognition import read_recording, recognise

MAX_RECORDING_BYTES = 25 * 1024 * 1024
BASE64_SLICE = 4 * 64 * 1024
"""Characters decoded in one go: no other thread runs meanwhile."""
REMEMBERED_RECORDINGS = 256
"""Recordings of earlier turns whose words are known, so that they are not heard again with every turn."""


class PromptTokens(msgspec.Struct):
    """What a model reads, counted by the documented rates."""

    text: int = 0
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.text + self.audio + self.image


class ChatPrompt(msgspec.Struct, frozen=True):
    """A request, ready for the chat model."""

    request: ChatRequest
    tokens: PromptTokens


class PromptReader:
    """Reads requests of one server.

    Args:
        engines: whose recogniser hears recordings.
        answers: that requests may refer to.
    """

    def __init__(self, engines: EngineSet, answers: KeptAnswers) -> None:
        self._engines = engines
        self._answers = answers
        self._remembered: OrderedDict[bytes, tuple[Transcript, float]] = OrderedDict()

    async def read(self, body: ChatBody) -> ChatPrompt:
        """Return the prompt of a request. The newest recording is always heard; earlier ones only once.

        Raises:
            RemoteProtocolError: a recording, an image or a reference cannot be used.
            EngineError: the recogniser failed.
        """
        offered, choice = tools(body)
        first = next((n for n, one in enumerate(body.messages) if not _instructs(one)), len(body.messages))
        instructions = "\n\n".join(_words(one.content) for one in body.messages[:first] if _instructs(one))
        expected = vocabulary(instructions, [msgspec.to_builtins(tool) for tool in offered], None)
        tokens = PromptTokens(text=text_tokens(instructions + _tools_text(body, offered)))
        newest = max((n for n, one in enumerate(body.messages) if isinstance(one, UserMessage)), default=-1)
        messages: list[ChatMessage] = []
        for index, message in enumerate(body.messages[first:], start=first):
            at = f"messages[{index}]"
            if isinstance(message, UserMessage):
                messages.append(await self._user(message, at, tokens, expected, fresh=index == newest))
            else:
                messages += self._other(message, at, tokens)
        request = ChatRequest(
            instructions=instructions,
            messages=tuple(messages),
            tools=offered,
            tool_choice=choice,
            max_output_tokens=body.longest_tokens,
            spoken=body.spoken,
        )
        return ChatPrompt(request, tokens)

    def _other(self, message: AnyMessage, at: str, tokens: PromptTokens) -> list[ChatMessage]:
        if isinstance(message, AssistantMessage):
            return self._assistant(message, at, tokens)
        assert not isinstance(message, UserMessage)
        text = _words(message.content)
        tokens.text += text_tokens(text)
        if isinstance(message, ToolMessage):
            return [ChatMessage(role="tool_output", text=text, call_id=message.tool_call_id)]
        return [ChatMessage(role="system", text=text)]

    def _assistant(self, message: AssistantMessage, at: str, tokens: PromptTokens) -> list[ChatMessage]:
        messages = []
        text = _words(message.content)
        tokens.text += text_tokens(text)
        if message.audio is not None and not text:
            answer = self._answers.get(message.audio.id, param=f"{at}.audio.id")
            text = answer.transcript
            tokens.audio += ceil(answer.audio_ms / ASSISTANT_AUDIO_MS_PER_TOKEN)
        if text:
            messages.append(ChatMessage(role="assistant", text=text))
        for call in message.tool_calls or ():
            name, arguments = call.function.name, call.function.arguments
            tokens.text += text_tokens(name + arguments)
            messages.append(ChatMessage(role="tool_call", text=arguments, name=name, call_id=call.id))
        return messages

    async def _user(
        self, message: UserMessage, at: str, tokens: PromptTokens, expected: Sequence[str], *, fresh: bool
    ) -> ChatMessage:
        parts = [TextPart(message.content)] if isinstance(message.content, str) else message.content
        texts: list[str] = []
        images: list[str] = []
        confidence = 1.0
        for index, part in enumerate(parts):
            param = f"{at}.content[{index}]"
            if isinstance(part, TextPart):
                tokens.text += text_tokens(part.text)
                texts.append(part.text)
            elif isinstance(part, ImagePart):
                size = read_image(part.image_url.url, param=f"{param}.image_url.url")
                tokens.image += image_tokens(size, part.image_url.detail)
                images.append(part.image_url.url)
            else:
                heard, duration_ms = await self._hear(part, f"{param}.input_audio.data", expected, fresh=fresh)
                tokens.audio += ceil(duration_ms / USER_AUDIO_MS_PER_TOKEN)
                confidence = min(confidence, heard.confidence)
                texts.append(heard.text)
        text = "\n".join(text for text in texts if text)
        return ChatMessage(role="user", text=text, confidence=confidence, image_urls=tuple(images))

    async def _hear(
        self, part: AudioPart, param: str, expected: Sequence[str], *, fresh: bool
    ) -> tuple[Transcript, float]:
        small = len(part.input_audio.data) <= BASE64_SLICE
        of_file = (part, param, expected)
        file, key = _file_of(*of_file) if small else await asyncio.to_thread(_file_of, *of_file)
        known = self._remembered.get(key)
        if known is None or fresh:
            recording = await read_recording(file, self._engines.vad, param=param)
            heard = await recognise(self._engines.transcriber, recording, vocabulary=expected)
            known = (heard, recording.duration_ms)
            self._remembered[key] = known
            while len(self._remembered) > REMEMBERED_RECORDINGS:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(key)
        return known


def _file_of(part: AudioPart, param: str, expected: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the recording, and what it is remembered by: the same words are heard in the same recording only."""
    try:
        data = part.input_audio.data
        slices = (data[start : start + BASE64_SLICE] for start in range(0, len(data), BASE64_SLICE))
        file = b"".join(base64.b64decode(one, validate=True) for one in slices)
    except (binascii.Error, ValueError) as problem:
        raise RemoteProtocolError(
            f"Invalid value for '{param}': its base64 cannot be decoded.", code="invalid_value", param=param
        ) from problem
    if len(file) > MAX_RECORDING_BYTES:
        raise RemoteProtocolError(
            f"Invalid value for '{param}': the recording is larger than {MAX_RECORDING_BYTES} bytes.",
            code="invalid_value",
            param=param,
        )
    return file, hashlib.blake2b(file + json.dumps(list(expected)).encode(), digest_size=16).digest()


def _instructs(message: AnyMessage) -> bool:
    return isinstance(message, SystemMessage | DeveloperMessage)


def _words(content: Any) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in content)


def _tools_text(body: ChatBody, offered: Sequence[ChatTool]) -> str:
    return msgspec.json.encode(body.tools).decode() if offered else ""
