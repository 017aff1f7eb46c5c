"""The Race widget: lanes that start together, fail alone and stop at once; tables that say how they came about."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.pipelines import factory
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import Row
from realtime_nb.timing.marks import ROUTES
from realtime_nb.widgets import messages
from realtime_nb.widgets.race import Race
from realtime_nb.widgets.race_tables import MEASURED, RACED, saved_lanes, table_row
from tests.widgets.conftest import wait_until
from tests.widgets.scripted_pipeline import TONE, ScriptedPipeline

CLIP = AudioClip(np.zeros(2_400, np.int16), title="Where is my order?", speech_end_ms=80.0)


@pytest.fixture
def make(room):
    made = []

    def make(*arguments, **options):
        made.append(Race(*arguments, **({"warm_up": False} | options)))
        return made[-1]

    yield make
    for widget in made:
        widget.close()


def four(**options) -> dict[str, ScriptedPipeline]:
    steps = {"chain": 300.0, "chain-streaming": 150.0, "chat-audio": 200.0, "realtime": 150.0}
    return {route: ScriptedPipeline(route, step_ms=steps[route], **options) for route in ROUTES}


def comparison(n: int = 8) -> Comparison:
    rows = []
    for repeat in range(n):
        for place, (name, total_ms) in enumerate({"chain": 2_000.0, "realtime": 600.0}.items()):
            rows.append(
                Row(
                    run=2 * repeat + place,
                    pipeline=name,
                    clip="order",
                    repeat=repeat,
                    status="completed",
                    engine="scripted",
                    vad_hold_ms=500.0,
                    first_audio_ms=total_ms - 600.0 + 10 * repeat,
                    unattributed_ms=100.0,
                    voice_to_voice_ms=total_ms + 10 * repeat,
                )
            )
    rows.append(Row(run=99, pipeline="chat-audio", clip="order", status="timed_out", error="no answer in 60 s"))
    return Comparison(rows, StudyProvenance(created="2026-11-22", seed=7))


def test_lanes_race_and_are_placed_by_what_was_measured(make, play) -> None:
    pipelines = four()
    widget = make(CLIP, pipelines, warm_up=True)
    assert [lane["title"] for lane in widget.race["lanes"]] == [
        "Chain, batch",
        "Chain, streaming",
        "Chat with audio",
        "Realtime",
    ]
    result = play(widget.run(races=2))
    assert [[turn.status for turn in race] for race in result.turns] == [["completed"] * 4] * 2
    assert [pipeline.runs for pipeline in pipelines.values()] == [3] * 4  # one to warm up
    assert [pipeline.resets for pipeline in pipelines.values()] == [3] * 4

    async def settled() -> None:
        await wait_until(lambda: widget.race["state"] == "done" and len(widget.race["tables"]) == 1)

    play(settled())
    lanes = widget.race["lanes"]
    assert [lane["place"] for lane in lanes] == [4, 3, 2, 1]
    assert [round(lane["timeline"]["voice_to_voice_ms"]) for lane in lanes] == [2_100, 1_050, 800, 600]
    assert {lane["made_by"] for lane in lanes} == {"scripted"}
    assert lanes[3]["heard"] == "where is my order"
    assert lanes[3]["said"] == "Here is your answer."
    (table,) = widget.race["tables"]
    assert table["caption"] == RACED
    assert [row["n"] for row in table["rows"]] == [2] * 4
    assert table["provenance"].startswith("not a measurement · n = 8 runs · scripted · at embedded")
    assert table["facts"] == []  # no ratio of runs that competed
    assert {row.study for row in widget.comparison.rows} == {"race (all at once)"}
    assert len({(row.pipeline, row.repeat) for row in widget.comparison.rows}) == 8
    assert len({row.run for row in widget.comparison.rows}) == 8


def test_the_result_stays_without_a_kernel(make, play) -> None:
    widget = make(CLIP, four(simulated=("network: 4G (simulated)",)))
    result = play(widget.run())
    html = result._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "<table" not in html  # one race has no median
    assert "Realtime: 600 ms" in html
    assert "network: 4G (simulated)" in html
    assert "compete for it" in html
    assert "SIMULATED: network: 4G (simulated)" in str(result)
    assert "Chain, batch: 2100 ms" in str(result)
    assert "compare()" in str(result)
    assert "Race" in widget._repr_mimebundle_()[0]["text/html"]


def test_a_lane_that_fails_says_so_and_the_others_go_on(make, play) -> None:
    pipelines = four()
    pipelines["chain"] = ScriptedPipeline("chain", fails="The transcription server answered 429.")
    pipelines["chain-streaming"] = ScriptedPipeline("chain-streaming", refuses="No key was accepted.")
    pipelines["chat-audio"] = ScriptedPipeline("chat-audio", breaks=True)
    widget = make(CLIP, pipelines)
    result = play(widget.run(races=2))
    assert [[turn.status for turn in race] for race in result.turns] == [["failed", "completed"]] * 2

    async def settled() -> None:
        await wait_until(lambda: widget.race["state"] == "done" and bool(widget.race["tables"]))
        assert [row["missing"] for row in widget.race["tables"][0]["rows"]] == [2, 2, 0]

    play(settled())
    chain, streaming, chat, realtime = widget.race["lanes"]
    assert (chain["phase"], chain["error"]) == ("failed", "The transcription server answered 429.")
    assert (streaming["phase"], streaming["error"]) == ("failed", "No key was accepted.")
    assert chat["phase"] == "failed"
    assert "ZeroDivisionError" in chat["error"]
    assert (realtime["phase"], realtime["place"], chain["place"]) == ("done", 1, 0)
    assert "429" in str(result.html)
    assert [row.status for row in widget.comparison.rows if row.pipeline == "chat-audio"] == ["failed"] * 2


def test_without_any_lane_the_reason_is_said(make, play) -> None:
    widget = make(CLIP, {"realtime": ScriptedPipeline("realtime", refuses="Connection refused.")})
    with pytest.raises(RealtimeError, match="No lane could be made ready") as caught:
        play(widget.run())
    assert "Connection refused." in caught.value.what_now
    assert widget.comparison.rows == ()


def test_lanes_light_up_while_it_runs_and_sound_goes_to_the_view(make, play, views_of) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        pipelines = {"realtime": ScriptedPipeline("realtime", gate=gate), "chain": ScriptedPipeline("chain")}
        widget = make(CLIP, pipelines)
        views = views_of(widget)
        view = await views.open()
        started = await view.start_command("start", races=1)
        lane = widget.race["lanes"]
        await wait_until(lambda: widget.race["lanes"][1]["phase"] == "done")
        lane = widget.race["lanes"][0]
        assert widget.race["state"] == "racing"
        assert lane["phase"] == "thinking"
        assert [span["name"] for span in lane["timeline"]["spans"]] == ["vad_hold", "commit"]
        assert (lane["pending"]["name"], lane["timeline"]["voice_to_voice_ms"]) == ("first_audio", None)
        assert lane["pending"]["since_ms"] > lane["zero_ms"]
        second = await view.command("start", races=1)
        assert not second["ok"]
        assert "on already" in second["error"]
        gate.set()
        assert (await view.answer(started))["ok"]
        await wait_until(lambda: widget.race["state"] == "done")
        row = widget.race
        await view.until(lambda: all(lane["stream_id"] in view.audio for lane in row["lanes"]))
        assert {bytes(view.audio[lane["stream_id"]]) for lane in row["lanes"]} == {TONE}
        assert bytes(view.audio[row["question_stream_id"]]) == CLIP.pcm16_bytes()
        assert len({row["question_stream_id"], *(lane["stream_id"] for lane in row["lanes"])}) == 3
        await views.close()

    play(scenario())


@pytest.mark.parametrize("how", ["button", "cancelled cell", "closed widget"])
def test_stopping_leaves_nothing_behind(make, play, views_of, how: str) -> None:
    async def scenario() -> None:
        pipelines = {route: ScriptedPipeline(route, gate=asyncio.Event()) for route in ROUTES}
        widget = make(CLIP, pipelines)
        before = asyncio.all_tasks()
        running = asyncio.ensure_future(widget.run(races=3))
        await wait_until(lambda: all(pipeline.running for pipeline in pipelines.values()))
        if how == "button":
            views = views_of(widget)
            view = await views.open()
            assert (await view.command("stop"))["ok"]
            assert (await running).turns == []
            assert {lane["phase"] for lane in widget.race["lanes"]} == {"stopped"} or await _stopped(widget)
            await views.close()
        elif how == "cancelled cell":
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await _stopped(widget)
        else:
            await widget._desk.close()
            await asyncio.wait([running])
        assert not any(pipeline.running for pipeline in pipelines.values())
        await wait_until(lambda: not {t for t in asyncio.all_tasks() - before if "race" in t.get_name()})
        assert all(pipeline.closes == 0 for pipeline in pipelines.values())  # they were given: not ours to close
        if how != "closed widget":
            for pipeline in pipelines.values():
                assert pipeline.gate is not None
                pipeline.gate.set()
            assert len((await widget.run()).turns[0]) == 4

    play(scenario())


async def _stopped(widget: Race) -> bool:
    await wait_until(lambda: widget.race["state"] == "stopped")
    assert {lane["phase"] for lane in widget.race["lanes"]} == {"stopped"}
    return True


def test_saved_runs_are_shown_without_a_clip(make, play, tmp_path: Path) -> None:
    path = comparison().save(tmp_path / "runs.json")
    widget = make(measured=path)
    row = widget.race
    assert row["state"] == "saved"
    assert [lane["title"] for lane in row["lanes"]] == ["Chain, batch", "Chat with audio", "Realtime"]
    chain, chat, realtime = row["lanes"]
    assert [span["name"] for span in chain["timeline"]["spans"]] == ["vad_hold", "first_audio", "unattributed"]
    assert chain["timeline"]["spans"][-1]["end_ms"] == chain["timeline"]["voice_to_voice_ms"]
    assert (realtime["place"], chain["place"], chat["place"]) == (1, 2, 0)
    assert (chat["phase"], chat["error"]) == ("failed", "no answer in 60 s")
    (table,) = row["tables"]
    assert table["caption"] == MEASURED
    assert table["rows"][0]["median_ms"] == 2_035.0
    assert table["rows"][0]["low_ms"] < 2_035.0 < table["rows"][0]["high_ms"]
    ratio = next(fact for fact in table["facts"] if fact.startswith("chain ÷ realtime"))
    assert "n = 8" in ratio
    assert "interval" in ratio
    assert "seed 7" in table["provenance"]
    html = widget._repr_mimebundle_()[0]["text/html"]
    assert "no answer in 60 s" in html
    assert ratio in html
    with pytest.raises(ConfigurationError, match="no clip"):
        play(widget.run())


def test_few_runs_have_no_interval_and_no_ratio() -> None:
    table = table_row(comparison(n=3), measured=True)
    assert (table.rows[0].median_ms, table.rows[0].low_ms, table.rows[0].n) == (2_010.0, None, 3)
    assert all("not given for n = 3" in fact or "n = 0" in fact for fact in table.facts)
    assert saved_lanes(Comparison([])) == []


def test_a_race_that_cannot_start_is_a_notice(make, play, views_of) -> None:
    async def scenario() -> None:
        widget = make(CLIP, {"realtime": ScriptedPipeline("realtime", refuses="Connection refused.")})
        views = views_of(widget)
        view = await views.open()
        assert (await view.command("start"))["ok"]
        notice = await view.wait("notice")
        assert (notice["level"], notice["message"]) == ("error", "No lane could be made ready.")
        assert "Connection refused." in notice["what_now"]
        await views.close()

    play(scenario())


def test_pipelines_of_its_own_are_closed_with_it(make, play, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list(four().values())
    asked = []
    monkeypatch.setattr(factory, "pipelines", lambda **options: (asked.append(options), made)[1])
    widget = make(CLIP, network="4G")
    assert asked == [{"network": "4G"}]
    play(widget.run())
    assert [pipeline.closes for pipeline in made] == [0] * 4
    widget.close()
    widget.close()
    assert [pipeline.closes for pipeline in made] == [1] * 4


def test_measured_runs_can_come_later(make, play) -> None:
    widget = make(CLIP, four())
    widget.show(comparison())

    async def shown() -> None:
        await wait_until(lambda: [table["measured"] for table in widget.race["tables"]] == [True])

    play(shown())


def test_a_race_needs_something(room) -> None:
    with pytest.raises(ConfigurationError, match="question or saved runs"):
        Race()


def test_an_unknown_command_and_a_strange_number_of_races(make, play, views_of) -> None:
    async def scenario() -> None:
        widget = make(CLIP, {"realtime": ScriptedPipeline("realtime")})
        views = views_of(widget)
        view = await views.open()
        assert not (await view.command("launch"))["ok"]
        assert (await view.command("start", races="many"))["ok"]
        await wait_until(lambda: widget.race["state"] == "done")
        assert widget.comparison.provenance.repeats == 1
        await view.send_binary(messages.KIND_MICROPHONE, 1, b"\0\0")
        await views.close()

    play(scenario())
