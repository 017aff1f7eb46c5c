"""Four pipelines on one embedded server with scripted engines: history, tools, bad clips, broken stages."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import soundfile

from realtime_nb.audio import AudioClip
from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatRequest, ToolCall
from realtime_nb.engines.scripted import ScriptedCrash, ScriptedDelays
from realtime_nb.errors import AuthenticationFailed, ConfigurationError, ConnectionRefused, RealtimeError
from realtime_nb.pipelines import realtime
from realtime_nb.pipelines.base import Finished, PipelineTurn, Spoken, StartedOver, ToolUse, collect
from realtime_nb.pipelines.chain import PARALLEL_SENTENCES
from realtime_nb.pipelines.factory import pipeline, pipelines
from realtime_nb.pipelines.stage_server import StageEndpoint
from realtime_nb.pipelines.turn_pipeline import Timeouts, TurnPipeline
from realtime_nb.pipelines.turn_run import NOT_REACHED
from realtime_nb.runtime import runtime
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.session.session import Session
from realtime_nb.timing.marks import ROUTES, Route
from tests.pipelines.tapped import engine, question

pytestmark = pytest.mark.anyio

CLIP = question(speech_ms=300, before_ms=40)
REST: tuple[Route, ...] = ("chain", "chain-streaming", "chat-audio")


def remembers(request: ChatRequest) -> str:
    said = [message.text for message in request.messages if message.role == "user"]
    return f"Turn {len(said)}."


@contextlib.asynccontextmanager
async def made(
    *routes: Route, options: dict[str, Any] | None = None, **script: Any
) -> AsyncIterator[list[TurnPipeline]]:
    with engine(lambda: scripted.create(**script)) as name:
        given = {"url": "embedded", "engine": name, "silence_duration_ms": 200, **(options or {})}
        # The first tool of a process makes pydantic look for its plugins on the disk.
        found = await asyncio.to_thread(pipelines, routes or ROUTES, **given)
        try:
            yield found
        finally:
            for each in found:
                await each.aclose()


async def all_of(found: list[TurnPipeline], clip: AudioClip = CLIP) -> list[PipelineTurn]:
    """Ask all at the same time; what is measured does not matter here."""
    return list(await asyncio.gather(*(collect(each, clip) for each in found)))


async def test_history_is_carried_over_turns_until_reset() -> None:
    async with made(replies=remembers) as found:
        first, second = await all_of(found), await all_of(found)
        for each in found:
            await each.reset()
        third = await all_of(found)
    assert {turn.said for turn in first} == {"Turn 1."}
    assert {turn.said for turn in second} == {"Turn 2."}
    assert {turn.said for turn in third} == {"Turn 1."}
    assert all(turn.status == "completed" and turn.audio.duration_ms > 0 for turn in (*first, *second, *third))


async def test_words_are_heard_where_the_pipeline_says_them() -> None:
    async with made(texts=["hello there"]) as found:
        turns = await all_of(found)
    heard = {turn.provenance.route: turn.heard for turn in turns}
    assert heard == {
        "chain": "hello there",
        "chain-streaming": "hello there",
        "chat-audio": "",
        "realtime": "hello there",
    }
    assert {turn.said for turn in turns} == {"You said: hello there."}


async def test_tools_are_used_in_all_four() -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    call = ToolCall("weather", '{"city": "Ghent"}')
    rules = [("rain", "It rains."), ("", call)]
    async with made(replies=rules, options={"tools": [weather]}) as found:
        turns = await all_of(found)
    for turn in turns:
        assert turn.said == "It rains.", turn.provenance.route
        assert turn.tools == [ToolUse(name="weather", arguments=call.arguments, output="rain in Ghent")]
        assert turn.timeline.stage_ms("tool_choice") is not None, turn.provenance.route
        assert turn.timeline.stage_ms("tool") is not None, turn.provenance.route
        assert turn.timeline.flags == ()
        assert turn.timeline.unattributed == ()


async def test_every_response_of_a_session_s_turn_is_counted() -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    rules = [("rain", "It rains."), ("", ToolCall("weather", '{"city": "Ghent"}'))]
    async with made("realtime", replies=rules, options={"tools": [weather]}) as (found,):
        await found.start()
        session = found.session  # type: ignore[attr-defined]
        turn = await collect(found, CLIP)
        responses = [each.usage for each in session.history]
    assert len(responses) == 2
    assert turn.usage is not None
    assert turn.usage["session"]["total_tokens"] == sum(usage.total_tokens for usage in responses)


async def test_a_tool_that_fails_is_told_and_does_not_end_the_turn() -> None:
    def broken() -> str:
        raise ValueError("out of order")

    rules = [("out of order", "It is broken."), ("", ToolCall("broken", "{}"))]
    async with made(replies=rules, options={"tools": [broken]}) as found:
        turns = await all_of(found)
    assert [turn.said for turn in turns] == ["It is broken."] * 4
    assert all(turn.tools[0].failed for turn in turns)


@pytest.mark.parametrize(
    "clip", [AudioClip.silence(300), AudioClip(np.zeros(0, np.int16)), AudioClip(np.full(4800, 20, np.int16))]
)
async def test_a_silent_clip_is_no_speech_at_once(clip: AudioClip) -> None:
    async with made(texts=["Thank you for watching!"]) as found:
        turns = await all_of(found, clip)
    for turn in turns:
        assert (turn.status, turn.heard, turn.said, turn.pcm16) == ("no_speech", "", "", b"")
        assert turn.error is not None
        assert "silent" in turn.error


async def test_noise_below_speech_is_no_speech_and_nothing_is_invented() -> None:
    noise = np.random.default_rng(1).normal(0, 60, 24 * 400).astype(np.int16)
    async with made(texts=["Thank you for watching!"], replies=remembers) as found:
        turns = await all_of(found, AudioClip(noise))
        after = await all_of(found)
    for turn in turns:
        assert (turn.status, turn.heard, turn.said, turn.pcm16) == ("no_speech", "", "", b""), turn.provenance.route
        assert turn.error is not None
        assert "No speech" in turn.error
    assert {turn.said for turn in after} == {"Turn 1."}


async def test_speech_without_words_is_not_answered() -> None:
    async with made("chain", "chain-streaming", texts=[scripted.HeardAs(text="", confidence=0)]) as found:
        turns = await all_of(found)
    assert [(turn.status, turn.said) for turn in turns] == [("no_speech", "")] * 2


def as_file(clip: AudioClip, rate_hz: int, channels: int, **how: str) -> AudioClip:
    """The clip through a file of another kind."""
    samples = clip.resampled(rate_hz).samples
    data = io.BytesIO()
    soundfile.write(data, np.column_stack([samples] * channels), rate_hz, **how)
    return AudioClip.load(data.getvalue())


def loud(factor: float) -> AudioClip:
    samples = np.clip(CLIP.samples.astype(np.float64) * factor, -32768, 32767)
    return AudioClip(samples.astype(np.int16))


ODD: dict[str, Callable[[], AudioClip]] = {
    "48 kHz, stereo": lambda: as_file(CLIP, 48_000, 2, format="WAV"),
    "8 bit, 8 kHz": lambda: as_file(CLIP, 8_000, 1, format="WAV", subtype="PCM_U8"),
    "mp3": lambda: as_file(CLIP, 44_100, 1, format="MP3"),
    "clipped": lambda: loud(20),
    "quiet": lambda: loud(0.05),
    "all speech": lambda: question(speech_ms=300, before_ms=0),
    "all speech, from a file": lambda: as_file(question(300, 0), 24_000, 1, format="FLAC"),
    "long silence after": lambda: question(speech_ms=300, before_ms=0, after_ms=500),
}


async def test_odd_clips_are_answered_and_measured() -> None:
    async def case(clip: AudioClip) -> list[PipelineTurn]:
        async with made() as found:
            return await all_of(found, clip)

    clips = [make() for make in ODD.values()]
    for kind, clip, turns in zip(ODD, clips, await asyncio.gather(*map(case, clips)), strict=True):
        for turn in turns:
            assert turn.status == "completed", (kind, turn.error)
            measured = turn.timeline
            assert measured.voice_to_voice_ms is not None, kind
            assert measured.flags == (), kind
            end = measured.moments["speech_end"]
            assert end.source == ("measured" if clip.speech_end_ms is not None else "derived"), kind


CRASHES: dict[str, tuple[Route, dict[str, Any]]] = {
    "chain: transcription": ("chain", {"transcriber_crashes": [ScriptedCrash(call=1)]}),
    "chain: chat": ("chain", {"chat_crashes": [ScriptedCrash(call=1)]}),
    "chain: voice": ("chain", {"synthesizer_crashes": [ScriptedCrash(call=1)]}),
    "chain-streaming: chat, midway": ("chain-streaming", {"chat_crashes": [ScriptedCrash(call=1, after=2)]}),
    "chain-streaming: voice": ("chain-streaming", {"synthesizer_crashes": [ScriptedCrash(call=1)]}),
    "chat-audio: chat": ("chat-audio", {"chat_crashes": [ScriptedCrash(call=1)]}),
    "realtime: chat": ("realtime", {"chat_crashes": [ScriptedCrash(call=1)]}),
}


async def test_a_stage_that_fails_ends_the_turn_and_keeps_what_was_measured() -> None:
    async def case(route: Route, crashes: dict[str, Any]) -> tuple[PipelineTurn, PipelineTurn]:
        async with made(route, replies=remembers, **crashes) as (found,):
            return await collect(found, CLIP), await collect(found, CLIP)

    cases = await asyncio.gather(*(case(*which) for which in CRASHES.values()))
    for which, (failed, again) in zip(CRASHES, cases, strict=True):
        assert failed.status == "failed", which
        assert failed.error, which
        assert failed.timeline.stage_ms("vad_hold") is not None, which
        assert failed.timeline.voice_to_voice_ms is None, which
        assert failed.timeline.unmeasured["first_audible"] == NOT_REACHED, which
        assert (again.status, again.said) == ("completed", "Turn 1."), which


async def test_a_stage_that_takes_too_long_is_timed_out() -> None:
    slow = ScriptedDelays(first_token_ms=60_000)
    options = {"timeouts": Timeouts(chat_s=0.3, session_s=0.5)}
    async with made(delays=slow, options=options) as found:
        turns = await all_of(found)
    for turn in turns:
        assert turn.status == "timed_out", (turn.provenance.route, turn.error)
        assert turn.error is not None
        assert "did not finish" in turn.error
        assert "speech_stopped" in turn.marks.moments


async def test_a_voice_that_hangs_is_not_blamed_on_the_chat_model() -> None:
    answer = " ".join(f"This is the sentence with number {number} of them." for number in range(9))
    options = {"timeouts": Timeouts(chat_s=5.0, speech_s=7.0)}
    stuck = ScriptedDelays(first_audio_ms=60_000)
    async with made("chain-streaming", replies=[("", answer)], delays=stuck, options=options) as (found,):
        turn = await collect(found, CLIP)
    assert turn.status == "timed_out"
    assert turn.error is not None
    assert turn.error.startswith("The voice at embedded did not finish")


async def test_closing_the_events_stops_the_work_and_leaves_the_history() -> None:
    async def listen_a_little(each: TurnPipeline) -> None:
        async with contextlib.aclosing(each.run(CLIP)) as events:
            async for event in events:
                if isinstance(event, Spoken):
                    return

    async with made(replies=remembers) as found:
        await asyncio.gather(*map(listen_a_little, found))
        turns = await all_of(found)
    assert {turn.said for turn in turns} == {"Turn 1."}


async def test_no_more_sentences_are_spoken_at_once_than_connections_are_warm() -> None:
    answer = " ".join(f"This is the sentence with number {number} of them." for number in range(9))
    async with made("chain-streaming", replies=[("", answer)]) as (found,):
        voice, under_way, most = found._voice, 0, 0  # type: ignore[attr-defined]

        async def counted(text: str) -> AsyncIterator[Any]:
            nonlocal under_way, most
            under_way, most = under_way + 1, max(most, under_way + 1)
            try:
                async for chunk in voice(text):
                    yield chunk
            finally:
                under_way -= 1

        found._voice = counted  # type: ignore[attr-defined]
        turn = await collect(found, CLIP)
    assert turn.said == answer
    assert most == PARALLEL_SENTENCES


async def test_a_pause_longer_than_the_hold_starts_the_answer_over() -> None:
    clip = question(300, 0, after_ms=400) + question(300, 0)
    async with made(replies=remembers) as found:
        seen: dict[str, list[object]] = {each.route: [] for each in found}
        turns = await asyncio.gather(*(collect(each, clip, on_event=seen[each.route].append) for each in found))
    for turn in turns:
        assert sum(isinstance(event, StartedOver) for event in seen[turn.provenance.route]) == 1
        assert turn.status == "completed"
        stopped = turn.marks.moments["speech_stopped"].time_ms
        assert stopped > turn.marks.moments["speech_end"].time_ms
        assert turn.timeline.flags == ()


async def test_one_turn_at_a_time_and_the_last_event_is_the_end() -> None:
    async with made("chat-audio") as (found,):
        events = found.run(CLIP)
        await anext(events)
        with pytest.raises(RealtimeError, match="one turn at a time"):
            await anext(found.run(CLIP))
        rest = [event async for event in events]
    assert isinstance(rest[-1], Finished)
    assert sum(isinstance(event, Finished) for event in rest) == 1


async def test_stages_may_be_on_different_servers() -> None:
    there = await runtime().call(EmbeddedServer.start(scripted.create(replies=[("", "From elsewhere.")])))
    try:
        chat = StageEndpoint(url=there.url, api_key=there.token, model=there.engines.model)
        async with made("chain", "chain-streaming", options={"chat": chat}, replies=[("", "From here.")]) as found:
            turns = await all_of(found)
    finally:
        await runtime().call(there.aclose())
    assert [turn.said for turn in turns] == ["From elsewhere."] * 2
    endpoints = turns[0].provenance.endpoints
    assert endpoints == {"transcription": "embedded", "chat": there.url, "speech": "embedded"}
    assert there.token not in repr(turns[0].provenance) + repr(chat)


async def test_the_recogniser_beside_a_session_is_named_and_counted() -> None:
    there = await runtime().call(EmbeddedServer.start(scripted.create()))
    found = pipeline("realtime", url=there.url, api_key=there.token, silence_duration_ms=200)
    try:
        turn = await collect(found, CLIP)
    finally:
        await found.aclose()
        await runtime().call(there.aclose())
    assert turn.provenance.models == {"session": "gpt-realtime-2.1", "transcription": "gpt-transcribe"}
    assert turn.usage is not None
    assert turn.usage["transcription"]["type"] == "tokens"
    assert turn.usage["session"]["total_tokens"] > 0


async def test_a_refused_key_and_nobody_there_are_said_at_the_start() -> None:
    there = await runtime().call(EmbeddedServer.start(scripted.create()))
    try:
        for route in ROUTES:
            refused = pipeline(route, url=there.url, api_key="wrong")
            with pytest.raises(AuthenticationFailed):
                await refused.start()
            await refused.aclose()
    finally:
        await runtime().call(there.aclose())
    for route in ROUTES:
        nobody = pipeline(route, url=there.url, api_key="none")
        with pytest.raises(ConnectionRefused):
            await nobody.start()
        await nobody.aclose()


async def test_started_twice_at_once_there_is_one_session_and_closing_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Session] = []
    open_session = realtime.open_session

    async def noted(*args: Any, **options: Any) -> Session:
        opened.append(await open_session(*args, **options))
        return opened[-1]

    monkeypatch.setattr(realtime, "open_session", noted)
    async with made("realtime") as (found,):
        await asyncio.gather(found.start(), found.start())
        assert len(opened) == 1
        await found.aclose()
        await asyncio.gather(found.start(), found.aclose())
        assert [session.state for session in opened] == ["closed", "closed"]


async def test_a_session_that_broke_is_opened_anew_by_the_next_turn() -> None:
    async with made("realtime", replies=remembers) as (found,):
        first = await collect(found, CLIP)
        session = found.session  # type: ignore[attr-defined]
        await session.aclose()
        second = await collect(found, CLIP)
    assert [first.said, second.said] == ["Turn 1.", "Turn 1."]


def test_what_cannot_be_made_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no pipeline 'cascade'"):
        pipeline("cascade")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        pipeline("chain", colour="blue")
    with pytest.raises(ConfigurationError, match="model for each of"):
        pipeline("chain", model="gpt-everything")


class LateLoudspeaker:
    """A player that renders at the speed of speech, 50 ms after it was given the first sound."""

    LATE_MS = 50.0

    def __init__(self, session: Session) -> None:
        self.session, self.given, self.tasks = session, 0, set[asyncio.Task[None]]()

    def begin(self, item_id: str, content_index: int) -> None:
        task = asyncio.get_running_loop().create_task(self.play((item_id, content_index), self.session.now_ms()))
        self.tasks.add(task)

    async def play(self, key: tuple[str, int], began_ms: float) -> None:
        for n_samples in range(480, 24_000, 480):
            await asyncio.sleep(0.005)
            at = RenderedAt(time_ms=began_ms + n_samples / 24, error_ms=2.0, output_latency_ms=self.LATE_MS)
            self.session.playback.rendered(key, min(n_samples, self.given), at)

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        self.given += len(pcm16) // 2

    def end(self, item_id: str, content_index: int) -> None: ...

    async def flush(self) -> dict[tuple[str, int], int]:
        return {}


async def test_a_loudspeaker_says_when_the_answer_was_really_heard() -> None:
    async with made("realtime") as (found,):
        await found.start()
        session: Session = found.session  # type: ignore[attr-defined]
        session.attach_player(LateLoudspeaker(session))
        turn = await collect(found, CLIP)
    assert turn.timeline.ends_at == "rendered"
    assert turn.timeline.stage_ms("output") == pytest.approx(LateLoudspeaker.LATE_MS, abs=10)
    assert turn.timeline.moments["rendered"].error_ms == 7.0
