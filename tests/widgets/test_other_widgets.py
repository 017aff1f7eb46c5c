"""Recorder, Player, Waveform and EventInspector with a fake browser."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.errors import AudioError, ConfigurationError
from realtime_nb.widgets import messages, playback_feed, recorder
from realtime_nb.widgets.inspector import EventInspector
from realtime_nb.widgets.player import Player
from realtime_nb.widgets.recorder import Recorder
from realtime_nb.widgets.waveform import Waveform, region_rows
from tests.widgets.conftest import wait_until

TONE = (np.sin(np.arange(24_000) / 10) * 8000).astype(np.int16)
CLIP = AudioClip(TONE, title="tone", speech_start_ms=100.0, speech_end_ms=900.0)


@pytest.fixture
def make(room):
    made = []

    def make(kind, *arguments, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for widget in made:
        widget.close()


def test_recorder_keeps_what_was_spoken_between_its_buttons(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        await view.send_binary(messages.KIND_MICROPHONE, 1, b"\x01\x00" * 10)
        await view.command("record_start")
        await view.send_binary(messages.KIND_MICROPHONE, 1, TONE.tobytes())
        assert (await view.command("record_stop"))["result"] == {"duration_ms": 1_000}
        await views.close()

    assert widget.clip is None
    play(scenario())
    assert np.array_equal(widget.clip.samples, TONE)


def test_record_for_some_seconds_from_a_cell(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def page():
        view = await views.open()
        recording = asyncio.create_task(widget.record(0.5))
        await view.wait("microphone_control", lambda m: m["open"])
        await view.send(type="microphone_state", state="live")
        for start in range(0, 24_000, 480):
            await view.send_binary(messages.KIND_MICROPHONE, 1, TONE[start : start + 480].tobytes())
        clip = await recording
        assert view.all("microphone_control")[-1]["open"] is False or await view.wait(
            "microphone_control", lambda m: not m["open"]
        )
        await views.close()
        return clip

    clip = play(page())
    assert np.array_equal(clip.samples, TONE[:12_000])
    assert widget.clip == clip


def test_a_second_recording_at_a_time_is_refused_and_leaves_the_first_alone(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def page():
        view = await views.open()
        recording = asyncio.create_task(widget.record(0.02))
        await view.wait("microphone_control", lambda m: m["open"])
        with pytest.raises(AudioError, match="recording already"):
            await widget.record(0.02)
        assert view.all("microphone_control") == [{"type": "microphone_control", "open": True, "muted": False}]
        await view.send_binary(messages.KIND_MICROPHONE, 1, TONE[:480].tobytes())
        clip = await recording
        await views.close()
        return clip

    assert np.array_equal(play(page()).samples, TONE[:480])


def test_the_shortest_take_is_a_millisecond(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def page():
        view = await views.open()
        recording = asyncio.create_task(widget.record(0.0001))
        await view.wait("microphone_control", lambda m: m["open"])
        await view.send_binary(messages.KIND_MICROPHONE, 1, TONE[:480].tobytes())
        clip = await recording
        await views.close()
        return clip

    assert play(page()).duration_ms == 1


def test_refused_microphone_is_said(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        recording = asyncio.create_task(widget.record(1))
        await view.wait("microphone_control", lambda m: m["open"])
        await view.send(
            type="microphone_state", state="failed", error_name="NotAllowedError", error_message="Allow it."
        )
        with pytest.raises(AudioError, match=r"NotAllowedError.*Allow it"):
            await recording
        await view.wait("microphone_control", lambda m: not m["open"])
        await views.close()

    play(scenario())


def test_view_that_goes_breaks_the_recording_off_and_keeps_what_came(make, play, views_of):
    widget = make(Recorder)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        recording = asyncio.create_task(widget.record(5))
        await view.wait("microphone_control")
        await view.send_binary(messages.KIND_MICROPHONE, 1, TONE.tobytes())
        await wait_until(lambda: len(widget._desk._take) == 48_000)
        await view.close()
        with pytest.raises(AudioError, match="broken off"):
            await recording

    play(scenario())
    assert widget.clip.duration_ms == 1_000


def test_recording_without_a_view_says_to_show_it(make, play, monkeypatch):
    monkeypatch.setattr(recorder, "VIEW_TIMEOUT_S", 0.05)
    with pytest.raises(ConfigurationError, match="Show it in a cell"):
        play(make(Recorder).record(1))


@pytest.mark.parametrize("seconds", [0, -1, 601, float("nan")])
def test_impossible_length_is_refused(make, play, seconds):
    with pytest.raises(ConfigurationError, match="cannot be recorded"):
        play(make(Recorder).record(seconds))


def test_take_is_bounded(make, play, views_of, monkeypatch):
    monkeypatch.setattr(recorder, "MAX_SECONDS", 1.5)
    widget = make(Recorder)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        await view.command("record_start")
        for _ in range(3):
            await view.send_binary(messages.KIND_MICROPHONE, 1, TONE.tobytes())
        assert "left out" in (await view.wait("notice"))["message"]
        await view.command("record_stop")
        await views.close()

    play(scenario())
    assert widget.clip.duration_ms == 1_000


def test_player_plays_and_knows_what_was_heard(make, play, views_of):
    widget = make(Player, CLIP)
    views = views_of(widget)
    assert (widget.title, widget.duration_ms, len(widget.peaks)) == ("tone", 1_000.0, 200)

    async def scenario():
        view = await views.open()
        await view.command("play")
        begun = await view.wait("playback_begin")
        await view.wait("playback_end")
        assert bytes(view.audio[begun["stream_id"]]) == TONE.tobytes()
        await view.send(
            type="playback_rendered",
            stream_id=begun["stream_id"],
            rendered_samples=12_000,
            underruns=0,
            time_client_ms=0.0,
        )
        await wait_until(lambda: widget.heard_ms == 500)
        stopping = await view.start_command("stop")
        flush = await view.wait("playback_flush")
        rendered = {str(begun["stream_id"]): 14_400}
        await view.send(type="playback_flushed", flush_id=flush["flush_id"], rendered=rendered, time_client_ms=0.0)
        assert (await view.answer(stopping))["result"] == {"heard_ms": 600}
        widget.play()
        await wait_until(lambda: len(view.all("playback_begin")) == 2 and widget.heard_ms == 0)
        widget.stop()
        await wait_until(lambda: len(view.all("playback_flush")) == 2)
        await views.close()

    play(scenario())


def test_player_plays_a_clip_longer_than_it_holds(make, play, views_of, monkeypatch):
    monkeypatch.setattr(playback_feed, "MAX_HELD_BYTES", 6_000)
    widget = make(Player, CLIP)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        await view.command("play")
        stream_id = (await view.wait("playback_begin"))["stream_id"]
        for heard in range(3_000, len(TONE) + 1, 3_000):
            await view.until(lambda heard=heard: len(view.audio.get(stream_id, b"")) == heard * 2)
            told = {"stream_id": stream_id, "rendered_samples": heard, "underruns": 0, "time_client_ms": 0.0}
            await view.send(type="playback_rendered", **told)
        await view.wait("playback_end")
        await views.close()
        return bytes(view.audio[stream_id])

    assert play(scenario()) == TONE.tobytes()


def test_waveform_marks_the_known_speech(make):
    widget = make(Waveform, CLIP)
    assert widget.regions == [
        {"region_id": "region_0", "lane": "user", "kind": "speech", "start_ms": 100.0, "end_ms": 900.0}
    ]
    assert np.frombuffer(widget.peaks, np.int8).reshape(-1, 2).shape == (100, 2)
    assert "<svg" in widget._static_html()


def test_waveform_of_nothing(make):
    widget = make(Waveform, AudioClip(np.zeros(0, np.int16)))
    assert (widget.peaks, widget.regions, widget.duration_ms) == (b"", [], 0.0)


def test_regions_of_a_session_are_taken_as_they_are():
    region = SimpleNamespace(region_id="r", lane="assistant", kind="response", start_ms=1, end_ms=None)
    rows = region_rows([region, (1, 2, "hold")])
    assert rows[0] == {"region_id": "r", "lane": "assistant", "kind": "response", "start_ms": 1.0, "end_ms": None}
    assert rows[1]["kind"] == "hold"


def test_inspector_of_a_session_follows_it(make, play, views_of, session):
    session.log("session.created")
    widget = make(EventInspector, session)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        assert [row["event_type"] for row in (await view.wait("events"))["rows"]] == ["session.created"]
        session.log("response.created")
        await view.wait("events", lambda m: m["rows"][-1]["event_type"] == "response.created")
        assert '"session.created"' in (await view.command("get_event", sequence=0))["result"]["json"]
        await views.close()

    play(scenario())
    widget.close()
    assert session.observers == []


def test_inspector_of_a_list(make, play, views_of, session):
    for count in range(1_500):
        session.log("noise", n=count)
    widget = make(EventInspector, session.events.logged)
    views = views_of(widget)

    async def scenario():
        view = await views.open()
        events = await view.wait("events")
        assert (len(events["rows"]), events["dropped"]) == (1_000, 500)
        assert '"n": 3' in (await view.command("get_event", sequence=3))["result"]["json"]
        await views.close()

    play(scenario())
    assert "noise" in widget._static_html()
