from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow import parquet

from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.pipelines.base import Pipeline
from realtime_nb.studies import bench, study
from realtime_nb.studies.parquet import Parts, schema
from realtime_nb.studies.progress import NoProgress
from realtime_nb.studies.rows import COLUMNS, Row
from realtime_nb.studies.study import Study, build_pipeline
from realtime_nb.studies.study_folder import read_missing
from realtime_nb.studies.study_results import StudyResults
from tests.studies.fake_pipeline import FakePipeline
from tests.studies.made_rows import row
from tests.studies.study_parts import SHORT, Quick, deadly_always, deadly_once, quick

CLIPS = {name: dataclasses.replace(SHORT, title=name) for name in ("deadly", "other")}


def small(folder: Path, **options: Any) -> Study:
    known = {"clips": CLIPS, "pipelines": ["chain", "realtime"], "repeats": 3, "build": quick, "warmups": 0}
    return Study(folder / "study", **{**known, **options})


# --- here -------------------------------------------------------------------------------------------------------


def test_the_whole_grid_is_run_and_read_back(tmp_path: Path) -> None:
    made = small(tmp_path, silence_duration_ms=[200, 500], networks=["none", "4G"], repeats=2)
    results = made.run_now(progress=False)
    rows = list(results.rows())
    assert len(rows) == results.planned == 2 * 2 * 2 * 2 * 2
    cases = Counter((r.pipeline, r.clip, r.silence_duration_ms, r.network, r.endpoint) for r in rows)
    assert set(cases.values()) == {2}
    assert len(cases) == 16
    assert {r.status for r in rows} == {"completed"}
    assert results.missing().title == "nothing is missing"
    lines = results.summary(by=("pipeline", "network"))
    assert [(line["pipeline"], line["network"], line["n"]) for line in lines] == [
        ("chain", "4G", 8),
        ("chain", "none", 8),
        ("realtime", "4G", 8),
        ("realtime", "none", 8),
    ]
    assert all(line["low_ms"] is not None for line in lines)
    part = results.comparison(network="4G", silence_duration_ms=200.0)
    assert len(part.rows) == 8
    assert part.pipelines == ("chain", "realtime")
    assert "n = 32" in repr(results)


def test_what_differs_by_pipeline_only_is_done_together(tmp_path: Path) -> None:
    rounds = small(tmp_path, networks=["none", "4G"]).rounds
    assert [row.run for rows in rounds for row in rows] == list(range(24))
    for rows in rounds:
        assert {row.pipeline for row in rows} == {"chain", "realtime"}
        assert len({(row.block, row.clip, row.network) for row in rows}) == 1
    assert len({tuple(row.pipeline for row in rows) for rows in rounds}) == 2, "in either order"


def test_a_study_that_was_stopped_goes_on(tmp_path: Path) -> None:
    asked: list[Row] = []
    fifth, released = threading.Event(), threading.Event()

    def build(row: Row) -> Pipeline:
        class Counted(Quick):
            async def run(self, clip: Any) -> Any:
                asked.append(row)
                if len(asked) == 5:
                    fifth.set()
                    await asyncio.to_thread(released.wait)
                async for event in super().run(clip):
                    yield event

        return Counted("realtime", 5.0)

    async def until_stopped() -> StudyResults:
        task = asyncio.create_task(small(tmp_path, build=build).run(progress=False))
        await asyncio.to_thread(fifth.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        released.set()
        return await task

    first = asyncio.run(until_stopped())
    assert len(list(first.rows())) == 5
    assert {line["why"] for line in first.missing()} == {"not run: stopped"}
    assert len(first.missing()) == 7
    second = small(tmp_path, build=build).run_now(progress=False)
    assert len(asked) == 12
    assert sorted(row.run for row in second.rows()) == list(range(12))
    assert len(second.missing()) == 0


def test_another_study_in_the_folder_is_refused(tmp_path: Path) -> None:
    small(tmp_path)
    with pytest.raises(ConfigurationError, match="repeats 3, not 4"):
        small(tmp_path, repeats=4)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(ConfigurationError, match="other things"):
        Study(tmp_path / "full", clips=CLIPS)
    with pytest.raises(ConfigurationError, match="is no study"):
        StudyResults(tmp_path / "full")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"pipelines": []}, "no pipeline"),
        ({"pipelines": ["quick"], "build": None}, "'quick'.*chain-streaming"),
        ({"pipelines": ["chain", "chain"]}, "'chain' is there twice"),
        ({"clips": []}, "no clip"),
        ({"networks": ["pigeon"]}, "home Wi-Fi"),
        ({"networks": ["4G", "4g"]}, "'4G' is there twice"),
        ({"endpoints": []}, "no endpoint"),
        ({"endpoints": ["embedded", "embedded"]}, "twice"),
        ({"silence_duration_ms": []}, "no silence_duration_ms"),
        ({"repeats": 0}, "repeats=0"),
        ({"repeats": 10**6}, "runs"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        small(tmp_path, **wrong)
    assert not (tmp_path / "study").exists()


def test_a_pipeline_that_cannot_start_is_missing_and_is_tried_again_next_time(tmp_path: Path) -> None:
    def down(row: Row) -> Pipeline:
        broken = RealtimeError("Nobody is there.") if row.pipeline == "chain" else None
        return FakePipeline(row.pipeline, 5.0, cannot_start=broken)  # type: ignore[arg-type]

    results = small(tmp_path, build=down, repeats=1).run_now(progress=False)
    assert {line["pipeline"] for line in results.missing()} == {"chain"}
    assert {line["why"] for line in results.missing()} == {"not run: it could not start: Nobody is there."}
    gone = [row for row in results.comparison().of("chain") if row.status == "missing"]
    assert len(gone) == len(results.missing()) == results.comparison(pipeline="chain").provenance.missing
    assert {row.error for row in gone} == {"not run: it could not start: Nobody is there."}
    assert len(small(tmp_path, repeats=1).run_now(progress=False).missing()) == 0


def test_a_pipeline_that_was_given_up_is_not_started_again_and_again(tmp_path: Path) -> None:
    made: list[FakePipeline] = []

    def down(row: Row) -> Pipeline:
        made.append(FakePipeline(row.pipeline, 5.0, cannot_start=RealtimeError("Nobody is there.")))  # type: ignore[arg-type]
        return made[-1]

    results = small(tmp_path, build=down, pipelines=["chain"], repeats=4).run_now(progress=False)
    assert len(results.missing()) == 8
    assert [each.started for each in made] == [1]


def test_a_build_that_fails_is_missing_too(tmp_path: Path) -> None:
    def unbuildable(row: Row) -> Pipeline:
        raise ConfigurationError("No such model.")

    results = small(tmp_path, build=unbuildable, repeats=1).run_now(progress=False)
    assert {line["why"] for line in results.missing()} == {"not run: No such model."}
    assert len(results.summary()) == 0


def test_pipelines_stay_open_within_a_study_and_are_closed_after_it(tmp_path: Path) -> None:
    made: list[FakePipeline] = []

    def build(row: Row) -> Pipeline:
        made.append(Quick(row.pipeline, 5.0))  # type: ignore[arg-type]
        return made[-1]

    small(tmp_path, build=build, warmups=1).run_now(progress=False)
    assert len(made) == 2
    assert [len(each.asked) for each in made] == [1 + 6] * 2
    assert [each.closed for each in made] == [1, 1]
    assert not bench._open


def test_a_folder_that_cannot_be_written_leaves_no_pipeline_open_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakePipeline] = []

    def build(row: Row) -> Pipeline:
        made.append(Quick(row.pipeline, 5.0))  # type: ignore[arg-type]
        return made[-1]

    def full(table: Any, path: Path) -> None:
        path.write_bytes(b"PAR")
        raise OSError(28, "No space left on device")

    broken = small(tmp_path, build=build, repeats=1)
    monkeypatch.setattr(broken.folder.parts, "_parquet", SimpleNamespace(write_table=full))
    with pytest.raises(OSError, match="No space left"):
        broken.run_now(progress=False)
    assert [each.closed for each in made] == [1, 1]
    assert not list((tmp_path / "study" / "rows").iterdir())


def test_groups_are_in_order_of_their_values(tmp_path: Path) -> None:
    results = small(tmp_path, silence_duration_ms=[1000, 200], pipelines=["chain"], repeats=1).run_now(progress=False)
    assert [line["silence_duration_ms"] for line in results.summary()] == [200, 1000]


def test_only_so_many_pipelines_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "MAX_OPEN", 2)
    made: list[FakePipeline] = []

    def build(row: Row) -> Pipeline:
        made.append(Quick(row.pipeline, 1.0))  # type: ignore[arg-type]
        assert sum(not each.closed for each in made) <= 2
        return made[-1]

    small(tmp_path, build=build, silence_duration_ms=[1, 2, 3], repeats=1).run_now(progress=False)
    assert all(each.closed for each in made)


def test_progress_is_told_on_the_loop_of_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar(NoProgress):
        def __init__(self) -> None:
            self.told: list[tuple[Row, int]] = []
            self.closed = False

        def ended(self, row: Row) -> None:
            assert not self.closed
            self.told.append((row, threading.get_ident()))

        def close(self) -> None:
            self.closed = True

    bar = Bar()
    monkeypatch.setattr(study, "progress_for", lambda total, wanted: bar)
    small(tmp_path).run_now()
    assert bar.closed
    assert len(bar.told) == 12
    assert {thread for _, thread in bar.told} == {threading.get_ident()}


def test_the_blocking_form_is_refused_where_a_loop_runs(tmp_path: Path) -> None:
    async def cell() -> None:
        small(tmp_path).run_now()

    with pytest.raises(ConfigurationError, match=r"await study\.run"):
        asyncio.run(cell())


@pytest.mark.anyio
async def test_the_loop_is_never_blocked(tmp_path: Path) -> None:
    """`conftest` fails a marked test in which our code blocks."""
    made = await asyncio.to_thread(small, tmp_path, repeats=1)
    results = await made.run(progress=False)
    assert len(await asyncio.to_thread(lambda: list(results.rows()))) == 4


def test_keys_are_in_no_file(tmp_path: Path) -> None:
    places = {"ours": {"url": "http://127.0.0.1:9/v1", "api_key": "sk-secret"}}
    small(tmp_path / "one", endpoints=places, repeats=1).run_now(progress=False)
    small(tmp_path / "other", endpoints=["http://me:sk-secret@there/v1"], repeats=1).run_now(progress=False)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert not [path for path in files if b"sk-secret" in path.read_bytes()]


def test_the_factory_makes_what_a_row_says() -> None:
    planned = Row(pipeline="realtime", network="4G", silence_duration_ms=250.0, endpoint="ours")
    made: Any = build_pipeline({"ours": {"url": "http://127.0.0.1:9/v1", "engine": "scripted"}}, planned)
    assert (made.route, made.network.name, made.silence_duration_ms, made.engine) == ("realtime", "4G", 250, "scripted")


# --- part files -------------------------------------------------------------------------------------------------


def test_rows_survive_parquet(tmp_path: Path) -> None:
    rows = [row(run=1, heard="ä", word_errors=2, cost_usd=0.1), Row(run=2), row(run=3, voice_to_voice_ms=None)]
    parts = Parts(tmp_path)
    parts.add(rows[:2])
    parts.add(rows[2:])
    assert parts.add([]) is None
    assert sorted(parts.rows(), key=lambda each: each.run) == rows
    assert tuple(schema().names) == COLUMNS


def test_parts_of_an_older_version_are_read(tmp_path: Path) -> None:
    results = small(tmp_path, repeats=1).run_now(progress=False)
    (part,) = (tmp_path / "study" / "rows").glob("*.parquet")
    parquet.write_table(parquet.read_table(part).drop_columns(["machine", "worker", "simulated"]), part)
    assert {row.status for row in results.rows()} == {"completed"}
    assert {row.machine for row in results.rows()} == {""}
    assert "n = 4 runs" in results.provenance().line


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask, with pandas 3.1
def test_results_are_read_in_batches_and_lazily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path).run_now(progress=False)
    monkeypatch.setattr("realtime_nb.studies.parquet.BATCH_ROWS", 5)
    results = StudyResults(tmp_path / "study")
    rows = results.rows()
    assert next(rows).status == "completed"
    assert len(list(rows)) == 11
    assert results.dataset().count_rows() == 12
    frame = results.dask()
    assert frame.groupby("pipeline")["voice_to_voice_ms"].count().compute(scheduler="sync").to_dict() == {
        "chain": 6,
        "realtime": 6,
    }
    with pytest.raises(ConfigurationError, match="no column 'speed'"):
        results.comparison(speed=3)


def test_rows_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "FLUSH_ROWS", 2)
    small(tmp_path).run_now(progress=False)
    assert len(list((tmp_path / "study" / "rows").glob("*.parquet"))) == 6


def test_a_sitting_that_ended_without_a_word_is_said(tmp_path: Path) -> None:
    made = small(tmp_path)
    assert {line["why"] for line in made.results.missing()} == {"not run: the study ended before it was written"}


# --- on a cluster -----------------------------------------------------------------------------------------------


def on_a_cluster(test: Any) -> Any:
    """What Dask itself warns of on a slow machine, or when a worker is killed, is not ours."""
    for ignored in ("ignore:Creating scratch directories", "ignore::pytest.PytestUnraisableExceptionWarning"):
        test = pytest.mark.filterwarnings(ignored)(test)
    return test


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    import dask
    import distributed

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.admin.tick.limit": "60s"}):
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as connected,
        ):
            yield connected


@on_a_cluster
def test_a_cluster_does_the_runs_and_says_which_worker(tmp_path: Path, client: Any) -> None:
    results = small(tmp_path, repeats=6).run_now(client, progress=False)
    rows = list(results.rows())
    assert sorted(row.run for row in rows) == list(range(24))
    assert {row.status for row in rows} == {"completed"}
    assert {row.worker for row in rows} <= {"0", "1"}
    by_round: dict[tuple[Any, ...], set[str]] = {}
    for each in rows:
        by_round.setdefault((each.block, each.clip), set()).add(each.worker)
    assert all(len(workers) == 1 for workers in by_round.values()), "pairs are of one machine"
    n_workers = len({row.worker for row in rows})
    assert ("on 2 workers at once" in repr(results)) == (n_workers == 2)


@on_a_cluster
def test_runs_of_a_lost_worker_are_done_again(tmp_path: Path, client: Any) -> None:
    results = small(tmp_path, build=functools.partial(deadly_once, tmp_path)).run_now(client, progress=False)
    assert (tmp_path / "died-deadly").exists()
    assert sorted(row.run for row in results.rows()) == list(range(12))
    assert len(results.missing()) == 0


@on_a_cluster
def test_runs_that_kill_every_worker_are_missing_and_the_rest_is_there(tmp_path: Path, client: Any) -> None:
    """Dask also suspects what waits behind a deadly round, so that the other one is first here."""
    client.wait_for_workers(2)
    options: dict[str, Any] = {"build": functools.partial(deadly_always, tmp_path), "repeats": 1}
    seed = next(s for s in range(50) if small(tmp_path / str(s), seed=s, **options).rounds[0][0].clip == "other")
    made = small(tmp_path, seed=seed, **options)
    results = made.run_now(client, progress=False)
    assert {(row.clip, row.status) for row in results.rows()} == {("other", "completed")}
    missing = results.missing()
    assert {(line["clip"], line["why"]) for line in missing} == {
        ("deadly", "not run: the workers that tried it died, one after the other")
    }
    assert "2 of 4 runs are missing" in repr(results)
    assert read_missing(results.folder).lost_workers


def test_an_asynchronous_or_closed_client_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no usual Dask client"):
        small(tmp_path).run_now(object(), progress=False)
