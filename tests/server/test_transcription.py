from __future__ import annotations

from typing import Any

import pytest

from realtime_nb.engines import scripted
from realtime_nb.protocol.response import transcription_usage
from tests.server.talking import Client, connected, serving, silence, tone, without

pytestmark = pytest.mark.anyio

TEXTS = ["where is my order", "thank you"]
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"


async def transcribing(client: Client, model: str = "whisper-1", **session: Any) -> dict[str, Any]:
    await client.send(
        "session.update",
        session={"type": "transcription", "audio": {"input": {"transcription": {"model": model}}}, **session},
    )
    shown: dict[str, Any] = (await client.until("session.updated"))["session"]
    return shown


async def test_turns_become_transcripts_and_nothing_else() -> None:
    async with serving(scripted.create(texts=TEXTS)) as server, connected(server, "intent=transcription") as client:
        shown = await transcribing(client)
        assert shown["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": None, "prompt": None}
        for _ in TEXTS:
            await client.hear(tone(700), silence(900))
            await client.until(COMPLETED)
        assert [event["transcript"] for event in client.of(COMPLETED)] == TEXTS
        commits = client.of("input_audio_buffer.committed")
        assert [event["previous_item_id"] for event in commits] == [None, commits[0]["item_id"]]
        assert [event["item_id"] for event in client.of(COMPLETED)] == [event["item_id"] for event in commits]
        for event in client.of(COMPLETED):
            said = "".join(one["delta"] for one in client.of(DELTA) if one["item_id"] == event["item_id"])
            assert said == event["transcript"]
        assert not [one for one in client.types if one.startswith(("response.", "rate_limits", "error"))]
        turn = client.types[2 : client.types.index(COMPLETED) + 1]
        assert without([one for one in turn if one != DELTA]) == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            COMPLETED,
        ]


async def test_without_detection_a_commit_is_transcribed() -> None:
    async with serving(scripted.create(texts=TEXTS)) as server, connected(server, "intent=transcription") as client:
        transcription = {"model": "gpt-realtime-whisper", "language": "en"}
        await transcribing(client, audio={"input": {"turn_detection": None, "transcription": transcription}})
        await client.hear(tone(700))
        await client.send("input_audio_buffer.commit")
        assert (await client.until(COMPLETED))["transcript"] == TEXTS[0]


async def test_it_makes_no_responses() -> None:
    async with serving() as server, connected(server, "intent=transcription") as client:
        await client.send("response.create", event_id="mine")
        assert (await client.until("error"))["error"]["event_id"] == "mine"


async def test_nobody_makes_up_logprobs() -> None:
    async with serving(scripted.create(texts=TEXTS)) as server, connected(server, "intent=transcription") as client:
        include = ["item.input_audio_transcription.logprobs"]
        assert (await transcribing(client, include=include))["include"] == include
        await client.hear(tone(700), silence(900))
        completed = await client.until(COMPLETED)
        assert completed["logprobs"] is None
        assert {one["logprobs"] for one in client.of(DELTA)} <= {None}
        await transcribing(client, include=None)
        await client.hear(tone(700), silence(900))
        assert "logprobs" not in await client.until(COMPLETED)


async def test_only_what_exists_can_be_included() -> None:
    async with serving() as server, connected(server) as client:
        await client.send("session.update", session={"type": "realtime", "include": ["item.everything"]})
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "session.include[0]")


@pytest.mark.parametrize(("model", "kind"), [("whisper-1", "duration"), ("gpt-4o-transcribe", "tokens")])
async def test_usage_is_of_the_models_own_kind(model: str, kind: str) -> None:
    async with serving(scripted.create(texts=TEXTS)) as server, connected(server, "intent=transcription") as client:
        await transcribing(client, model, audio={"input": {"turn_detection": None, "transcription": {"model": model}}})
        await client.hear(tone(700))
        await client.send("input_audio_buffer.commit")
        usage = (await client.until(COMPLETED))["usage"]
        assert usage == transcription_usage(model, 0.7, TEXTS[0])
        assert usage["type"] == kind


def test_transcription_counts_ten_tokens_a_second() -> None:
    assert transcription_usage("gpt-4o-transcribe", 0.71, "four chars here") == {
        "type": "tokens",
        "total_tokens": 12,
        "input_tokens": 8,
        "output_tokens": 4,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 8},
    }


async def test_the_speed_changes_between_turns_only() -> None:
    delays = scripted.ScriptedDelays(first_token_ms=3_600_000)
    async with serving(scripted.create(delays=delays)) as server, connected(server) as client:
        await client.say("hello")
        await client.send("response.create")
        await client.until("response.created")
        change = {"type": "realtime", "instructions": "Changed.", "audio": {"output": {"speed": 1.2}}}
        await client.send("session.update", session=change)
        assert (await client.until("error"))["error"]["param"] == "session.audio.output.speed"
        same = await client.update(audio={"output": {"speed": 1.0}})
        assert same["instructions"] == ""
        await client.send("response.cancel")
        await client.until("response.done")
        assert (await client.update(**{k: v for k, v in change.items() if k != "type"}))["audio"]["output"][
            "speed"
        ] == 1.2


async def test_the_voice_is_fixed_once_it_was_heard() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(audio={"output": {"voice": "cedar"}})
        await client.say("hello")
        await client.send("response.create")
        await client.until("response.done")
        change = {"type": "realtime", "instructions": "Changed.", "audio": {"output": {"voice": "ash"}}}
        await client.send("session.update", session=change)
        assert (await client.until("error"))["error"]["code"] == "cannot_update_voice"
        session = await client.update(audio={"output": {"voice": "cedar"}})
        assert (session["instructions"], session["audio"]["output"]["voice"]) == ("", "cedar")
