from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatRequest, ToolCall
from realtime_nb.engines.scripted import ScriptedCrash, ScriptedDelays
from realtime_nb.engines.scripted.listening import ScriptedTranscriberStream
from tests.server.talking import Client, connected, serving, silence, tone

pytestmark = pytest.mark.anyio

LONG = "one two three four five six seven eight nine ten " * 4
TOOL = {"type": "function", "name": "order_status", "description": "Look up.", "parameters": {"type": "object"}}


async def ask(client: Client, text: str, **response: Any) -> dict[str, Any]:
    await client.say(text)
    await client.send("response.create", response=response)
    return (await client.until("response.done"))["response"]


async def test_a_text_answer_is_the_sum_of_its_deltas() -> None:
    async with serving() as server, connected(server) as client:
        response = await ask(client, "good morning", output_modalities=["text"])
        text = "".join(delta["delta"] for delta in client.of("response.output_text.delta"))
        assert text == "You said: good morning."
        assert response["output"][0]["content"] == [{"type": "output_text", "text": text}]
        assert client.of("response.output_audio.delta") == []


async def test_a_spoken_answer_has_audio_and_transcript_of_all_its_sentences() -> None:
    reply = "Good morning. This is the second sentence, a longer one! Dr. Bell called at 3.30 p.m. Bye"
    async with serving(scripted.create(replies=lambda _: reply)) as server, connected(server) as client:
        response = await ask(client, "hello")
        transcript = "".join(delta["delta"] for delta in client.of("response.output_audio_transcript.delta"))
        assert transcript == reply == response["output"][0]["content"][0]["transcript"]
        words = scripted.word_times(reply)
        said_ms = sum(word.end_ms - word.start_ms for word in words)
        assert len(client.audio()) / 48 >= said_ms
        assert max(len(delta["delta"]) for delta in client.of("response.output_audio.delta")) * 3 / 4 <= 48 * 220


async def test_usage_counts_by_the_documented_rates() -> None:
    async with serving(scripted.create(texts=["hello"])) as server, connected(server) as client:
        await client.hear(tone(1000), silence(800))
        usage = (await client.until("response.done"))["response"]["usage"]
        details, written = usage["input_token_details"], usage["output_token_details"]
        audio_ms = len(client.audio()) / 48
        assert written["audio_tokens"] == -(-audio_ms // 50)
        assert written["text_tokens"] == -(-len("You said: hello.") // 4)
        assert details["audio_tokens"] == pytest.approx(15, abs=1)
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert usage["input_tokens"] == details["text_tokens"] + details["audio_tokens"]
        limits = (await client.until("rate_limits.updated"))["rate_limits"]
        assert [limit["name"] for limit in limits] == ["tokens"]


async def test_a_tool_call_its_output_and_the_answer() -> None:
    rules: scripted.ChatRules = [
        ("order", ["One moment.", ToolCall("order_status", '{"number": 4271}')]),
    ]
    async with serving(scripted.create(replies=rules)) as server, connected(server) as client:
        await client.update(tools=[TOOL])
        response = await ask(client, "where is my order")
        assert [item["type"] for item in response["output"]] == ["message", "function_call"]
        done = client.of("response.function_call_arguments.done")[0]
        assert (done["name"], done["arguments"]) == ("order_status", '{"number": 4271}')
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "on its way"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        await client.until("response.done")
        answer = client.of("response.output_audio_transcript.done")[-1]["transcript"]
        assert answer == "The tool said: on its way"


async def test_the_chat_model_reads_the_whole_conversation() -> None:
    requests: list[ChatRequest] = []

    def answer(request: ChatRequest) -> str:
        requests.append(request)
        return "Fine."

    async with serving(scripted.create(texts=["spoken"], replies=answer)) as server, connected(server) as client:
        await client.update(instructions="Be kind.", tools=[TOOL])
        await ask(client, "typed")
        await client.hear(tone(600), silence(800))
        await client.until("response.done")
        request = requests[-1]
        assert [(message.role, message.text) for message in request.messages] == [
            ("user", "typed"),
            ("assistant", "Fine."),
            ("user", "spoken"),
        ]
        assert (request.instructions, request.tool_choice, request.spoken) == ("Be kind.", "auto", True)
        assert [tool.name for tool in request.tools] == ["order_status"]


async def test_a_response_of_its_own_input_forgets_the_conversation() -> None:
    async with serving() as server, connected(server) as client:
        await client.say("first")
        item = (await client.until("conversation.item.done"))["item"]
        await client.say("second")
        reference = [{"type": "item_reference", "id": item["id"]}]
        await client.send("response.create", response={"input": reference, "output_modalities": ["text"]})
        assert (await client.until("response.output_text.done"))["text"] == "You said: first."


async def test_audio_that_the_client_brings_is_heard() -> None:
    async with serving(scripted.create(texts=["from a file"])) as server, connected(server) as client:
        audio = base64.b64encode(tone(800).tobytes()).decode()
        content = [{"type": "input_audio", "audio": audio}]
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await client.send("response.create", response={"output_modalities": ["text"]})
        assert (await client.until("response.output_text.done"))["text"] == "You said: from a file."


@pytest.mark.parametrize("modality", ["audio", "text"])
async def test_a_limit_of_tokens_ends_a_response_incomplete(modality: str) -> None:
    async with serving() as server, connected(server) as client:
        for limit in (1, 2, 10):
            response = await ask(client, LONG, output_modalities=[modality], max_output_tokens=limit)
            assert response["status"] == "incomplete"
            assert response["status_details"]["reason"] == "max_output_tokens"
            assert limit - 1 <= response["usage"]["output_tokens"] <= limit
        assert (await ask(client, "again", output_modalities=["text"]))["status"] == "completed"


@pytest.mark.parametrize(("limit", "status"), [(3, "incomplete"), (4, "completed")])
async def test_a_reply_that_just_fits_is_complete(limit: int, status: str) -> None:
    async with serving() as server, connected(server) as client:
        response = await ask(client, "hello", output_modalities=["text"], max_output_tokens=limit)
        assert (response["status"], response["usage"]["output_tokens"]) == (status, limit)
        assert response["output"][0]["content"][0]["text"] == "You said: hello."[: 4 * limit]


async def test_a_call_beyond_the_limit_is_not_made() -> None:
    call = ToolCall("look_up", '{"order": "12345678901234567890"}')
    async with serving(scripted.create(replies=lambda _: call)) as server, connected(server) as client:
        response = await ask(client, "hello", max_output_tokens=5)
        assert (response["status"], response["output"]) == ("incomplete", [])


async def test_a_cancel_stops_the_work_and_the_next_turn_is_fine() -> None:
    async with serving(scripted.create(delays=ScriptedDelays(pace=1.0))) as server, connected(server) as client:
        await client.say(LONG)
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        response = (await client.until("response.done"))["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"]["reason"] == "client_cancelled"
        assert (await ask(client, "bye", output_modalities=["text"]))["status"] == "completed"
        assert client.types.count("response.done") == 2
        late = client.types[client.types.index("response.done") :]
        assert "response.output_audio.delta" not in late


async def test_nothing_to_cancel_is_an_error_and_no_more() -> None:
    async with serving() as server, connected(server) as client:
        await client.send("response.cancel", event_id="mine")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "mine")


async def test_one_response_at_a_time_but_out_of_band_beside_it() -> None:
    async with serving(scripted.create(delays=ScriptedDelays(pace=1.0))) as server, connected(server) as client:
        await client.say(LONG)
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.create", event_id="second")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
        aside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "mood"}}
        await client.send("response.create", response=aside)
        done = (await client.until("response.done"))["response"]
        assert (done["conversation_id"], done["metadata"]) == (None, {"topic": "mood"})
        await client.send("response.cancel")
        assert (await client.until("response.done"))["response"]["status"] == "cancelled"


CRASHES: list[tuple[dict[str, Any], str]] = [
    ({"chat_crashes": [ScriptedCrash(call=1)]}, "chat model"),
    ({"chat_crashes": [ScriptedCrash(call=1, after=2)]}, "chat model"),
    ({"synthesizer_crashes": [ScriptedCrash(call=1)]}, "synthesizer"),
    ({"synthesizer_crashes": [ScriptedCrash(call=1, after=2)]}, "synthesizer"),
]


@pytest.mark.parametrize(("crashes", "who"), CRASHES)
async def test_an_engine_that_dies_fails_the_response_and_not_the_session(crashes: dict[str, Any], who: str) -> None:
    async with serving(scripted.create(**crashes)) as server, connected(server) as client:
        response = await ask(client, LONG)
        assert response["status"] == "failed"
        error = response["status_details"]["error"]
        assert error["code"] == "server_error"
        assert who in error["message"]
        assert (await ask(client, "again"))["status"] == "completed"


@pytest.mark.parametrize("who", ["chat", "synthesizer"])
async def test_an_engine_that_breaks_its_promises_fails_the_response_too(
    who: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> AsyncIterator[Any]:
        raise ZeroDivisionError
        yield

    engines = scripted.create()
    async with serving(engines) as server, connected(server) as client:
        with monkeypatch.context() as patch:
            patch.setattr(getattr(engines, who), {"chat": "reply", "synthesizer": "speak"}[who], broken)
            response = await ask(client, LONG)
        assert response["status_details"]["error"]["message"] == "The server failed: ZeroDivisionError."
        assert (await ask(client, "again"))["status"] == "completed"
    assert [record.name for record in caplog.records] == ["realtime_nb.server.reply"]


@pytest.mark.parametrize("where", ["open", "feed", "hypothesis"])
async def test_a_recogniser_that_breaks_its_promises_fails_the_turn(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    engines = scripted.create()
    owner = scripted.ScriptedTranscriber if where == "open" else ScriptedTranscriberStream
    async with serving(engines) as server, connected(server) as client:
        with monkeypatch.context() as patch:
            patch.setattr(owner, where, broken)
            await client.hear(tone(600), silence(800))
            failed = (await client.until("response.done"))["response"]
        assert failed["status_details"]["error"]["message"] == "The recogniser failed: ZeroDivisionError."
        assert (await ask(client, "again"))["status"] == "completed"
    assert {record.name for record in caplog.records} == {"realtime_nb.server.hearing"}


async def test_a_recogniser_that_dies_fails_the_turn_and_not_the_session() -> None:
    engines = scripted.create(texts=["lost", "found"], transcriber_crashes=[ScriptedCrash(call=1)])
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {"transcription": {"model": "any"}}})
        await client.hear(tone(600), silence(800))
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert "transcriber" in failed["error"]["message"]
        assert (await client.until("response.done"))["response"]["status"] == "failed"
        await client.hear(tone(600), silence(800))
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        assert client.of("response.output_audio_transcript.done")[-1]["transcript"] == "You said: found."


async def test_an_unknown_voice_is_refused_with_the_voices_there_are() -> None:
    async with serving() as server, connected(server) as client:
        output = {"audio": {"output": {"voice": "nobody"}}}
        await client.send("session.update", session={"type": "realtime", **output})
        await client.send("response.create", response=output)
        for param in ("session.audio.output.voice", "response.audio.output.voice"):
            error = (await client.until("error"))["error"]
            assert (error["code"], error["param"]) == ("invalid_value", param)
            assert "marin" in error["message"]
        assert (await client.update())["audio"]["output"]["voice"] == "alloy"


async def test_speed_reaches_the_voice() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(audio={"output": {"speed": 1.5}})
        await ask(client, "hello")
        assert len(client.audio()) / 48 == pytest.approx(
            scripted.word_times("You said: hello.", speed=1.5)[-1].end_ms, abs=1
        )


async def test_nothing_is_left_of_a_response_after_its_end() -> None:
    async with serving() as server, connected(server) as client:
        await client.until("session.created")
        await client.update()
        before = {task.get_name() for task in asyncio.all_tasks()}
        await ask(client, "hello")
        await client.until("rate_limits.updated")
        await client.update()
        assert {task.get_name() for task in asyncio.all_tasks()} == before
