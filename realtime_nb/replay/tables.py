"""The turns of a recording as a table: pandas and Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.timing.marks import STAGE_NAMES

if TYPE_CHECKING:
    from pandas import DataFrame

    from .reader import Recording
    from .recorded_turn import RecordedTurn

EXTRA = "studies"


def rows(recording: Recording) -> list[dict[str, Any]]:
    """Return one dict a turn. Durations are ms and None where not measured; `_at_ms` are on the session's clock.

    Columns that a comparison's rows have too (`realtime_nb.studies.rows`) bear the same names.
    """
    return [_row(recording, number, turn) for number, turn in enumerate(recording.turns())]


def to_pandas(recording: Recording) -> DataFrame:
    """Return `rows` as a data frame; its `attrs["provenance"]` is the manifest.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as missing:
        raise MissingExtra("pandas", extra=EXTRA) from missing
    frame = pandas.DataFrame(rows(recording))
    frame.attrs["provenance"] = msgspec.to_builtins(recording.manifest)
    return frame


def to_parquet(recording: Recording, path: Path) -> Path:
    """Write `rows` to a Parquet file with the manifest in its metadata under `realtime_nb`, and return the path.

    Raises:
        MissingExtra: pyarrow is not installed.
        ConfigurationError: the file cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as missing:
        raise MissingExtra("pyarrow", extra=EXTRA) from missing
    table = pyarrow.Table.from_pylist(rows(recording), schema=_schema(pyarrow))
    table = table.replace_schema_metadata({"realtime_nb": msgspec.json.encode(recording.manifest)})
    try:
        pyarrow.parquet.write_table(table, path)
    except OSError as problem:
        raise ConfigurationError(
            f"The table cannot be written to {path}: {problem}.", what_now="Give another path."
        ) from problem
    return path


TEXTS = ("recording", "started", "endpoint", "engine", "model", "response_id", "status", "error", "heard", "said")
MORE_TEXTS = ("remembered", "interrupted", "ends_at", "flags", "unmeasured")
NUMBERS = ("turn", "n_tools", "input_tokens", "output_tokens", "cached_tokens")
STAGE_COLUMNS = tuple(f"{name}_ms" for name in STAGE_NAMES)
DURATIONS = ("voice_to_voice_ms", *STAGE_COLUMNS, "unattributed_ms", "answer_audio_ms", "heard_ms")
MOMENTS = ("began_at_ms", "done_at_ms")


def _schema(pyarrow: Any) -> Any:
    fields = [(name, pyarrow.string()) for name in (*TEXTS, *MORE_TEXTS)]
    fields += [(name, pyarrow.int64()) for name in NUMBERS] + [("out_of_band", pyarrow.bool_())]
    return pyarrow.schema(fields + [(name, pyarrow.float64()) for name in (*DURATIONS, *MOMENTS)])


def _row(recording: Recording, number: int, turn: RecordedTurn) -> dict[str, Any]:
    manifest, found, usage, marks = recording.manifest, turn.timeline, turn.usage, turn.marks
    began_ms = marks.speech_started_ms if marks.speech_started_ms is not None else marks.response_created_ms
    known: dict[str, Any] = {
        "recording": recording.path.name,
        "started": manifest.session_began or manifest.created,
        "endpoint": manifest.endpoint,
        "engine": manifest.engine,
        "model": manifest.model,
        "turn": number,
        "response_id": turn.response_id,
        "status": turn.status,
        "error": str(turn.error) if turn.error is not None else "",
        "out_of_band": turn.out_of_band,
        "heard": turn.user_transcript,
        "said": turn.transcript,
        "remembered": turn.remembered,
        "interrupted": turn.interrupted,
        "heard_ms": _float(turn.heard_ms),
        "answer_audio_ms": turn.audio_duration_ms,
        "voice_to_voice_ms": found.voice_to_voice_ms,
        "ends_at": found.ends_at,
        "unattributed_ms": found.unattributed_ms if found.voice_to_voice_ms is not None else None,
        "flags": "; ".join(found.flags),
        "unmeasured": "; ".join(f"{name}: {why}" for name, why in found.unmeasured.items()),
        "n_tools": len(turn.tool_calls),
        "input_tokens": usage.input_tokens if usage is not None else None,
        "output_tokens": usage.output_tokens if usage is not None else None,
        "cached_tokens": usage.input_token_details.cached_tokens if usage is not None else None,
        "began_at_ms": began_ms,
        "done_at_ms": marks.done_ms,
    }
    known |= {f"{name}_ms": found.stage_ms(name) for name in STAGE_NAMES}
    return {name: known[name] for name in (*TEXTS, *MORE_TEXTS, *NUMBERS, "out_of_band", *DURATIONS, *MOMENTS)}


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)
