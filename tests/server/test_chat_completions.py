from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError, OpenAI, RateLimitError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatRequest, EngineSet, ToolCall
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.server import kept_answers
from realtime_nb.server.chat_answer import ChatAnswer
from realtime_nb.server.chat_body import ChatBody
from realtime_nb.server.chat_prompt import PromptTokens
from realtime_nb.server.limits import Limits
from realtime_nb.server.production import Spoken
from tests.server.rest import events, http, sdk, spoken, strictly
from tests.server.talking import PATIENCE_S
from tests.server.test_client_secrets import WallClock

pytestmark = pytest.mark.anyio

HEARD = "where is my order"
ANSWER = "It is on its way. It comes tomorrow."
AUDIO: Any = {"modalities": ["text", "audio"], "audio": {"voice": "cedar", "format": "wav"}}
STREAMED_AUDIO: Any = {**AUDIO, "audio": {"voice": "cedar", "format": "pcm16"}, "stream": True}
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "order_status",
            "description": "Look up an order.",
            "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        },
    },
    {"type": "function", "function": {"name": "hang_up"}},
]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


def typed(text: str) -> Any:
    return {"role": "user", "content": text}


def said(file: bytes | None = None) -> Any:
    data = base64.b64encode(file or spoken()).decode()
    return {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]}


def engines(replies: Any = None, **options: Any) -> EngineSet:
    rules = [("order", ANSWER)] if replies is None else replies
    return scripted.create(texts=[HEARD], replies=rules, **options)


def asked(engine_set: EngineSet) -> ChatRequest:
    assert isinstance(engine_set.chat, scripted.ScriptedChat)
    return engine_set.chat.requests[-1]


async def create(client: AsyncOpenAI, *messages: Any, **options: Any) -> ChatCompletion:
    completion = await client.chat.completions.create(model="gpt-audio", messages=messages, **options)
    return strictly(completion)


async def stream(client: AsyncOpenAI, *messages: Any, **options: Any) -> list[ChatCompletionChunk]:
    chunks = await client.chat.completions.create(model="gpt-audio", messages=messages, **{"stream": True, **options})
    return [strictly(chunk) async for chunk in chunks]


def deltas(chunks: list[ChatCompletionChunk], key: str) -> list[Any]:
    found = [getattr(chunk.choices[0].delta.audio, key, None) for chunk in chunks if chunk.choices]
    return [one for one in found if one is not None]


def tone_hz(pcm16: Any) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm16.astype(float)))) * 24_000 / len(pcm16))


def finish(chunks: list[ChatCompletionChunk]) -> str | None:
    (reason,) = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    return reason


async def test_text_in_and_out() -> None:
    engine_set = engines()
    async with sdk(engine_set) as (client, _):
        completion = await create(
            client,
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            typed("Where is my order?"),
            temperature=0.2,
            seed=3,
            user="ann",
        )
        assert (completion.model, completion.system_fingerprint) == ("gpt-audio", "realtime-nb-scripted")
        (choice,) = completion.choices
        assert (choice.message.content, choice.finish_reason, choice.message.audio) == (ANSWER, "stop", None)
        usage = completion.usage
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 9, 19)
    request = asked(engine_set)
    assert request.instructions == "Be brief.\n\nBe kind."
    assert [(one.role, one.text) for one in request.messages] == [("user", "Where is my order?")]
    assert not request.spoken


async def test_text_streamed_word_by_word() -> None:
    async with sdk(engines()) as (client, _):
        chunks = await stream(client, typed("my order"), stream_options={"include_usage": True})
        first, *middle, end, usage = chunks
        assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
        assert [one.choices[0].delta.content for one in middle][:3] == ["It", " is", " on"]
        assert "".join(one.choices[0].delta.content or "" for one in middle) == ANSWER
        assert end.choices[0].finish_reason == "stop"
        assert usage.choices == []
        assert usage.usage is not None
        assert usage.usage.completion_tokens == 9
        assert {chunk.id for chunk in chunks} == {first.id}
        assert first.id.startswith("chatcmpl")


async def test_without_asking_for_it_a_stream_has_no_usage_and_ends_with_done() -> None:
    async with sdk(engines()) as (_, server), http(server) as client:
        body = {"model": "m", "messages": [typed("my order")], "stream": True}
        received = events((await client.post("/chat/completions", json=body)).text)
        assert received[-1] == "[DONE]"
        assert not any("usage" in chunk for chunk in received[:-1])


async def test_speech_in_is_heard_and_counted() -> None:
    engine_set = engines()
    async with sdk(engine_set) as (client, _):
        completion = await create(client, said())
        assert completion.choices[0].message.content == ANSWER
        details = completion.usage and completion.usage.prompt_tokens_details
        assert details is not None
        assert (details.audio_tokens, details.text_tokens) == (12, 0)
    (message,) = asked(engine_set).messages
    assert (message.role, message.text) == ("user", HEARD)


async def test_words_and_speech_in_one_message() -> None:
    engine_set = engines()
    async with sdk(engine_set) as (client, _):
        message = said()
        message["content"].insert(0, {"type": "text", "text": "Answer this:"})
        message["content"].append({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}})
        completion = await create(client, message)
        details = completion.usage and completion.usage.prompt_tokens_details
        assert details is not None
        assert details.image_tokens == 85
    (read,) = asked(engine_set).messages
    assert read.text == f"Answer this:\n{HEARD}"
    assert read.image_urls == (PIXEL,)


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "opus", "pcm16"])
async def test_speech_out_in_every_format(form: str) -> None:
    async with sdk(engines()) as (client, _):
        completion = await create(client, typed("my order"), **{**AUDIO, "audio": {"voice": "cedar", "format": form}})
        message = completion.choices[0].message
        assert message.content is None
        assert message.audio is not None
        assert message.audio.transcript == ANSWER
        data = base64.b64decode(message.audio.data)
    if form == "pcm16":
        pcm16 = np.frombuffer(data, np.int16)
    else:
        pcm16, rate_hz = await asyncio.to_thread(soundfile.read, io.BytesIO(data), dtype="int16")
        assert rate_hz == 24_000
    sentences = ANSWER.split(". ")
    expected_ms = sum(scripted.word_times(one)[-1].end_ms for one in sentences)
    assert abs(len(pcm16) / 24 - expected_ms) < 250
    assert abs(tone_hz(pcm16) - scripted.VOICE_FREQUENCIES_HZ["cedar"]) < 5
    details = completion.usage and completion.usage.completion_tokens_details
    assert details is not None
    assert details.audio_tokens is not None
    assert abs(details.audio_tokens - expected_ms / 50) < 5
    assert details.text_tokens == 9


async def test_speech_in_and_speech_out_streamed() -> None:
    async with sdk(engines()) as (client, _):
        chunks = await stream(client, said(), **STREAMED_AUDIO)
        assert len(deltas(chunks, "id")) == 1
        assert "".join(deltas(chunks, "transcript")) == ANSWER
        pieces = deltas(chunks, "data")
        assert len(pieces) > 10
        pcm16 = np.frombuffer(base64.b64decode("".join(pieces), validate=True), np.int16)
        assert abs(tone_hz(pcm16) - scripted.VOICE_FREQUENCIES_HZ["cedar"]) < 5
        assert len(deltas(chunks, "expires_at")) == 1
        for chunk in chunks:
            audio = chunk.choices[0].delta.audio
            given = (
                [] if audio is None else [one for one in ("data", "transcript", "expires_at") if getattr(audio, one)]
            )
            assert len(given) == (audio is not None)
        assert finish(chunks) == "stop"


async def test_the_sdk_puts_a_stream_together() -> None:
    async with sdk(engines()) as (client, _):
        options = {key: value for key, value in STREAMED_AUDIO.items() if key != "stream"}
        async with client.chat.completions.stream(model="m", messages=[said()], **options) as events_of_it:
            completion = await events_of_it.get_final_completion()
        audio = completion.choices[0].message.audio
        assert audio is not None
        assert audio.transcript == ANSWER
        assert len(base64.b64decode(audio.data, validate=True)) > 48_000
        assert audio.id.count("audio_") == 1


@given(sizes=st.lists(st.integers(0, 50), max_size=12))
def test_the_base64_of_all_pieces_is_that_of_the_whole(sizes: list[int]) -> None:
    body = msgspec.convert({"model": "m", "messages": [typed("x")], **STREAMED_AUDIO}, ChatBody)
    answer = ChatAnswer(body, PromptTokens(), ids=IdFactory(0), created=0, longest_tokens=100, engine="e")
    pieces = [Spoken("", np.arange(size, dtype=np.int16), ()) for size in sizes]
    chunks = [chunk for piece in pieces for chunk in answer.chunks(piece)] + list(answer.last_chunks(0))
    data = [chunk["choices"][0]["delta"].get("audio", {}).get("data", "") for chunk in chunks]
    assert base64.b64decode("".join(data), validate=True) == b"".join(piece.pcm16.tobytes() for piece in pieces)


async def test_the_first_speech_comes_before_the_rest_is_thought() -> None:
    thinking = asyncio.Event()
    held = asyncio.Event()
    calls = 0

    async def sleep(seconds: float) -> None:
        nonlocal calls
        if seconds == 0.02:
            calls += 1
            if calls == 6:  # the first sentence has five words, and the next word shows that it has ended
                held.set()
                await thinking.wait()

    engine_set = engines(delays=scripted.ScriptedDelays(per_word_ms=20), sleep=sleep)
    async with sdk(engine_set) as (client, _), asyncio.timeout(PATIENCE_S):
        chunks = await client.chat.completions.create(model="m", messages=[typed("my order")], **STREAMED_AUDIO)
        audio = b""
        async for chunk in chunks:
            delta = chunk.choices[0].delta.audio if chunk.choices else None
            audio += base64.b64decode((delta and delta.data) or "")
            if len(audio) > 24_000 and not thinking.is_set():
                assert held.is_set()
                thinking.set()
        assert thinking.is_set()


async def test_an_earlier_answer_is_remembered_by_its_id() -> None:
    clock = WallClock()
    engine_set = engines()
    async with sdk(engine_set, unix_clock=clock) as (client, _):
        for options in (AUDIO, STREAMED_AUDIO):
            if "stream" in options:
                chunks = await stream(client, said(), **options)
                audio_id, expires_at = deltas(chunks, "id")[0], deltas(chunks, "expires_at")[0]
            else:
                audio = (await create(client, said(), **options)).choices[0].message.audio
                assert audio is not None
                audio_id, expires_at = audio.id, audio.expires_at
            assert expires_at == clock.now + kept_answers.KEPT_S
            earlier: Any = {"role": "assistant", "audio": {"id": audio_id}}
            completion = await create(client, said(), earlier, typed("And my other order?"))
            roles = [(one.role, one.text) for one in asked(engine_set).messages]
            assert roles == [("user", HEARD), ("assistant", ANSWER), ("user", "And my other order?")]
            details = completion.usage and completion.usage.prompt_tokens_details
            assert details is not None
            assert details.audio_tokens is not None
            assert details.audio_tokens > 12 + 30
        clock.now += kept_answers.KEPT_S
        with pytest.raises(BadRequestError) as refused:
            await create(client, said(), earlier, typed("And now?"))
        assert refused.value.param == "messages[1].audio.id"


async def test_so_many_answers_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "MAX_KEPT", 2)
    async with sdk(engines()) as (client, _):
        ids = []
        for _ in range(3):
            audio = (await create(client, typed("order"), **AUDIO)).choices[0].message.audio
            ids.append(audio and audio.id)
        for index, audio_id in enumerate(ids):
            earlier: Any = {"role": "assistant", "audio": {"id": audio_id}}
            if index:
                await create(client, earlier, typed("And?"))
            else:
                with pytest.raises(BadRequestError, match="not found"):
                    await create(client, earlier, typed("And?"))


async def test_earlier_recordings_are_heard_once_and_the_newest_every_time() -> None:
    engine_set = engines()
    transcriber = engine_set.transcriber
    assert isinstance(transcriber, scripted.ScriptedTranscriber)
    async with sdk(engine_set) as (client, _):
        first, second = said(spoken(700)), said(spoken(900))
        await create(client, first)
        assert transcriber.calls == 1
        await create(client, first, {"role": "assistant", "content": "Yes?"}, second)
        assert transcriber.calls == 2
        await create(client, first, {"role": "assistant", "content": "Yes?"}, second)
        assert transcriber.calls == 3
        await create(client, {"role": "system", "content": "You sell pizza."}, first, second)
        assert transcriber.calls == 5  # other words are expected now


async def test_a_tool_and_its_answer() -> None:
    rules = [("on its way", "Good news: it is on its way."), ("order", ToolCall("order_status", '{"number": 12}'))]
    engine_set = engines(rules)
    async with sdk(engine_set) as (client, _):
        first = await create(client, said(), tools=TOOLS)
        (choice,) = first.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        (call,) = choice.message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, json.loads(call.function.arguments)) == ("order_status", {"number": 12})
        assert call.id.startswith("call_")
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "on its way"}
        second = await create(client, said(), choice.message.to_dict(), result, tools=TOOLS)
        assert second.choices[0].message.content == "Good news: it is on its way."
    read = asked(engine_set).messages
    assert [one.role for one in read] == ["user", "tool_call", "tool_output"]
    assert read[1].call_id == read[2].call_id == call.id


async def test_tool_calls_streamed() -> None:
    calls = [ToolCall("order_status", '{"number": 12}'), ToolCall("hang_up", "{}")]
    async with sdk(engines([("order", ["One moment.", *calls])])) as (client, _):
        for options in ({}, STREAMED_AUDIO):
            chunks = await stream(client, typed("my order"), tools=TOOLS, **options)
            pieces = [one for c in chunks if c.choices for one in c.choices[0].delta.tool_calls or []]
            for index, call in enumerate(calls):
                mine = [piece for piece in pieces if piece.index == index]
                assert mine[0].function is not None
                assert (mine[0].type, mine[0].function.name) == ("function", call.name)
                assert "".join((one.function and one.function.arguments) or "" for one in mine) == call.arguments
                assert [bool(one.id) for one in mine] == [True, False]
            assert finish(chunks) == "tool_calls"
            said_too = "".join(deltas(chunks, "transcript")) if options else "One moment."
            assert said_too == "One moment."
        one = await stream(client, typed("my order"), tools=TOOLS, parallel_tool_calls=False)
        assert {call.index for c in one if c.choices for call in c.choices[0].delta.tool_calls or []} == {0}


CHOICES: list[tuple[Any, str, list[str]]] = [
    ("none", "none", ["order_status", "hang_up"]),
    ("required", "required", ["order_status", "hang_up"]),
    ({"type": "function", "function": {"name": "hang_up"}}, "hang_up", ["hang_up"]),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "hang_up"}}]},
        },
        "required",
        ["hang_up"],
    ),
]


async def test_tool_choice() -> None:
    engine_set = engines()
    async with sdk(engine_set) as (client, _):
        for choice, read, names in CHOICES:
            completion = await create(client, typed("order"), tools=TOOLS, tool_choice=choice)
            assert (completion.choices[0].finish_reason == "tool_calls") == (read != "none")
            request = asked(engine_set)
            assert (request.tool_choice, [tool.name for tool in request.tools]) == (read, names)


async def test_an_answer_that_is_too_long_is_cut() -> None:
    async with sdk(engines()) as (client, _):
        options: Any
        for options in ({}, AUDIO, STREAMED_AUDIO, {"stream": True}):
            if options.get("stream"):
                chunks = await stream(client, typed("order"), max_completion_tokens=4, **options)
                text = "".join(deltas(chunks, "transcript")) or "".join(
                    chunk.choices[0].delta.content or "" for chunk in chunks
                )
                reason = finish(chunks)
            else:
                completion = await create(client, typed("order"), max_completion_tokens=4, **options)
                message = completion.choices[0].message
                text = message.audio.transcript if message.audio else message.content or ""
                reason = completion.choices[0].finish_reason
            assert reason == "length"
            assert ANSWER.startswith(text)
            assert 0 < len(text) < len(ANSWER)


async def test_the_server_s_own_limits() -> None:
    limits = Limits(output_tokens=4, context_tokens=50)
    async with sdk(engines(), limits=limits) as (client, _):
        assert (await create(client, typed("order"))).choices[0].finish_reason == "length"
        with pytest.raises(BadRequestError) as refused:
            await create(client, typed("order" * 50))
        assert refused.value.code == "context_length_exceeded"


async def test_without_tokens_nothing_is_even_heard() -> None:
    engine_set = engines()
    async with sdk(engine_set, limits=Limits(tokens_per_minute=10), clock=lambda: 0.0) as (client, _):
        await create(client, typed("Where is my order?"))
        with pytest.raises(RateLimitError):
            await create(client, said())
    assert isinstance(engine_set.transcriber, scripted.ScriptedTranscriber)
    assert engine_set.transcriber.calls == 0


def refused_recording(data: str) -> Any:
    return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]}]


CALLED: Any = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
OUTPUT: Any = {"role": "tool", "tool_call_id": "c1", "content": "x"}


def allowing(tool: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool]}}


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "invalid_value", "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
    ({"messages": refused_recording("%%%")}, "invalid_value", "messages[0].content[0].input_audio.data"),
    ({"messages": refused_recording("AAAA")}, "invalid_value", "messages[0].content[0].input_audio.data"),
    ({"messages": [typed("x"), OUTPUT]}, "invalid_value", "messages[1].tool_call_id"),
    ({"messages": [typed("x"), CALLED, typed("y")]}, "invalid_value", "messages[2].role"),
    ({"messages": [typed("x"), CALLED]}, "invalid_value", "messages[2].role"),
    ({"messages": [typed("x"), CALLED, OUTPUT, OUTPUT]}, "invalid_value", "messages[3].tool_call_id"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]}
            ]
        },
        "invalid_value",
        "messages[0].content[0].image_url.url",
    ),
    ({"modalities": ["audio"], "audio": AUDIO["audio"]}, "invalid_value", "modalities"),
    ({"modalities": ["text", "audio"]}, "missing_required_parameter", "audio"),
    ({**AUDIO, "stream": True}, "unsupported_value", "audio.format"),
    ({**AUDIO, "audio": {"voice": "nobody", "format": "wav"}}, "invalid_value", "audio.voice"),
    ({**AUDIO, "audio": {"voice": "alloy", "format": "aac"}}, "unsupported_value", "audio.format"),
    ({**AUDIO, "audio": {"voice": "alloy", "format": "gif"}}, "invalid_value", "audio.format"),
    ({"n": 2}, "unsupported_parameter", "n"),
    ({"logprobs": True}, "unsupported_parameter", "logprobs"),
    ({"stop": ["x"]}, "unsupported_parameter", "stop"),
    ({"response_format": {"type": "json_object"}}, "unsupported_parameter", "response_format"),
    ({"functions": [{"name": "f"}]}, "unsupported_parameter", "functions"),
    ({"max_completion_tokens": 0}, "invalid_value", "max_completion_tokens"),
    ({"temperature": 3}, "invalid_value", "temperature"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "invalid_value", "tools[0].type"),
    ({"tool_choice": "sometimes"}, "invalid_value", "tool_choice"),
    ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "invalid_value", "tool_choice"),
    ({"tool_choice": allowing({"function": "f"})}, "invalid_value", "tool_choice"),
    ({"tool_choice": allowing(5)}, "invalid_value", "tool_choice"),
]


async def test_refusals() -> None:
    async with sdk(engines()) as (_, server), http(server) as client:
        for changes, code, param in REFUSALS:
            body = {"model": "m", "messages": [typed("hi")], **changes}
            answer = await client.post("/chat/completions", json=body)
            error = answer.json()["error"]
            shown = (answer.status_code, error["code"], error["param"], error["type"])
            assert shown == (400, code, param, "invalid_request_error"), changes


async def test_an_engine_that_fails_before_and_in_the_middle_of_its_answer() -> None:
    crashes = [scripted.ScriptedCrash(call=1), scripted.ScriptedCrash(call=2, after=2)]
    async with sdk(engines(chat_crashes=crashes)) as (client, _):
        with pytest.raises(APIStatusError) as failed:
            await stream(client, typed("order"))
        assert (failed.value.status_code, failed.value.code) == (500, "server_error")
        chunks = await client.chat.completions.create(model="m", messages=[typed("order")], stream=True)
        text = ""
        with pytest.raises(APIError, match="crashed"):
            async for chunk in chunks:
                text += chunk.choices[0].delta.content or ""
        assert text == "It is"
        assert (await create(client, typed("order"))).choices[0].message.content == ANSWER


async def test_an_engine_that_breaks_its_promises_is_an_error_too(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: ChatRequest) -> str:
        raise ZeroDivisionError

    async with sdk(engines(broken)) as (client, _):
        for options in ({}, AUDIO):
            with pytest.raises(APIStatusError) as failed:
                async with asyncio.timeout(PATIENCE_S):
                    await create(client, typed("order"), **options)
            assert (failed.value.status_code, failed.value.code) == (500, "server_error")
            assert "ZeroDivisionError" in failed.value.message
    assert [record.name for record in caplog.records] == ["realtime_nb.server.rest_api"] * 2


async def test_the_synchronous_client() -> None:
    async with sdk(engines()) as (_, server):

        def talk() -> tuple[Any, str]:
            with OpenAI(base_url=server.url, api_key=server.token) as client:
                whole = client.chat.completions.create(model="m", messages=[said()], **AUDIO)
                chunks = client.chat.completions.create(model="m", messages=[typed("order")], stream=True)
                text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            return whole.choices[0].message.audio, text

        audio, text = await asyncio.to_thread(talk)
    assert audio.transcript == text == ANSWER
