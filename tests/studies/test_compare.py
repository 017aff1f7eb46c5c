from __future__ import annotations

import asyncio
import importlib.metadata
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.audio.bundled import clip
from realtime_nb.errors import AudioError, ConfigurationError, ConnectionRefused, MissingExtra, RealtimeError
from realtime_nb.pipelines.base import PipelineEvent
from realtime_nb.pipelines.stage_server import StageEndpoint
from realtime_nb.studies import progress, provenance
from realtime_nb.studies.compare import compare, compare_now
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.rows import Row
from realtime_nb.studies.runs import asked_wait_s
from tests.studies.fake_pipeline import HOLD_MS, FakePipeline, virtually

CLIPS = {"hello": clip("hello"), "stop": clip("stop")}


def run(*pipelines: FakePipeline, clips: Any = CLIPS, repeats: int = 3, seed: int = 0, **options: Any) -> Comparison:
    """Compare on a virtual clock. Files and threads are real; nothing here races them."""
    named = {each.provenance.route: each for each in pipelines}
    made: Comparison = virtually(lambda: compare(clips, named, repeats, seed, progress=False, **options))
    return made


def chain(**options: Any) -> FakePipeline:
    return FakePipeline("chain", 900.0, **options)


# --- what is measured -------------------------------------------------------------------------------------------


def test_every_case_is_run_and_measured_as_it_was() -> None:
    made = run(chain(), FakePipeline())
    assert Counter((row.pipeline, row.clip) for row in made.rows) == {
        (pipeline, name): 3 for pipeline in ("chain", "realtime") for name in CLIPS
    }
    for row in made.rows:
        answer_ms = {"chain": 900.0, "realtime": 300.0}[row.pipeline]
        assert row.voice_to_voice_ms == pytest.approx(HOLD_MS + answer_ms, abs=1)
        assert row.vad_hold_ms == pytest.approx(HOLD_MS, abs=1)
        assert (row.status, row.error, row.flags) == ("completed", "", "")
        assert (row.heard, row.word_errors) == (CLIPS[row.clip].transcript, 0)
        assert row.answer_audio_ms == 100
        assert (row.input_tokens, row.output_tokens) == (100, 50)
        assert (row.cost_usd, "fake-model" in row.cost_source) == (None, True)
        assert row.silence_duration_ms == HOLD_MS
        assert row.started.startswith("20")
    assert made.provenance.n == 12
    assert made.provenance.engines == ("a fake",)
    assert made.ratio("chain", "realtime").value == pytest.approx(1400 / 800, abs=0.01)


def test_warm_ups_come_first_are_counted_and_are_in_no_row() -> None:
    pipeline = FakePipeline(answer_ms=lambda run: 5000.0 if run < 2 else 300.0)
    made = run(pipeline, warmups=2)
    assert len(pipeline.asked) == 2 + 6
    assert made.provenance.warmups == 2
    assert max(row.voice_to_voice_ms or 0 for row in made.rows) < 1000
    assert pipeline.resets == 8


def test_blocks_hold_every_case_once_in_an_order_that_the_seed_decides() -> None:
    def order(seed: int) -> list[tuple[int, str, str]]:
        made = run(chain(), FakePipeline(), repeats=6, seed=seed)
        assert [row.run for row in made.rows] == list(range(24))
        return [(row.block, row.pipeline, row.clip) for row in made.rows]

    first = order(1)
    assert first == order(1)
    assert first != order(2)
    blocks = [tuple(case[1:] for case in first if case[0] == block) for block in range(6)]
    assert all(len(set(block)) == 4 for block in blocks)
    assert len(set(blocks)) > 1


def test_events_and_rows_are_told_as_they_come() -> None:
    events: list[tuple[Row, PipelineEvent]] = []
    rows: list[Row] = []
    run(FakePipeline(), repeats=1, on_event=lambda row, event: events.append((row, event)), on_row=rows.append)
    assert {row.clip for row, _ in events} == set(CLIPS)
    assert [row.status for row in rows] == ["completed"] * 2


def test_a_listener_that_fails_costs_no_run(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Row] = []

    def broken(row: Row, *_: object) -> None:
        told.append(row)
        raise ValueError("oops")

    made = run(FakePipeline(), on_event=broken, on_row=broken)
    assert {row.status for row in made.rows} == {"completed"}
    assert len(told) == 2
    assert "on_event failed" in caplog.text


@pytest.mark.anyio
async def test_the_loop_is_never_blocked(tmp_path: Path) -> None:
    """`conftest` fails a marked test in which our code blocks."""
    path = tmp_path / "a question.wav"
    await asyncio.to_thread(AudioClip.silence(20).save, path)
    for _ in range(2):
        made = await compare([path], [FakePipeline(answer_ms=1.0)], 1, progress=False, path=tmp_path / "runs.jsonl")
    assert [row.status for row in made.rows] == ["completed"]


# --- what fails -------------------------------------------------------------------------------------------------


def test_a_stage_that_fails_in_run_37_of_100_costs_one_row() -> None:
    made = run(
        FakePipeline(fails_in=lambda run: "The voice broke off." if run == 1 + 37 else None),
        clips={"hello": clip("hello")},
        repeats=100,
    )
    assert Counter(row.status for row in made.rows) == {"completed": 99, "failed": 1}
    (line,) = made.missing()
    assert (line["run"], line["why"]) == (37, "The voice broke off.")
    assert made.summary()[0]["n"] == 99


def test_a_pipeline_that_breaks_is_a_failed_row_and_the_others_go_on() -> None:
    made = run(chain(raises=lambda run: ValueError("oops") if run == 2 else None), FakePipeline(), repeats=2)
    (broken,) = [row for row in made.rows if row.status == "failed"]
    assert "ValueError('oops')" in broken.error
    assert broken.pipeline == "chain"
    assert sum(row.status == "completed" for row in made.rows) == 7


def test_a_key_that_hits_its_limit_midway_ends_that_pipeline_and_says_why() -> None:
    limit = "The chat model at fake reached its limit: Rate limit reached. Please try again in 20s."
    made = run(chain(fails_in=lambda run: limit if run > 4 else None), FakePipeline(), repeats=10, give_up_after=3)
    assert Counter(row.status for row in made.of("realtime")) == {"completed": 20}
    assert Counter(row.status for row in made.of("chain")) == {"completed": 4, "failed": 3, "missing": 13}
    reasons = {row.error for row in made.of("chain") if row.status == "missing"}
    assert reasons == {f"not run: 3 runs in a row failed before, the last one with: {limit}"}


def test_failures_that_are_not_in_a_row_do_not_end_it() -> None:
    made = run(chain(fails_in=lambda run: "no" if run % 2 else None), repeats=10, give_up_after=2)
    assert Counter(row.status for row in made.rows) == {"completed": 10, "failed": 10}


def test_waiting_for_a_limit_is_only_done_when_asked_for_and_bounded() -> None:
    async def taken(**options: Any) -> float:
        limited = FakePipeline(fails_in=lambda run: "Please try again in 20s." if run == 2 else None)
        began = asyncio.get_running_loop().time()
        await compare({"hello": clip("hello")}, [limited], 3, progress=False, **options)
        return asyncio.get_running_loop().time() - began

    patient_s, capped_s, usual_s = (
        virtually(lambda: taken(wait_when_limited_s=60)),
        virtually(lambda: taken(wait_when_limited_s=5)),
        virtually(taken),
    )
    assert patient_s - usual_s == pytest.approx(20, abs=0.1)
    assert capped_s - usual_s == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("Please try again in 1.2s.", 1.2),
        ("try again in 350ms", 0.35),
        ("Retry-After: 7", 7.0),
        ("try again in 2m", 120.0),
        ("Please try again in 6m0s. Visit the page.", 360.0),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Try again in 5 minutes or later.", 300.0),
        ("Retry after 30 seconds", 30.0),
        ("It will never fit.", None),
        ("Try again.", None),
    ],
)
def test_how_long_to_wait_is_read_from_the_error(said: str, wait_s: float | None) -> None:
    assert asked_wait_s(said) == (None if wait_s is None else pytest.approx(wait_s))


def test_a_pipeline_that_cannot_start_is_missing_with_the_reason() -> None:
    refused = ConnectionRefused("Nobody listens there.", what_now="Start it.")
    made = run(chain(cannot_start=refused), FakePipeline(), repeats=2)
    assert {row.error for row in made.of("chain")} == {"not run: it could not start: Nobody listens there. Start it."}
    assert {row.status for row in made.of("realtime")} == {"completed"}
    assert made.ratio("chain", "realtime").value is None


def test_a_pipeline_that_breaks_when_it_starts_costs_only_itself() -> None:
    made = run(chain(cannot_start=ValueError("oops")), FakePipeline(), repeats=1)
    assert {row.error for row in made.of("chain")} == {
        "not run: it broke when it started: ValueError('oops'). Please report this."
    }
    assert {row.status for row in made.of("realtime")} == {"completed"}


def test_a_row_of_a_run_that_failed_says_who_was_asked_and_where() -> None:
    made = run(FakePipeline(answer_ms=1e9), timeout_s=30, repeats=1)
    assert {(row.status, row.endpoint, row.model, row.silence_duration_ms) for row in made.rows} == {
        ("timed_out", "fake", "fake-model", HOLD_MS)
    }
    assert {row.machine for row in made.rows} == {made.provenance.machine}
    assert "cores" in made.provenance.machine


def test_a_run_that_never_ends_is_timed_out() -> None:
    made = run(FakePipeline(answer_ms=lambda run: 1e9 if run == 2 else 300.0), timeout_s=30, repeats=2)
    assert Counter(row.status for row in made.rows) == {"completed": 3, "timed_out": 1}
    assert "30 s" in next(row.error for row in made.rows if row.status == "timed_out")


def test_a_timeout_of_the_pipeline_s_own_is_not_ours() -> None:
    made = run(FakePipeline(raises=lambda run: TimeoutError("the socket") if run == 1 else None), repeats=1)
    (broken,) = [row for row in made.rows if row.status != "completed"]
    assert (broken.status, "TimeoutError('the socket')" in broken.error) == ("failed", True)


# --- stopping and going on --------------------------------------------------------------------------------------


def stopped_after(n_rows: int, *pipelines: FakePipeline, repeats: int = 3, **options: Any) -> Comparison:
    """Cancel in the run after `n_rows`, as a notebook does when the cell is stopped."""

    async def work() -> Comparison:
        rows: list[Row] = []

        def stop() -> None:
            if not task.cancelling():
                task.cancel()

        async def cell() -> Comparison:
            made = await compare(
                CLIPS,
                {each.provenance.route: each for each in pipelines},
                repeats,
                progress=False,
                on_row=rows.append,
                on_event=lambda row, event: stop() if len(rows) == n_rows else None,
                **options,
            )
            assert not task.cancelling(), "the task goes on as if nobody had cancelled it"
            return made

        task = asyncio.create_task(cell())
        return await task

    made: Comparison = virtually(work)
    return made


def test_stopping_returns_what_there_is() -> None:
    made = stopped_after(5, chain(), FakePipeline())
    assert Counter(row.status for row in made.rows) == {"completed": 5, "missing": 7}
    assert made.provenance.stopped == "stopped after 5 of 12 runs"
    assert "stopped after 5 of 12" in repr(made)
    assert {row.error for row in made.rows if row.status == "missing"} == {"not run: stopped after 5 of 12 runs"}


def test_ctrl_c_in_a_script_returns_what_there_is() -> None:
    import signal

    def interrupt(row: Row) -> None:
        if row.run == 2:
            signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    fast = AudioClip.silence(20)
    pipeline = FakePipeline(answer_ms=1.0)
    made = compare_now({"a": fast}, [pipeline], 5, progress=False, on_row=interrupt, warmups=0)
    assert Counter(row.status for row in made.rows) == {"completed": 3, "missing": 2}


def test_a_comparison_goes_on_where_it_stopped_in_the_same_order(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first = stopped_after(5, chain(), FakePipeline(), path=path)
    again = chain(), FakePipeline()
    whole = run(*again, path=path)
    assert whole.rows[:5] == first.rows[:5]
    assert [row.status for row in whole.rows] == ["completed"] * 12
    assert sum(len(each.asked) for each in again) == 7 + 2, "the rest and a warm-up each"
    never_stopped = run(chain(), FakePipeline())
    assert [(r.pipeline, r.clip) for r in whole.rows] == [(r.pipeline, r.clip) for r in never_stopped.rows]
    untouched = chain(), FakePipeline()
    assert run(*untouched, path=path).rows == whole.rows
    assert not any(each.asked for each in untouched)


def test_going_on_with_another_version_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.jsonl"
    stopped_after(2, FakePipeline(), path=path)
    monkeypatch.setattr(provenance, "versions", lambda: {"realtime-nb": "99.0", "new": "1"})
    made = run(FakePipeline(), path=path)
    before = importlib.metadata.version("realtime-nb")
    assert f"realtime_nb {before}, then 99.0" in made.provenance.line
    assert made.provenance.versions["new"] == "1"


def test_a_journal_cut_in_the_middle_of_a_line_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    run(FakePipeline(), path=path)
    path.write_bytes(path.read_bytes()[:-20])
    again = FakePipeline()
    made = run(again, path=path, warmups=0)
    assert len(again.asked) == 1
    assert [row.status for row in made.rows] == ["completed"] * 6
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 7


def test_a_journal_can_be_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first = stopped_after(5, chain(), FakePipeline(), path=path)
    read = Comparison.load(path)
    assert read.rows == first.rows[:5]
    assert read.provenance.machine == first.provenance.machine


def test_failed_runs_are_not_run_again_silently(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    run(FakePipeline(fails_in=lambda run: "no" if run == 2 else None), path=path)
    again = FakePipeline()
    made = run(again, path=path)
    assert not again.asked
    assert sum(row.status == "failed" for row in made.rows) == 1


def test_missing_rows_are_run_when_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    run(FakePipeline(cannot_start=RealtimeError("down")), path=path)
    assert [row.status for row in run(FakePipeline(), path=path).rows] == ["completed"] * 6


def test_a_journal_of_another_comparison_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    run(FakePipeline(), path=path, seed=1)
    with pytest.raises(ConfigurationError, match="seed 1, not 2"):
        run(FakePipeline(), path=path, seed=2)
    with pytest.raises(ConfigurationError, match="clips"):
        run(FakePipeline(), path=path, seed=1, clips={"hello": clip("joke"), "stop": clip("stop")})
    path.write_text("something else\n")
    with pytest.raises(ConfigurationError, match="no journal"):
        run(FakePipeline(), path=path)


def test_no_key_is_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    secrets = {
        "api_key": "sk-one",
        "url": "http://me:sk-two@there/v1",
        "chat": StageEndpoint(api_key="sk-three", url="http://me:sk-four@there/v1"),
        "instructions": "Never say http://[ or the like.",
    }
    run(FakePipeline(), path=path, brain=object(), **secrets)
    assert "sk-" not in path.read_text()
    assert "http://there/v1" in path.read_text()
    assert "http://[ or the like" in path.read_text()
    run(FakePipeline(), path=path, brain=object(), **secrets)


# --- what is asked wrongly --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clips", "pipelines", "repeats", "match"),
    [
        ([], [FakePipeline()], 1, "no clip"),
        ({}, [FakePipeline()], 1, "no clip"),
        ("hello", [], 1, "no pipeline"),
        ("hello", [FakePipeline()], 0, "repeats=0"),
        ("hello", ["quick"], 1, "'quick'.*chain, chain-streaming, chat-audio, realtime"),
        ("hello", [FakePipeline(), FakePipeline()], 1, "two pipelines 'realtime'"),
        (["hello", "hello"], [FakePipeline()], 1, "the same clip twice: 'hello'"),
        ([AudioClip.silence(50), clip("stop")] * 2, [FakePipeline()], 1, "two|twice"),
        ([AudioClip.silence(0)], [FakePipeline()], 1, "no sound"),
        ("hello", [FakePipeline()], 10_000_000, "10000000|10,000,000"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    clips: Any, pipelines: Any, repeats: int, match: str
) -> None:
    with pytest.raises(ConfigurationError, match=match):
        asyncio.run(compare(clips, pipelines, repeats, progress=False))


def test_giving_up_before_the_first_run_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give_up_after=0"):
        run(FakePipeline(), give_up_after=0)


def test_a_clip_that_is_nowhere_is_named_with_the_bundled_ones() -> None:
    with pytest.raises(AudioError, match=r"nowhere.wav.*hello"):
        compare_now("nowhere.wav", [FakePipeline()])


def test_files_are_clips_by_their_name(tmp_path: Path) -> None:
    path = clip("stop").save(tmp_path / "my question.wav")
    made = virtually(lambda: compare([path, "hello"], [FakePipeline()], 1, progress=False))
    assert set(made.clips) == {"my question", "hello"}


def test_the_blocking_form_is_refused_where_a_loop_runs() -> None:
    async def cell() -> None:
        compare_now("hello", [FakePipeline()])

    with pytest.raises(ConfigurationError, match="await compare"):
        asyncio.run(cell())


def test_a_bar_that_was_asked_for_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise MissingExtra("tqdm", extra="studies")

    monkeypatch.setattr(progress, "load", missing)
    with pytest.raises(MissingExtra, match=r"realtime-nb\[studies\]"):
        virtually(lambda: compare("hello", [FakePipeline()], 1, progress=True))
    assert isinstance(progress.progress_for(3, None), progress.NoProgress)


def test_the_bar_counts_runs_and_failures(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "0")
    bar = progress.progress_for(2, True)
    bar.began(Row(pipeline="chain", clip="hello"))
    bar.ended(Row(status="failed"))
    bar.ended(Row(status="completed"))
    assert isinstance(bar, progress.Bar)
    assert bar._failed == 1
    bar.close()
