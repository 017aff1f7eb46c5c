from __future__ import annotations

import builtins
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.protocol.items import FunctionCall
from realtime_nb.replay.reader import Recording
from realtime_nb.session.tool_runner import ToolResult
from realtime_nb.testing.recordings import make_recording


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording.open(make_recording(tmp_path / "made", turns=2, answer="it is on its way", question="where"))


def test_turns_become_rows(recording: Recording) -> None:
    frame = recording.to_pandas()
    assert list(frame["said"].str.strip()) == ["it is on its way"] * 2
    assert frame["voice_to_voice_ms"].to_list() == pytest.approx([770, 770], abs=1)
    assert frame["vad_hold_ms"].to_list() == [500, 500]
    assert frame["transcription_ms"].isna().all()
    assert frame.attrs["provenance"]["engine"] == "simulated"


def test_a_parquet_file_keeps_types_and_provenance(recording: Recording, tmp_path: Path) -> None:
    path = recording.to_parquet(tmp_path / "turns.parquet")
    table = pyarrow.parquet.read_table(path)
    assert json.loads(table.schema.metadata[b"realtime_nb"])["model"] == "simulated"
    assert str(table.schema.field("tool_ms").type) == "double"
    frame = pandas.read_parquet(path)
    direct = recording.to_pandas()
    assert sorted(frame.columns) == sorted(direct.columns)
    for name in ("said", "turn", "voice_to_voice_ms", "ends_at", "out_of_band"):
        assert frame[name].to_list() == direct[name].to_list()
    assert frame["remembered"].isna().all()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        recording.to_parquet(tmp_path / "nowhere" / "turns.parquet")


@pytest.mark.parametrize(
    ("library", "extra"), [("pandas", "studies"), ("pyarrow", "studies"), ("opentelemetry", "otel")]
)
def test_a_missing_library_is_named_with_its_extra(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, extra: str
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *arguments, **more)

    export = {
        "pandas": recording.to_pandas,
        "pyarrow": lambda: recording.to_parquet(tmp_path / "x"),
        "opentelemetry": recording.to_spans,
    }[library]
    recording.turns()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=rf"realtime-nb\[{extra}\]"):
        export()


def spans_of(recording: Recording, **options: Any) -> list[Any]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    n = recording.to_spans(provider, **options)
    spans = exporter.get_finished_spans()
    assert n == len(spans)
    return list(spans)


def test_a_session_is_one_trace_with_turns_stages_and_tools(recording: Recording) -> None:
    turn = recording.turns()[0]
    turn.tool_calls.append(FunctionCall(call_id="c1", name="look_up", arguments="{}"))
    turn.tool_results.append(
        ToolResult(
            call_id="c1", name="look_up", arguments="{}", status="failed", error="no", started_ms=3900, ended_ms=4000
        )
    )
    spans = spans_of(recording)
    assert len({span.context.trace_id for span in spans}) == 1
    by_name: dict[str, list[Any]] = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    (session,) = by_name["invoke_agent simulated"]
    chats = by_name["chat simulated"]
    assert session.parent is None
    assert [chat.parent.span_id for chat in chats] == [session.context.span_id] * 2
    stages = by_name["stage vad_hold"]
    assert [stage.parent.span_id for stage in stages] == [chat.context.span_id for chat in chats]
    (tool,) = by_name["execute_tool look_up"]
    assert tool.parent.span_id == chats[0].context.span_id
    assert tool.attributes["error.type"] == "failed"
    assert not tool.status.is_ok
    assert chats[0].attributes["gen_ai.output.type"] == "speech"
    assert chats[0].attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.15, abs=0.001)
    assert session.end_time >= max(span.end_time for span in spans)


def test_spans_have_the_times_of_the_recording(recording: Recording) -> None:
    began_ns = round(datetime.fromisoformat(recording.manifest.session_began).timestamp() * 1e6) * 1000
    hold = next(span for span in spans_of(recording) if span.name == "stage vad_hold")
    assert (hold.start_time - began_ns) / 1e6 == pytest.approx(3000, abs=0.01)
    assert (hold.end_time - hold.start_time) / 1e6 == pytest.approx(500, abs=0.01)


def test_attribute_names_are_those_of_the_conventions(recording: Recording) -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    operations = {one.value for one in gen_ai_attributes.GenAiOperationNameValues}
    outputs = {one.value for one in gen_ai_attributes.GenAiOutputTypeValues}
    spans = spans_of(recording, content=True)
    used = {name for span in spans for name in span.attributes if name.startswith("gen_ai.")}
    assert len(used) > 10
    assert used <= known
    assert {
        s.attributes["gen_ai.operation.name"] for s in spans if "gen_ai.operation.name" in s.attributes
    } <= operations
    assert {s.attributes["gen_ai.output.type"] for s in spans if "gen_ai.output.type" in s.attributes} <= outputs


def test_words_go_along_only_when_asked_for(recording: Recording) -> None:
    assert "on its way" not in str([dict(span.attributes) for span in spans_of(recording)])
    assert "on its way" in str([dict(span.attributes) for span in spans_of(recording, content=True)])


def test_spans_that_would_go_nowhere_are_an_error(recording: Recording) -> None:
    with pytest.raises(ConfigurationError, match="tracer provider"):
        recording.to_spans()
