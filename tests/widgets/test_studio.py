"""The Studio with a fake browser and a fake session."""

from __future__ import annotations

import asyncio
import base64
import errno
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.errors import AudioError, ConfigurationError, ConnectionRefused
from realtime_nb.runtime import runtime
from realtime_nb.widgets import base, messages, playback_feed, studio_desk
from realtime_nb.widgets.studio import Studio
from tests.widgets.conftest import wait_until
from tests.widgets.fake_browser import PAGE, CommBrowser, FakeBrowser

TONE = (np.sin(np.arange(24_000) / 10) * 8000).astype(np.int16)
MS = 48


@pytest.fixture
def studio(room, session):
    studio = Studio(session)
    yield studio
    studio.close()


@pytest.fixture
def views(studio, views_of):
    return views_of(studio)


def pcm(ms: int) -> bytes:
    return bytes(range(MS)) * ms


async def rendered(view: FakeBrowser, stream_id: int, samples: int, *, drained: bool = False) -> None:
    await view.send(
        type="playback_rendered",
        stream_id=stream_id,
        rendered_samples=samples,
        underruns=0,
        time_client_ms=0.0,
        drained=drained,
    )


async def begin_answer(session: Any, view: FakeBrowser, ms: int = 100, item_id: str = "item_1") -> int:
    await wait_until(lambda: session.player is not None)
    session.player.begin(item_id, 0)
    session.player.write(item_id, 0, pcm(ms))
    begun = await view.wait("playback_begin", lambda m: m["item_id"] == item_id)
    stream_id = begun["stream_id"]
    await view.until(lambda: len(view.audio.get(stream_id, b"")) == ms * MS)
    return stream_id


def test_a_view_is_told_state_and_clips(play, views, session):
    async def scenario():
        view = await views.open()
        state = await view.wait("session_state", lambda m: m["state"] == "connected")
        assert (state["engine"], state["model"], state["voice"]) == ("scripted", "scripted-1", "marin")
        assert state["turn_detection"] == "server_vad"
        clips = (await view.wait("clips"))["clips"]
        assert [clip["clip_id"] for clip in clips] == list(bundled.clips())
        await views.close()

    play(scenario())


def test_a_view_is_told_where_the_recording_goes_and_when_it_ends(play, views, session):
    def recording(folder: str) -> SimpleNamespace:
        return SimpleNamespace(path=Path(folder), writing=True, failure=None)

    async def scenario():
        view = await views.open()
        assert (await view.wait("session_state"))["recording"] is None

        async def shown() -> tuple[str, str, str]:
            known = len(view.all("session_state"))
            session.tell("on_recording")
            await view.until(lambda: len(view.all("session_state")) > known)
            row = view.all("session_state")[-1]["recording"]
            return row["folder"], row["state"], row["problem"]

        first, second = recording("recordings/a"), recording("recordings/b")
        session.recordings = [first, second]
        assert await shown() == ("recordings/b", "writing", "")
        second.writing, second.failure = False, OSError(errno.ENOSPC, "No space left on device")
        assert await shown() == ("recordings/a", "writing", "")
        first.writing = False
        assert await shown() == ("recordings/b", "failed", "the disk is full")
        second.failure = OSError(errno.EIO, "Input/output error")
        assert await shown() == ("recordings/b", "failed", "input/output error")
        second.failure = None
        assert await shown() == ("recordings/b", "ended", "")
        await views.close()

    play(scenario())


def test_token_is_in_no_synced_state(studio, play, views):
    async def scenario():
        offer = await views.offer()
        assert offer["token"] not in repr(studio.get_state())

    play(scenario())


def test_text_is_asked(play, views, session):
    async def scenario():
        view = await views.open()
        assert (await view.command("say_text", text=" hello "))["ok"] is True
        assert session.said == [("ask", "hello")]
        empty = await view.command("say_text", text="  ")
        assert (empty["ok"], empty["what_now"]) == (False, "Type some words first.")
        assert "at most" in (await view.command("say_text", text="x" * 20_001))["error"]
        await views.close()

    play(scenario())


def test_early_failure_answers_the_command_late_failure_is_a_notice(play, views, session, monkeypatch):
    monkeypatch.setattr(studio_desk, "EARLY_FAILURE_S", 0.05)

    async def scenario():
        view = await views.open()
        session.ask_error = AudioError("Nothing was heard.", what_now="Speak up.")
        failed = await view.command("say_text", text="a")
        assert (failed["ok"], failed["error"], failed["what_now"]) == (False, "Nothing was heard.", "Speak up.")
        session.ask_error = None

        async def fails_later(question: Any) -> None:
            await session.answer.wait()
            raise AudioError("Late.")

        session.ask = fails_later
        assert (await view.command("say_text", text="b"))["ok"] is True
        assert view.all("notice") == []
        session.answer.set()
        assert (await view.wait("notice"))["message"] == "Late."
        await views.close()

    play(scenario())


def test_unknown_command_and_unexpected_error_are_answered(play, views, session, caplog):
    async def scenario():
        view = await views.open()
        assert "does not know" in (await view.command("dance"))["error"]

        async def breaks() -> None:
            raise KeyError("oops")

        session.talk_start = breaks
        assert "KeyError" in (await view.command("talk_start"))["error"]
        await views.close()

    play(scenario())
    assert "The command talk_start failed" in caplog.text


def test_push_to_talk_sends_what_is_spoken_from_the_opening_to_the_release(play, views, session):
    async def scenario():
        view = await views.open()
        await view.send_binary(messages.KIND_MICROPHONE, 1, b"past..")
        await view.send_binary(messages.KIND_MICROPHONE, 2, b"early!")
        started = await view.start_command("talk_start")
        await view.send_binary(messages.KIND_MICROPHONE, 2, b"speech")
        assert (await view.answer(started))["ok"]
        await view.send_binary(messages.KIND_MICROPHONE, 2, b" goes ")
        assert (await view.command("talk_end"))["ok"]
        await view.send_binary(messages.KIND_MICROPHONE, 2, b"late..")
        assert (await view.command("talk_end"))["ok"]
        assert bytes(session.microphone) == b"early!speech goes "
        await view.command("talk_start")
        await view.send_binary(messages.KIND_MICROPHONE, 3, b"again")
        await view.command("talk_end")
        assert bytes(session.microphone) == b"early!speech goes again"
        assert [verb for verb, _ in session.said] == ["talk_start", "talk_end"] * 2
        await views.close()

    play(scenario())


def test_speech_while_the_session_connects_is_kept(room, play, session, views_of, monkeypatch):
    connected = asyncio.Event()

    async def connect() -> Any:
        await connected.wait()
        return session

    monkeypatch.setattr(Studio, "default_connect", staticmethod(connect))
    studio = Studio()
    views = views_of(studio)

    async def scenario():
        view = await views.open()
        started = await view.start_command("talk_start")
        for _ in range(600):
            await view.send_binary(messages.KIND_MICROPHONE, 1, pcm(20))
        ended = await view.start_command("talk_end")
        await wait_until(lambda: studio._desk._early.dropped_bytes == 2_000 * MS)
        connected.set()
        assert (await view.answer(started))["ok"]
        assert (await view.answer(ended))["ok"]
        assert bytes(session.microphone) == pcm(20) * 500
        assert session.said == [("talk_start", None), ("talk_end", None)]
        await views.close()

    play(scenario())
    studio.close()


def test_studio_of_a_rerun_cell_takes_the_voice_and_the_old_one_cuts_nothing(
    room, play, session, views_of, views, monkeypatch
):
    monkeypatch.setattr(playback_feed, "NO_VIEW_GRACE_S", 0.05)
    again = Studio(session)
    new_views = views_of(again)

    async def scenario():
        old = await views.open()
        await begin_answer(session, old)
        new = await new_views.open()
        await wait_until(lambda: session.player is again._desk._player)
        await old.close()
        await wait_until(lambda: views.widget._desk._detach_player is None)
        assert session.said == []
        await begin_answer(session, new, item_id="item_2")
        await new_views.close()

    play(scenario())
    again.close()


def test_open_microphone(play, views, session):
    async def scenario():
        view = await views.open()
        await view.command("microphone_open")
        await view.send_binary(messages.KIND_MICROPHONE, 1, b"speech")
        await view.command("microphone_close")
        assert bytes(session.microphone) == b"speech"
        assert session.said == [("microphone_open", None), ("microphone_close", None)]
        await views.close()

    play(scenario())


def test_talking_in_a_passive_view_makes_it_active(play, views, session, studio):
    async def scenario():
        first, second = await views.open(), await views.open()
        await first.command("microphone_open")
        await second.send_binary(messages.KIND_MICROPHONE, 1, b"ignored")
        await second.command("activate")
        await second.wait("active", lambda m: m["active"])
        await second.send_binary(messages.KIND_MICROPHONE, 1, b"second")
        await first.send_binary(messages.KIND_MICROPHONE, 1, b"ignored")
        await first.command("interrupt")
        await second.command("interrupt")
        assert bytes(session.microphone) == b"second"
        await views.close()

    play(scenario())


def test_view_lost_while_talking_ends_the_talk(play, views, session):
    async def scenario():
        view = await views.open()
        await view.command("talk_start")
        view.cut()
        await wait_until(lambda: ("talk_end", None) in session.said)

    play(scenario())


def test_answer_is_played_and_what_is_heard_reaches_the_session(play, views, session, studio):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        assert bytes(view.audio[stream_id]) == pcm(100)
        await rendered(view, stream_id, 1_000)
        await wait_until(lambda: session.playback.counts == {("item_1", 0): 1_000})
        assert (await view.wait("session_state", lambda m: m["speaking"]))["state"] == "connected"
        session.player.end("item_1", 0)
        await view.wait("playback_end")
        await rendered(view, stream_id, 900)
        await rendered(view, stream_id, 2_399, drained=True)
        await wait_until(lambda: session.playback.counts == {("item_1", 0): 2_400})
        await view.until(lambda: view.all("session_state")[-1]["speaking"] is False)
        await views.close()

    play(scenario())


def test_counts_never_exceed_what_was_sent(play, views, session):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await rendered(view, stream_id, 10_000_000)
        await wait_until(lambda: session.playback.counts == {("item_1", 0): 2_400})
        await views.close()

    play(scenario())


def test_interrupt_takes_the_flush_answer_of_the_view(play, views, session):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await rendered(view, stream_id, 480)
        command = await view.start_command("interrupt")
        flush = await view.wait("playback_flush", lambda m: m["lane"] == "assistant")
        await view.send(
            type="playback_flushed", flush_id=flush["flush_id"], rendered={str(stream_id): 720}, time_client_ms=0.0
        )
        assert (await view.answer(command))["ok"]
        assert session.said[-1] == ("interrupt", "button")
        assert session.flushed == {("item_1", 0): 720}
        await views.close()

    play(scenario())


def test_silent_view_is_not_waited_for_longer_than_the_limit(play, views, session):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await rendered(view, stream_id, 480)
        await wait_until(lambda: bool(session.playback.counts))
        assert (await view.command("interrupt"))["ok"]
        assert session.flushed == {("item_1", 0): 480}
        session.player.write("item_1", 0, pcm(100))
        assert len(view.audio[stream_id]) == 100 * MS
        await views.close()

    play(scenario())


def test_stop_pressed_in_the_view_keeps_its_count_for_the_interrupt(play, views, session):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await view.send(type="playback_flushed", flush_id=0, rendered={str(stream_id): 240}, time_client_ms=0.0)
        assert (await view.command("interrupt"))["ok"]
        assert session.flushed == {("item_1", 0): 240}
        await views.close()

    play(scenario())


def test_another_view_takes_over_where_the_first_was(play, views, session):
    async def scenario():
        first, second = await views.open(), await views.open()
        stream_id = await begin_answer(session, first)
        await rendered(first, stream_id, 1_200)
        await wait_until(lambda: bool(session.playback.counts))
        await first.close()
        begun = await second.wait("playback_begin")
        await second.until(lambda: len(second.audio.get(begun["stream_id"], b"")) == 50 * MS)
        assert bytes(second.audio[begun["stream_id"]]) == pcm(100)[1_200 * 2 :]
        await rendered(second, begun["stream_id"], 240)
        await wait_until(lambda: session.playback.counts == {("item_1", 0): 1_440})
        await views.close()

    play(scenario())


def test_view_that_comes_back_is_asked_what_it_played_meanwhile(play, views, session):
    async def scenario():
        view = await views.open(client_id="same")
        stream_id = await begin_answer(session, view)
        view.cut()
        await wait_until(lambda: not views.widget._desk.link.clients)
        again = await views.open(client_id="same")
        flush = await again.wait("playback_flush", lambda m: m["lane"] == "assistant")
        await again.send(
            type="playback_flushed", flush_id=flush["flush_id"], rendered={str(stream_id): 480}, time_client_ms=0.0
        )
        begun = await again.wait("playback_begin")
        await again.until(lambda: len(again.audio.get(begun["stream_id"], b"")) == 80 * MS)
        assert session.playback.counts == {("item_1", 0): 480}
        await views.close()

    play(scenario())


def test_without_any_view_the_answer_counts_as_unheard_and_is_cut(play, views, session, monkeypatch):
    monkeypatch.setattr(playback_feed, "NO_VIEW_GRACE_S", 0.05)

    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await rendered(view, stream_id, 480)
        await wait_until(lambda: bool(session.playback.counts))
        await view.close()
        await wait_until(lambda: session.player is None)
        assert session.said == [("interrupt", "policy")]
        assert session.flushed == {("item_1", 0): 480}

    play(scenario())


def test_view_that_stops_the_answer_and_goes_has_it_cut_where_it_stopped(play, views, session):
    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view)
        await view.send(type="playback_flushed", flush_id=0, rendered={str(stream_id): 480}, time_client_ms=0.0)
        await view.close()
        await wait_until(lambda: session.player is None)
        assert session.said == [("interrupt", "policy")]
        assert session.flushed == {("item_1", 0): 480}

    play(scenario())


def test_no_player_is_attached_without_a_view(play, session, studio):
    async def scenario():
        assert session.player is None

    play(scenario())


def test_long_answer_is_paced_and_complete(play, views, session):
    async def scenario():
        view = await views.open()
        await wait_until(lambda: session.player is not None)
        session.player.begin("long", 0)
        session.player.write("long", 0, pcm(45_000))
        session.player.end("long", 0)
        stream_id = (await view.wait("playback_begin"))["stream_id"]
        await view.until(lambda: len(view.audio.get(stream_id, b"")) == 30_000 * MS)
        assert view.all("playback_end") == []
        await rendered(view, stream_id, 20_000 * 24)
        await view.until(lambda: len(view.audio[stream_id]) == 45_000 * MS)
        assert bytes(view.audio[stream_id]) == pcm(45_000)
        await view.wait("playback_end")
        await views.close()

    play(scenario())


def test_more_than_three_minutes_waiting_is_told_once(play, views, session):
    async def scenario():
        view = await views.open()
        await wait_until(lambda: session.player is not None)
        session.player.begin("endless", 0)
        for _ in range(5):
            session.player.write("endless", 0, pcm(60_000))
        assert "three minutes" in (await view.wait("notice"))["message"]
        assert len(view.all("notice")) == 1
        await views.close()

    play(scenario())


def test_sample_clip_is_asked_and_heard_in_the_users_lane(play, views, session):
    clip_id = next(iter(bundled.clips()))

    async def scenario():
        view = await views.open()
        assert (await view.command("play_clip", clip_id=clip_id))["ok"]
        begun = await view.wait("playback_begin")
        assert begun["lane"] == "user"
        assert session.said == [("ask", bundled.clip(clip_id))]
        await view.wait("playback_end")
        assert bytes(view.audio[begun["stream_id"]]) == bundled.clip(clip_id).pcm16_bytes()
        assert session.playback.counts == {}
        assert "no bundled clip" in (await view.command("play_clip", clip_id="nope"))["error"]
        await views.close()

    play(scenario())


def test_what_comes_after_an_overflow_is_not_heard_in_the_wrong_place(play, views, session, monkeypatch):
    monkeypatch.setattr(playback_feed, "MAX_HELD_BYTES", 100 * MS)

    async def scenario():
        view = await views.open()
        stream_id = await begin_answer(session, view, ms=60)
        session.player.write("item_1", 0, pcm(60))
        assert "the rest will not be heard" in (await view.wait("notice"))["message"]
        await view.until(lambda: len(view.audio[stream_id]) == 100 * MS)
        await rendered(view, stream_id, 100 * 24)
        await wait_until(lambda: session.playback.counts.get(("item_1", 0)) == 100 * 24)
        session.player.write("item_1", 0, pcm(10))
        session.player.end("item_1", 0)
        await view.wait("playback_end", lambda m: m["stream_id"] == stream_id)
        assert len(view.audio[stream_id]) == 100 * MS
        await views.close()

    play(scenario())


def test_a_refused_upload_takes_no_place(play, views, studio, monkeypatch):
    monkeypatch.setattr(base, "MAX_RUNNING_COMMANDS", 0)

    async def scenario():
        view = await views.open()
        refused = await upload(view, b"RIFF")
        assert "Too many commands" in refused["error"]
        assert not studio._desk.uploads._running
        await views.close()

    play(scenario())


async def upload(view: FakeBrowser, data: bytes, size: int | None = None) -> dict[str, Any]:
    command = await view.start_command("upload_clip", filename="mine.wav", size=len(data) if size is None else size)
    for at in range(0, len(data), 65_536):
        await view.send_binary(messages.KIND_UPLOAD, command, data[at : at + 65_536])
    return await view.answer(command)


def test_uploaded_file_is_asked(play, views, session):
    async def scenario():
        view = await views.open()
        answer = await upload(view, AudioClip(np.tile(TONE, 4)).to_wav_bytes())
        assert (answer["ok"], answer["result"]) == (True, {"title": "mine.wav", "duration_ms": 4_000})
        ((verb, clip),) = session.said
        assert verb == "ask"
        assert np.array_equal(clip.samples, np.tile(TONE, 4))
        await views.close()

    play(scenario())


@pytest.mark.parametrize(
    ("data", "size", "words"),
    [(b"", 0, "empty"), (b"not audio at all", None, "audio"), (b"", 65 * 2**20, "at most 64")],
)
def test_bad_upload_is_refused_in_words(play, views, session, data, size, words):
    async def scenario():
        view = await views.open()
        answer = await upload(view, data, size)
        assert answer["ok"] is False
        assert words in answer["error"]
        assert answer["what_now"]
        assert session.said == []
        await views.close()

    play(scenario())


def test_upload_of_a_view_that_goes_ends(play, views, studio):
    async def scenario():
        view = await views.open()
        await view.start_command("upload_clip", filename="mine.wav", size=1_000)
        await wait_until(lambda: bool(studio._desk.uploads._running))
        await view.close()
        await wait_until(lambda: not studio._desk.uploads._running)

    play(scenario())


def test_news_come_in_batches_with_the_last_word(play, views, session):
    async def scenario():
        view = await views.open()
        for count in range(200):
            session.line("item_1", f"word {count}", final=count == 199)
            session.log("response.output_audio_transcript.delta", delta=f"{count}")
        await view.until(lambda: sum(len(m["rows"]) for m in view.all("events")) == 200)
        await view.wait("transcript_update", lambda m: m["entries"][-1]["text"] == "word 199")
        assert len(view.all("transcript_update")) < 10
        assert [row["sequence"] for m in view.all("events") for row in m["rows"]] == list(range(200))
        await views.close()

    play(scenario())


def test_late_view_gets_a_bounded_replay(play, views, session):
    async def scenario():
        for count in range(1_200):
            session.log("noise", n=count)
        session.line("item_1", "hello")
        session.region("r1", 10.0)
        view = await views.open()
        events = await view.wait("events")
        assert len(events["rows"]) == 1_000
        assert events["dropped"] == 200
        assert events["rows"][-1]["sequence"] == 1_199
        assert (await view.wait("transcript_update"))["entries"][0]["text"] == "hello"
        assert (await view.wait("regions"))["regions"][0]["end_ms"] == 10.0
        await views.close()

    play(scenario())


def test_news_from_another_thread_arrive(play, views, session):
    async def scenario():
        view = await views.open()
        thread = threading.Thread(target=lambda: session.line("item_1", "from a thread"))
        thread.start()
        await view.wait("transcript_update", lambda m: m["entries"][0]["text"] == "from a thread")
        await asyncio.to_thread(thread.join)
        await views.close()

    play(scenario())


def test_notice_of_the_session_is_shown(play, views, session):
    async def scenario():
        view = await views.open()
        for observer in session.observers:
            observer.on_notice("warning", "Slow network.", "Wait.")
        assert (await view.wait("notice"))["what_now"] == "Wait."
        await views.close()

    play(scenario())


def test_event_is_shown_elided_and_given_in_full_on_request(play, views, session):
    audio = base64.b64encode(pcm(20)).decode()

    async def scenario():
        view = await views.open()
        session.log("response.output_audio.delta", delta=audio, item_id="item_1", response_id="resp_1")
        (row,) = (await view.wait("events"))["rows"]
        assert audio not in row["payload"]
        assert (row["audio_ms"], row["summary"], row["item_id"]) == (20.0, "20 ms of audio", "item_1")
        assert audio in (await view.command("get_event", sequence=0))["result"]["json"]
        answer = (await view.command("get_event_audio", sequences=[0, 0]))["result"]
        assert base64.b64decode(answer["pcm16_base64"]) == pcm(20) * 2
        assert answer["sample_rate_hz"] == 24_000
        assert "no longer" in (await view.command("get_event", sequence=99))["error"]
        await views.close()

    play(scenario())


def test_event_whose_audio_left_the_log_still_says_how_much_it_was(play, views, session):
    async def scenario():
        view = await views.open()
        kind = "response.output_audio.delta"
        session.log(kind, delta="(960 bytes of audio)", item_id="item_1", audio_left_out_bytes=960)
        (row,) = (await view.wait("events"))["rows"]
        assert (row["audio_ms"], row["summary"]) == (20.0, "20 ms of audio")
        assert "(960 bytes of audio)" in row["payload"]
        assert "no longer in the log" in (await view.command("get_event_audio", sequences=[0]))["error"]
        assert "No event" in (await view.command("get_event_audio"))["error"]
        await views.close()

    play(scenario())


def test_call_that_waits_is_shown_approved_and_gone(play, views, session):
    async def scenario():
        view = await views.open()
        session.call("call_1", "waiting_for_approval", arguments='{"size":"large"}')
        (call,) = (await view.wait("tool_calls"))["calls"]
        assert (call["name"], call["arguments"], call["status"]) == (
            "place_order",
            '{"size":"large"}',
            "waiting_for_approval",
        )
        assert (await view.command("approve_tool", call_id="call_1", approved=True))["ok"]
        assert (await view.command("approve_tool", call_id="call_1", approved=False))["ok"]
        assert session.said == [("approve", ("call_1", True)), ("approve", ("call_1", False))]
        session.call("call_1", "completed", output="x" * 10_000, duration_ms=12.5)
        is_done = lambda message: message["calls"][0]["status"] == "completed"  # noqa: E731
        (call,) = (await view.wait("tool_calls", is_done))["calls"]
        assert call["output"].endswith("… (10000 characters)")
        assert "no longer waits" in (await view.command("approve_tool", call_id="call_1", approved=True))["error"]
        late = await views.open()
        (call,) = (await late.wait("tool_calls"))["calls"]
        assert call["status"] == "completed"
        await views.close()

    play(scenario())


def test_session_that_ends_is_shown_with_its_reason(play, views, session):
    async def scenario():
        view = await views.open()
        session.set_state("failed", ConnectionRefused("The server went away.", what_now="Connect again."))
        state = await view.wait("session_state", lambda m: m["state"] == "failed")
        assert (state["error"], state["what_now"]) == ("The server went away.", "Connect again.")
        assert "has ended" in (await view.command("say_text", text="hello?"))["error"]
        await views.close()

    play(scenario())


def test_connects_on_first_use_and_again_after_a_failure(room, play, session, views_of, monkeypatch):
    calls: list[dict[str, Any]] = []

    async def connect(**options: Any) -> Any:
        calls.append(options)
        if len(calls) == 1:
            raise ConnectionRefused("Nobody listens.", what_now="Start the server.")
        return session

    monkeypatch.setattr(Studio, "default_connect", staticmethod(connect))
    studio = Studio(voice="marin")
    views = views_of(studio)

    async def scenario():
        view = await views.open()
        assert (await view.wait("session_state"))["state"] == "idle"
        assert (await view.command("connect"))["error"] == "Nobody listens."
        assert (await view.wait("session_state", lambda m: m["state"] == "failed"))["what_now"] == "Start the server."
        assert (await view.command("say_text", text="hi"))["ok"]
        assert [m["state"] for m in view.all("session_state")] == [
            "idle",
            "connecting",
            "failed",
            "connecting",
            "connected",
        ]
        assert session.said == [("ask", "hi")]
        await wait_until(lambda: session.player is not None)
        await views.close()

    play(scenario())
    assert calls == [{"voice": "marin"}, {"voice": "marin"}]
    assert studio.session is session
    studio.close()
    assert session.said[-1] == ("aclose", None)


def test_session_still_connecting_is_awaited(room, play, session, views_of):
    async def connecting() -> Any:
        return session

    studio = Studio(connecting())
    views = views_of(studio)

    async def scenario():
        view = await views.open()
        assert (await view.command("connect"))["ok"]
        await views.close()

    play(scenario())
    assert studio.session is session
    studio.close()


def test_studio_without_a_way_to_connect_says_so(room, play, views_of, monkeypatch):
    monkeypatch.setattr(Studio, "default_connect", None)
    studio = Studio()
    views = views_of(studio)

    async def scenario():
        view = await views.open()
        assert "no session" in (await view.command("connect"))["error"]
        await views.close()

    play(scenario())
    studio.close()


def test_closed_while_speaking_leaves_nothing(room, play, session, views_of):
    async def tasks() -> set[Any]:
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    before = play(tasks())
    studio = Studio(session)
    views = views_of(studio)

    async def scenario():
        view = await views.open()
        await begin_answer(session, view)
        await view.command("microphone_open")
        await view.start_command("upload_clip", filename="half.wav", size=1_000)
        await view.command("say_text", text="and then")
        return view

    view = play(scenario())
    studio.close()
    studio.close()

    async def afterwards():
        assert await view.closed() == 1000
        assert view.all("microphone_control")[-1]["open"] is False
        assert view.all("playback_flush")
        assert session.said[-1] == ("microphone_close", None)
        assert session.player is None
        assert session.observers == []
        with pytest.raises(OSError, match=r"refused|failed"):
            await asyncio.open_connection("127.0.0.1", view.offer["port"])

    play(afterwards())
    assert play(tasks()) == before


def test_comm_alone_carries_a_whole_studio(play, studio, views, session):
    async def scenario():
        offer = await views.offer("comm-view")
        view = CommBrowser(offer, studio._handle_custom_msg, client_id="comm-view")
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        views.on_comm.append(lambda content, buffers: inbox.put_nowait((content, buffers)))

        async def deliver() -> None:
            while True:
                await view.take_comm(*await inbox.get())

        delivery = asyncio.create_task(deliver())
        await view.open()
        stream_id = await begin_answer(session, view)
        await rendered(view, stream_id, 24)
        await wait_until(lambda: session.playback.counts == {("item_1", 0): 24})
        assert (await view.command("say_text", text="by comm"))["ok"]
        delivery.cancel()

    play(scenario())


def test_snapshot_needs_no_kernel_and_no_script(play, views, session, studio):
    clip = AudioClip(TONE)

    async def scenario():
        session.line("item_1", "<b>How</b> are you?", role="user")
        session.log("session.created")
        for observer in session.observers:
            observer.on_turn(SimpleNamespace(user_audio=clip, audio=clip))

    play(scenario())
    html = studio.snapshot().html
    assert "&lt;b&gt;How&lt;/b&gt; are you?" in html
    assert html.count("<svg") == 2
    assert "session.created" in html
    assert "<script" not in html
    assert "You: <b>How" in repr(studio.snapshot())


def test_mimebundle_has_the_widget_and_a_static_text(studio):
    bundle = studio._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "Nothing was said yet" in data["text/html"]


def test_snapshot_works_after_close(studio):
    studio.close()
    assert "Nothing was said yet" in studio.snapshot().html


def test_missing_bundle_says_how_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(Studio, "_esm", base.MissingBundle(tmp_path / "studio.js"))
    with pytest.raises(ConfigurationError, match=r"studio\.js is missing.*make frontend"):
        Studio()
    (tmp_path / "studio.js").write_text("export default {}")
    studio = Studio()
    assert studio._esm == "export default {}"
    studio.close()


def test_page_that_asks_after_the_end_gets_no_answer(studio, views):
    studio.close()
    studio._from_comm(studio, {"type": "link_request", "client_id": "x", "page_origin": PAGE}, [])
    assert runtime().usable
    assert views.comm_out == []
