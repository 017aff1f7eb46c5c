from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from realtime_nb.audio.g711 import encode_alaw, encode_mulaw
from realtime_nb.audio.resample import resample
from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatRequest, EngineSet, Pcm16, SynthesizedChunk
from realtime_nb.engines.scripted.listening import ScriptedTranscriber, ScriptedTranscriberStream
from realtime_nb.errors import EngineCrashed
from realtime_nb.server import turn_taking
from tests.server.talking import PATIENCE_S, Client, connected, serving, silence, tone, without

pytestmark = pytest.mark.anyio

VOICE_TURN = [
    "session.created",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "deltas",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


class CountingSynthesizer(scripted.ScriptedSynthesizer):
    """Notes what it was asked to say."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.spoke = asyncio.Event()

    async def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncIterator[SynthesizedChunk]:
        self.asked.append(text)
        async for chunk in super().speak(text, voice=voice, speed=speed):
            self.spoke.set()
            yield chunk


def counting(**options: Any) -> tuple[EngineSet, CountingSynthesizer]:
    engines, synthesizer = scripted.create(**options), CountingSynthesizer()
    engines.synthesizer = synthesizer
    return engines, synthesizer


async def until_spoken(synthesizer: CountingSynthesizer) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await synthesizer.spoke.wait()
    synthesizer.spoke.clear()


async def test_a_spoken_turn_has_the_services_order_of_events() -> None:
    async with serving(scripted.create(texts=["where is my order"])) as server, connected(server) as client:
        await client.hear(silence(500), tone(900), silence(800))
        await client.until("rate_limits.updated")
        deltas = ("response.output_audio.delta", "response.output_audio_transcript.delta")
        types = ["deltas" if one in deltas else one for one in client.types]
        assert without(types) == VOICE_TURN
        ids = {event["item_id"] for event in client.of(*VOICE_TURN[1:4])}
        assert len(ids) == 1
        added = client.of("conversation.item.added")[0]
        assert (added["item"]["id"], added["previous_item_id"]) == (ids.pop(), None)
        transcript = client.of("response.output_audio_transcript.done")[0]["transcript"]
        assert transcript == "You said: where is my order."


async def test_marks_count_all_audio_and_include_padding_and_hold() -> None:
    async with serving() as server, connected(server) as client:
        await client.hear(silence(1000), tone(900), silence(800))
        started = await client.until("input_audio_buffer.speech_started")
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert started["audio_start_ms"] == pytest.approx(700, abs=40)
        assert stopped["audio_end_ms"] == pytest.approx(2400, abs=60)
        await client.hear(tone(900), silence(800))
        again = await client.until("input_audio_buffer.speech_started")
        assert again["audio_start_ms"] >= stopped["audio_end_ms"]
        assert again["audio_start_ms"] == pytest.approx(2400, abs=60)


async def test_the_committed_item_holds_the_speech_and_not_the_silence_before() -> None:
    async with serving() as server, connected(server) as client:
        await client.hear(silence(3000), tone(900), silence(800))
        committed = await client.until("input_audio_buffer.committed")
        await client.send("conversation.item.retrieve", item_id=committed["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        audio = np.frombuffer(base64.b64decode(item["content"][0]["audio"]), np.int16)
        assert len(audio) / 24 == pytest.approx(300 + 900 + 500, abs=60)
        loud = np.flatnonzero(np.abs(audio) > 1000)
        assert loud[0] / 24 == pytest.approx(300, abs=40)


async def test_a_pause_shorter_than_the_hold_is_one_turn_and_shows_nothing_of_what_was_prepared() -> None:
    engines, synthesizer = counting(texts=["one long sentence"])
    async with serving(engines) as server, connected(server) as client:
        await client.hear(tone(600), silence(300))
        await until_spoken(synthesizer)
        assert len(synthesizer.asked) == 1
        await client.hear(tone(600), silence(800))
        await client.until("response.done")
        assert client.types.count("input_audio_buffer.speech_stopped") == 1
        assert client.types.count("response.created") == 1
        assert len(synthesizer.asked) == 2


async def test_what_was_prepared_during_the_hold_is_what_is_sent() -> None:
    engines, synthesizer = counting(texts=["hello"])
    async with serving(engines) as server, connected(server) as client:
        await client.hear(tone(600), silence(300))
        await until_spoken(synthesizer)
        assert "response.created" not in client.types
        await client.hear(silence(400))
        await client.until("response.done")
        assert synthesizer.asked == ["You said: hello."]


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("session.update", {"session": {"type": "realtime", "instructions": "Be brief."}}),
    ("session.update", {"session": {"type": "realtime", "audio": {"output": {"voice": "marin"}}}}),
    (
        "conversation.item.create",
        {"item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "New."}]}},
    ),
]


@pytest.mark.parametrize(("event_type", "fields"), CHANGES)
async def test_a_change_during_the_hold_discards_what_was_prepared(event_type: str, fields: dict[str, Any]) -> None:
    engines, synthesizer = counting(texts=["hello"])
    async with serving(engines) as server, connected(server) as client:
        await client.hear(tone(600), silence(300))
        await until_spoken(synthesizer)
        await client.send(event_type, **fields)
        await client.hear(silence(400))
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        assert len(synthesizer.asked) == 2


async def test_partial_transcripts_only_grow_and_end_in_the_final_one() -> None:
    engines = scripted.create(texts=["one two three four five six"])
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {"transcription": {"model": "any"}}})
        await client.hear(tone(1800), silence(800))
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        deltas = client.of("conversation.item.input_audio_transcription.delta")
        assert "".join(delta["delta"] for delta in deltas) == completed["transcript"] == "one two three four five six"
        first_stop = client.types.index("input_audio_buffer.speech_stopped")
        assert client.types.index("conversation.item.input_audio_transcription.delta") < first_stop
        assert {delta["item_id"] for delta in deltas} == {completed["item_id"]}
        assert completed["usage"]["type"] == "duration"


async def test_no_transcripts_without_being_asked() -> None:
    async with serving() as server, connected(server) as client:
        await client.hear(tone(1800), silence(800))
        await client.until("rate_limits.updated")
        assert not [one for one in client.types if "transcription" in one]


async def test_a_turn_without_an_end_is_ended_before_the_buffer_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_taking, "LONGEST_TURN_MS", 2000)
    async with serving(scripted.create(texts=["first", "second"])) as server, connected(server) as client:
        await client.update(audio={"input": {"transcription": {"model": "any"}}})
        await client.hear(tone(2600), silence(800))
        for text in ("first", "second"):
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == text
        first, second = client.of("input_audio_buffer.speech_stopped")
        assert first["audio_end_ms"] == pytest.approx(2000, abs=50)
        assert second["audio_end_ms"] == pytest.approx(2600 + 500, abs=50)


@pytest.mark.parametrize("by", ["client", "server"])
@pytest.mark.parametrize("when", ["speaking", "pausing", "pushing", "committed"])
async def test_a_connection_that_ends_in_a_turn_releases_its_recogniser(
    when: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[ScriptedTranscriberStream] = []
    released: list[ScriptedTranscriberStream] = []
    begin, end = ScriptedTranscriber.open, ScriptedTranscriberStream.aclose

    async def noted_open(self: ScriptedTranscriber, **options: Any) -> ScriptedTranscriberStream:
        opened.append(await begin(self, **options))
        return opened[-1]

    async def noted_close(self: ScriptedTranscriberStream) -> None:
        released.append(self)
        await end(self)

    monkeypatch.setattr(ScriptedTranscriber, "open", noted_open)
    monkeypatch.setattr(ScriptedTranscriberStream, "aclose", noted_close)
    async with serving() as server, connected(server) as client, asyncio.timeout(PATIENCE_S):
        if when in ("pushing", "committed"):
            await client.update(audio={"input": {"turn_detection": None}})
        await client.hear(tone(600), silence(300 if when == "pausing" else 0))
        if when == "committed":
            await client.send("input_audio_buffer.commit")
        while not opened:
            await asyncio.sleep(0)
        if by == "server":
            await server.aclose()
        client.socket.transport.abort()
        while server._connections:
            await asyncio.sleep(0)
        assert released == opened


async def test_push_to_talk_commits_answers_and_hears_while_the_key_is_down() -> None:
    async with serving(scripted.create(texts=["tell me a joke now please"])) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None, "transcription": {"model": "any"}}})
        await client.hear(tone(1500))
        partial = await client.until("conversation.item.input_audio_transcription.delta")
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == partial["item_id"]
        await client.send("response.create")
        done = await client.until("response.output_audio_transcript.done")
        assert done["transcript"] == "You said: tell me a joke now please."
        assert "input_audio_buffer.speech_started" not in client.types


@pytest.mark.parametrize("end", ["clear", "commit"])
async def test_half_a_sample_is_gone_with_its_buffer(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Pcm16] = []
    monkeypatch.setattr(ScriptedTranscriberStream, "feed", lambda _, pcm16: heard.append(pcm16))
    quiet, steady = np.zeros(4800, np.int16), np.full(4800, 256, np.int16)
    async with serving() as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        for audio, command in ((quiet.tobytes() + b"\0", end), (steady.tobytes(), "commit")):
            await client.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())
            await client.send(f"input_audio_buffer.{command}")
        async with asyncio.timeout(PATIENCE_S):
            while not heard or not heard[-1].any():
                await asyncio.sleep(0)
    assert set(heard[-1].tolist()) == {256}


async def test_push_to_talk_needs_a_tenth_of_a_second() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.hear(tone(80))
        await client.send("input_audio_buffer.commit")
        assert (await client.until("error"))["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_cleared_buffer_is_forgotten_by_detector_and_recogniser() -> None:
    async with serving(scripted.create(texts=["first", "second"])) as server, connected(server) as client:
        await client.hear(tone(600))
        started = await client.until("input_audio_buffer.speech_started")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.hear(silence(1000), tone(600), silence(800))
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped["item_id"] != started["item_id"]
        assert client.types.count("input_audio_buffer.speech_stopped") == 1
        done = await client.until("response.output_audio_transcript.done")
        assert done["transcript"] == "You said: second."


async def test_a_commit_by_hand_ends_the_turn_under_way() -> None:
    async with serving(scripted.create(texts=["half a sentence"])) as server, connected(server) as client:
        await client.hear(tone(600))
        started = await client.until("input_audio_buffer.speech_started")
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == started["item_id"]
        await client.send("response.create")
        done = await client.until("response.output_audio_transcript.done")
        assert done["transcript"] == "You said: half a sentence."
        await client.hear(silence(800))
        await client.update()
        assert "input_audio_buffer.speech_stopped" not in client.types


async def test_without_create_response_a_turn_is_only_committed() -> None:
    engines, synthesizer = counting()
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
        await client.hear(tone(600), silence(800))
        await client.until("conversation.item.done")
        await client.update()
        assert "response.created" not in client.types
        assert synthesizer.asked == []


PATIENT = {"turn_detection": {"type": "server_vad", "interrupt_response": False}}


async def speaking(client: Client, text: str = "tell me something long") -> str:
    """Make the assistant speak and return the id of what it says."""
    await client.say(text)
    await client.send("response.create")
    return str((await client.until("response.output_audio.delta"))["item_id"])


async def test_speech_interrupts_the_reply_and_only_heard_words_are_remembered() -> None:
    requests: list[ChatRequest] = []

    def answer(request: ChatRequest) -> str:
        requests.append(request)
        return "One two three four five six seven eight nine ten eleven twelve."

    delays = scripted.ScriptedDelays(pace=1.0)
    async with serving(scripted.create(replies=answer, delays=delays)) as server, connected(server) as client:
        item_id = await speaking(client)
        await client.until("response.output_audio.delta", 8)
        await client.hear(tone(400))
        await client.until("input_audio_buffer.speech_started")
        done = await client.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert done["response"]["output"][0]["status"] == "incomplete"
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 500
        await client.send("conversation.item.retrieve", item_id=item_id)
        part = (await client.until("conversation.item.retrieved"))["item"]["content"][0]
        heard = [time.word for time in scripted.word_times("One two three four") if time.end_ms <= 500]
        assert part["transcript"] == " ".join(heard)
        assert len(base64.b64decode(part["audio"])) == 500 * 48
        await client.hear(silence(800))
        await client.until("response.created")
        await client.until("response.output_audio.delta")
        remembered = [message.text for message in requests[-1].messages if message.role == "assistant"]
        assert remembered == [" ".join(heard)]


async def test_the_transcript_of_an_interrupted_reply_does_not_run_ahead_of_its_audio() -> None:
    delays = scripted.ScriptedDelays(pace=1.0)
    reply = "One two three four five six seven eight nine ten eleven twelve."
    async with serving(scripted.create(replies=lambda _: reply, delays=delays)) as server, connected(server) as client:
        item_id = await speaking(client)
        await client.until("response.output_audio.delta", 4)
        await client.send("response.cancel")
        done = await client.until("response.done")
        said = done["response"]["output"][0]["content"][0]["transcript"]
        begun = [time for time in scripted.word_times(reply) if time.start_ms < len(client.audio(item_id)) / 48]
        assert said.split() == [time.word for time in begun]


async def test_without_interrupt_response_the_reply_goes_on_and_the_next_one_follows() -> None:
    delays = scripted.ScriptedDelays(pace=0.2)
    async with serving(scripted.create(texts=["and then"], delays=delays)) as server, connected(server) as client:
        await client.update(audio={"input": PATIENT})
        await speaking(client, "one two three four five six seven eight nine ten " * 3)
        await client.hear(tone(600), silence(800))
        await client.until("input_audio_buffer.committed")
        assert "response.done" not in client.types
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        await client.until("response.done")
        assert client.of("response.output_audio_transcript.done")[-1]["transcript"] == "You said: and then."
        assert client.of("error") == []


async def test_a_reply_that_waits_its_turn_does_not_begin_when_somebody_speaks() -> None:
    delays = scripted.ScriptedDelays(pace=1.0)
    async with serving(scripted.create(delays=delays)) as server, connected(server) as client:
        await client.update(audio={"input": PATIENT})
        await speaking(client, "one two three four five six seven eight nine ten " * 3)
        await client.hear(tone(600), silence(800))
        await client.until("input_audio_buffer.committed")
        await client.update(audio={"input": {"turn_detection": {"interrupt_response": True}}})
        await client.hear(tone(600))
        assert (await client.until("response.done"))["response"]["status"] == "cancelled"
        await client.hear(silence(800))
        await client.until("response.created")
        assert client.types.count("input_audio_buffer.speech_stopped") == 2


@pytest.mark.parametrize(("name", "encode"), [("audio/pcmu", encode_mulaw), ("audio/pcma", encode_alaw)])
async def test_telephone_audio_in_and_out(name: str, encode: Any) -> None:
    def to_wire(pcm16: Pcm16) -> bytes:
        return bytes(encode(resample(pcm16, 24_000, 8_000)))

    async with serving(scripted.create(texts=["hello"])) as server, connected(server) as client:
        session = await client.update(audio={"input": {"format": {"type": name}}, "output": {"format": {"type": name}}})
        assert session["audio"]["output"]["format"]["type"] == name
        await client.hear(silence(500), tone(900), silence(800), encode=to_wire)
        started = await client.until("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] == pytest.approx(200, abs=40)
        await client.until("response.done")
        spoken_ms = scripted.word_times("You said: hello.")[-1].end_ms
        assert len(client.audio()) / 8 == pytest.approx(spoken_ms, abs=2)


async def test_a_transcription_session_hears_and_says_nothing() -> None:
    async with serving(scripted.create(texts=["hello"])) as server, connected(server, "intent=transcription") as client:
        await client.send(
            "session.update",
            session={"type": "transcription", "audio": {"input": {"transcription": {"model": "any"}}}},
        )
        await client.until("session.updated")
        await client.hear(tone(600), silence(800))
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == "hello"
        await client.send("response.create")
        assert (await client.until("error"))["error"]["message"].startswith("A transcription session")
        assert "response.created" not in client.types


async def test_turn_detection_can_be_switched_in_the_middle() -> None:
    async with serving(scripted.create(texts=["lost", "kept"])) as server, connected(server) as client:
        await client.hear(tone(600))
        await client.until("input_audio_buffer.speech_started")
        await client.update(audio={"input": {"turn_detection": None}})
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        await client.hear(silence(500), tone(600), silence(800))
        await client.until("response.done")
        assert client.types.count("input_audio_buffer.speech_stopped") == 1


class Clock:
    """A `sleep` that notes what it was asked for and waits until it is told that the time is over."""

    def __init__(self) -> None:
        self.asked_s: asyncio.Queue[float] = asyncio.Queue()
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds == 3600:
            await asyncio.Event().wait()
        self.asked_s.put_nowait(seconds)
        await self.over.wait()


async def test_an_idle_user_is_asked_again_after_playback_and_timeout() -> None:
    clock = Clock()
    async with serving(scripted.create(), sleep=clock.sleep) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
        await speaking(client, "hello")
        await client.until("response.done")
        async with asyncio.timeout(PATIENCE_S):
            assert await clock.asked_s.get() == pytest.approx(6 + len(client.audio()) / 48_000, abs=0.001)
        await client.hear(silence(1000))
        await client.update()
        clock.over.set()
        triggered = await client.until("input_audio_buffer.timeout_triggered")
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == triggered["item_id"]
        assert triggered["audio_end_ms"] == 1000
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_a_user_who_speaks_in_time_is_not_idle() -> None:
    clock = Clock()
    async with serving(scripted.create(), sleep=clock.sleep) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
        await speaking(client, "hello")
        await client.until("response.done")
        async with asyncio.timeout(PATIENCE_S):
            await clock.asked_s.get()
        await client.hear(tone(600))
        await client.until("input_audio_buffer.speech_started")
        clock.over.set()
        await client.hear(silence(800))
        await client.until("response.done")
        assert client.of("input_audio_buffer.timeout_triggered") == []


@pytest.mark.parametrize("detection", [None, {"type": "server_vad", "idle_timeout_ms": None}, {"type": "semantic_vad"}])
async def test_nobody_is_idle_once_the_session_does_not_ask_any_more(detection: dict[str, Any] | None) -> None:
    clock = Clock()
    async with serving(scripted.create(), sleep=clock.sleep) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
        await client.send("response.create")
        async with asyncio.timeout(PATIENCE_S):
            await clock.asked_s.get()
        await client.update(audio={"input": {"turn_detection": detection}})
        clock.over.set()
        await client.update()
        assert client.of("input_audio_buffer.timeout_triggered") == []


async def test_a_response_beside_the_conversation_does_not_make_the_user_less_idle() -> None:
    clock = Clock()
    async with serving(scripted.create(), sleep=clock.sleep) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
        await client.send("response.create")
        await client.until("response.done")
        await client.send("response.create", response={"conversation": "none", "input": []})
        await client.until("response.done")
        clock.over.set()
        await client.until("input_audio_buffer.timeout_triggered")


async def test_a_user_who_interrupts_is_not_idle_however_long_it_takes() -> None:
    clock = Clock()
    paced = scripted.ScriptedDelays(pace=1)
    async with serving(scripted.create(delays=paced), sleep=clock.sleep) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
        await client.say("one two three four five six seven eight nine ten eleven twelve")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.hear(tone(600))
        assert (await client.until("response.done"))["response"]["status"] == "cancelled"
        clock.over.set()
        await client.update()
        assert client.of("input_audio_buffer.timeout_triggered") == []


async def test_a_commit_of_silence_is_an_item_like_any_other() -> None:
    async with serving(scripted.create(texts=["a whisper"])) as server, connected(server) as client:
        await client.update(audio={"input": {"transcription": {"model": "any"}}})
        await client.hear(silence(600))
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["item_id"] == committed["item_id"]
        assert completed["transcript"] == "a whisper"
        assert completed["usage"] == {"type": "duration", "seconds": 0.6}


class DeafTranscriber(scripted.ScriptedTranscriber):
    """Cannot open a stream the first time, and cannot be fed the second."""

    async def open(self, **options: Any) -> Any:
        stream = await super().open(**options)
        if self.calls == 1:
            raise EngineCrashed("The ears are closed.")
        if self.calls == 2:
            stream.feed = self._refuse  # type: ignore[method-assign]
        return stream

    def _refuse(self, pcm16: Pcm16) -> None:
        raise EngineCrashed("The ears are full.")


async def test_a_recogniser_that_cannot_open_or_keep_up_fails_those_turns_only() -> None:
    engines = scripted.create()
    engines.transcriber = DeafTranscriber(["at last"])
    async with serving(engines) as server, connected(server) as client:
        for message in ("The ears are closed.", "The ears are full."):
            await client.hear(tone(600), silence(800))
            response = (await client.until("response.done"))["response"]
            assert response["status"] == "failed"
            assert message in response["status_details"]["error"]["message"]
        await client.hear(tone(600), silence(800))
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        assert client.of("response.output_audio_transcript.done")[-1]["transcript"] == "You said: at last."


class SlowToOpen(scripted.ScriptedTranscriber):
    """Opens its first stream only when told."""

    def __init__(self) -> None:
        super().__init__(["never", "heard"])
        self.may_open = asyncio.Event()
        self.closed = asyncio.Event()

    async def open(self, **options: Any) -> Any:
        stream = await super().open(**options)
        if self.calls == 1:
            await self.may_open.wait()
            close = stream.aclose

            async def aclose() -> None:
                await close()
                self.closed.set()

            stream.aclose = aclose  # type: ignore[method-assign]
        return stream


async def test_a_stream_that_opens_after_its_turn_was_cleared_is_closed_again() -> None:
    engines, transcriber = scripted.create(), SlowToOpen()
    engines.transcriber = transcriber
    async with serving(engines) as server, connected(server) as client:
        await client.hear(tone(600))
        await client.until("input_audio_buffer.speech_started")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        transcriber.may_open.set()
        async with asyncio.timeout(PATIENCE_S):
            await transcriber.closed.wait()


class Backlog(scripted.ScriptedTranscriber):
    """A recogniser that can be 30 s behind and no more; asked for words, it catches up."""

    def __init__(self) -> None:
        super().__init__(["all of it"])
        self.behind_s = self.fed_s = 0.0

    async def open(self, **options: Any) -> Any:
        stream = await super().open(**options)
        feed, hypothesis = stream.feed, stream.hypothesis

        def bounded_feed(pcm16: Pcm16) -> None:
            self.behind_s += len(pcm16) / 16_000
            self.fed_s += len(pcm16) / 16_000
            if self.behind_s > 30:
                raise EngineCrashed("The recogniser is too far behind.")
            feed(pcm16)

        async def catch_up() -> Any:
            await asyncio.sleep(0)
            self.behind_s = 0.0
            return await hypothesis()

        stream.feed, stream.hypothesis = bounded_feed, catch_up
        return stream


async def test_the_longest_append_there_is_does_not_overrun_the_recogniser() -> None:
    engines = scripted.create()
    engines.transcriber = backlog = Backlog()
    async with serving(engines) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None, "transcription": {"model": "any"}}})
        audio = base64.b64encode(bytes(15 * 2**20)).decode()
        await client.send("input_audio_buffer.append", audio=audio)
        await client.send("input_audio_buffer.commit")
        done = await client.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "all of it"
        assert backlog.fed_s == pytest.approx(15 * 2**20 / 48_000, abs=0.1)
