"""The tidy row: one run of one pipeline on one clip, everything that a table or a figure needs of it."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from realtime_nb.pipelines.base import PipelineTurn, Provenance
from realtime_nb.studies.prices import PRICES, Prices
from realtime_nb.studies.usage import tokens_of
from realtime_nb.studies.words import word_errors, words_of
from realtime_nb.timing.marks import STAGE_NAMES, StageName

RowStatus = Literal["completed", "failed", "timed_out", "no_speech", "missing"]
_NETWORK = re.compile(r"network: (.+?) \(simulated\)")
ANSWER_BYTES_PER_MS = 48
"""PCM16 mono at 24 kHz, which is what pipelines answer with."""


class Row(msgspec.Struct, kw_only=True):
    """One run. Durations are milliseconds, None where they were not measured.

    Attributes:
        study: the name of the comparison or study.
        run: the place in the order run, from 0.
        block: which randomised block, from 0; every block holds every case once.
        pipeline: its name, which is the route's when nothing else was said.
        clip: its id or title.
        repeat: which repetition of this case, from 0.
        network: the profile's name, "none" without one. Always simulated.
        silence_duration_ms: the silence that the detector waits for, None where it decides by meaning.
        endpoint: base URLs without secrets, or "embedded".
        engine: what computed, "" when unknown.
        model: by stage where there are several.
        started: ISO 8601, UTC.
        status: "missing" rows were planned and never ran; `error` says why.
        error: what went wrong, "" when nothing.
        voice_to_voice_ms: true end of speech to the first audible sample.
        ends_at: "first_audible", or "rendered" when the loudspeaker's end is known.
        unattributed_ms: what no stage explains.
        heard: the user's words as understood.
        said: the answer's words.
        word_errors: words misheard, None without a transcript of both sides.
        words: spoken in the clip, None when not known.
        answer_audio_ms: how long the answer lasts.
        input_tokens: text and audio read, cached ones included.
        cached_tokens: of these, read from the cache.
        cost_usd: by `cost_source`, None when unknown.
        cost_source: which price list, or why there is no cost.
        flags: what is impossible about the timeline; such rows are left out of averages and counted.
        simulated: what was simulated, in words.
        endpoint_error_ms: onset in the recording minus onset in the events, None without the cross-check.
        worker: which process of a cluster did it, "" in this one.
        machine: processor, cores, system and Python where it was run; "" when unknown.
    """

    study: str = ""
    run: int = 0
    block: int = 0
    pipeline: str = ""
    clip: str = ""
    repeat: int = 0
    network: str = "none"
    silence_duration_ms: float | None = None
    endpoint: str = ""
    engine: str = ""
    model: str = ""
    started: str = ""
    status: RowStatus = "missing"
    error: str = ""
    voice_to_voice_ms: float | None = None
    ends_at: str | None = None
    vad_hold_ms: float | None = None
    commit_ms: float | None = None
    upload_ms: float | None = None
    transcription_ms: float | None = None
    tool_choice_ms: float | None = None
    tool_ms: float | None = None
    first_text_ms: float | None = None
    sentence_ms: float | None = None
    first_audio_ms: float | None = None
    leading_silence_ms: float | None = None
    output_ms: float | None = None
    unattributed_ms: float | None = None
    heard: str = ""
    said: str = ""
    word_errors: int | None = None
    words: int | None = None
    answer_audio_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    cost_source: str = ""
    flags: str = ""
    simulated: str = ""
    endpoint_error_ms: float | None = None
    worker: str = ""
    machine: str = ""

    @property
    def measured_ms(self) -> float | None:
        """Voice-to-voice of a run that may be averaged: completed, measured, not flagged."""
        return self.voice_to_voice_ms if self.status == "completed" and not self.flags else None

    def stage_ms(self, name: StageName) -> float | None:
        """Return one stage's duration."""
        duration_ms: float | None = getattr(self, f"{name}_ms")
        return duration_ms

    @property
    def stages(self) -> dict[StageName, float]:
        """The stages that were measured, in order."""
        found = {name: self.stage_ms(name) for name in STAGE_NAMES}
        return {name: duration_ms for name, duration_ms in found.items() if duration_ms is not None}


COLUMNS: tuple[str, ...] = Row.__struct_fields__


def with_turn(planned: Row, turn: PipelineTurn, *, prices: Prices = PRICES) -> Row:
    """Return a planned row with what came of its run."""
    laid = turn.timeline
    tokens = tokens_of(turn.usage)
    answer_ms = len(turn.pcm16) / ANSWER_BYTES_PER_MS
    cost = prices.cost_of(turn.usage, turn.provenance.models, clip_ms=turn.clip.duration_ms, answer_ms=answer_ms)
    truth = turn.clip.transcript
    return msgspec.structs.replace(
        with_provenance(planned, turn.provenance),
        status=turn.status,
        error=turn.error or "",
        voice_to_voice_ms=laid.voice_to_voice_ms,
        ends_at=laid.ends_at,
        **{f"{name}_ms": laid.stage_ms(name) for name in STAGE_NAMES},
        unattributed_ms=laid.unattributed_ms if laid.voice_to_voice_ms is not None else None,
        heard=turn.heard,
        said=turn.said,
        word_errors=word_errors(truth, turn.heard) if truth and _transcribed(turn) else None,
        words=len(words_of(truth)) if truth else None,
        answer_audio_ms=answer_ms,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        audio_input_tokens=tokens.audio_input,
        audio_output_tokens=tokens.audio_output,
        cached_tokens=tokens.cached,
        cost_usd=cost.usd,
        cost_source=cost.source,
        flags="; ".join(laid.flags),
    )


def with_provenance(planned: Row, provenance: Provenance) -> Row:
    """Return a planned row with who answers it, also where no answer comes."""
    silence_ms = planned.silence_duration_ms
    if silence_ms is None:
        silence_ms = provenance.settings.get("silence_duration_ms")
    network = _NETWORK.search("; ".join(provenance.simulated))
    return msgspec.structs.replace(
        planned,
        network=network[1] if network is not None and planned.network == "none" else planned.network,
        silence_duration_ms=silence_ms,
        endpoint=planned.endpoint or _joined(provenance.endpoints),
        engine=provenance.engine,
        model=_joined(provenance.models),
        simulated="; ".join(provenance.simulated) or planned.simulated,
    )


def _transcribed(turn: PipelineTurn) -> bool:
    """Whether there is a whole transcript: an empty one, of words that nobody recognised, is one, too."""
    marks = turn.marks
    return "transcript" not in marks.unmeasured and (bool(turn.heard) or "transcript" in marks.moments)


def _joined(by_stage: dict[str, str]) -> str:
    """Return "a" when all stages say so, else "transcription: a; chat: b"."""
    if len(set(by_stage.values())) <= 1:
        return next(iter(by_stage.values()), "")
    return "; ".join(f"{stage}: {value}" for stage, value in by_stage.items())
