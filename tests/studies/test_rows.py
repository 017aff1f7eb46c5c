from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.audio.bundled import clip
from realtime_nb.pipelines.base import PipelineTurn, Provenance
from realtime_nb.studies.prices import PRICES, Price
from realtime_nb.studies.rows import COLUMNS, Row, with_turn
from realtime_nb.studies.usage import tokens_of
from realtime_nb.studies.words import word_errors, words_of
from realtime_nb.timing.marks import STAGE_NAMES, Marks

REALTIME_USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def turn(**fields: Any) -> PipelineTurn:
    marks = Marks()
    times = {"speech_end": 0, "speech_stopped": 500, "committed": 510, "first_audio": 700, "first_audible": 760}
    for name, time_ms in times.items():
        marks.set(name, time_ms)  # type: ignore[arg-type]
    known: dict[str, Any] = {
        "provenance": Provenance(
            route="realtime", endpoints={"session": "https://here/v1"}, models={"session": "gpt-realtime"}
        ),
        "clip": clip("hello"),
        "status": "completed",
        "heard": "Hello!",
        "said": "Hi.",
        "marks": marks,
        "usage": {"session": REALTIME_USAGE},
        "pcm16": np.zeros(24_000, "<i2").tobytes(),
    }
    return PipelineTurn(**{**known, **fields})


def test_a_turn_fills_its_row() -> None:
    row = with_turn(Row(pipeline="mine", clip="hello", run=3, error=""), turn())
    assert (row.pipeline, row.run, row.status) == ("mine", 3, "completed")
    assert row.voice_to_voice_ms == 760
    assert row.stages == {"vad_hold": 500, "commit": 10, "first_audio": 190, "leading_silence": 60}
    assert sum(row.stages.values()) + (row.unattributed_ms or 0) == row.voice_to_voice_ms
    assert row.answer_audio_ms == 1000
    assert (row.endpoint, row.model, row.ends_at) == ("https://here/v1", "gpt-realtime", "first_audible")
    assert (row.input_tokens, row.audio_input_tokens, row.cached_tokens) == (132, 13, 64)
    assert (row.output_tokens, row.audio_output_tokens) == (121, 91)
    assert row.measured_ms == 760


def test_every_stage_has_its_column() -> None:
    assert {f"{name}_ms" for name in STAGE_NAMES} <= set(COLUMNS)


def test_stages_on_several_servers_are_told_apart() -> None:
    provenance = Provenance(
        route="chain",
        endpoints={"transcription": "embedded", "chat": "http://there/v1", "speech": "embedded"},
        models={"transcription": "a", "chat": "b", "speech": "c"},
        simulated=("network: 4G (simulated)", "chat delay (simulated)"),
        settings={"silence_duration_ms": 300},
    )
    row = with_turn(Row(), turn(provenance=provenance))
    assert row.endpoint == "transcription: embedded; chat: http://there/v1; speech: embedded"
    assert row.model == "transcription: a; chat: b; speech: c"
    assert row.network == "4G"
    assert row.simulated == "network: 4G (simulated); chat delay (simulated)"
    assert row.silence_duration_ms == 300


def test_what_was_planned_is_kept() -> None:
    row = with_turn(Row(endpoint="site A", network="LAN", silence_duration_ms=200.0), turn())
    assert (row.endpoint, row.network, row.silence_duration_ms) == ("site A", "LAN", 200.0)


def test_a_failed_turn_is_a_row_without_figures() -> None:
    row = with_turn(Row(), turn(status="failed", error="no", marks=Marks(), usage=None, heard="", pcm16=b""))
    assert (row.status, row.error, row.measured_ms, row.unattributed_ms) == ("failed", "no", None, None)
    assert row.word_errors is None


def test_an_empty_transcript_has_every_word_wrong_and_a_missing_one_none() -> None:
    unheard = turn(status="no_speech", heard="")
    assert with_turn(Row(), unheard).word_errors is None, "chat audio never says what it heard"
    unheard.marks.set("transcript", 600)
    row = with_turn(Row(), unheard)
    assert row.words
    assert row.word_errors == row.words
    late = turn(heard="Hel")
    late.marks.cannot("transcript", "the server's recogniser did not finish in time")
    assert with_turn(Row(), late).word_errors is None, "a part of the words is no transcript"


def test_a_flagged_turn_is_not_averaged() -> None:
    marks = turn().marks
    marks.moments["committed"] = type(marks.moments["committed"])(400.0)
    row = with_turn(Row(), turn(marks=marks))
    assert "committed came 100.0 ms before" in row.flags
    assert row.measured_ms is None


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "heard", "errors"),
    [
        ("Where is my order?", "where is my order", 0),
        ("Where is my order?", "wear is my", 2),
        ("Two eggs and a banana", "two eggs and and a banana", 1),
        ("It's “fine” — really", "it’s fine really", 0),
        ("one two three", "", 3),
        ("", "noise", 1),
        ("STRASSE", "straße", 0),
    ],
)
def test_word_errors_of_known_pairs(spoken: str, heard: str, errors: int) -> None:
    assert word_errors(spoken, heard) == errors


@given(st.text(alphabet="ab ", max_size=20), st.text(alphabet="ab ", max_size=20))
def test_word_errors_are_a_distance(one: str, other: str) -> None:
    errors = word_errors(one, other)
    lengths = len(words_of(one)), len(words_of(other))
    assert errors == word_errors(other, one)
    assert abs(lengths[0] - lengths[1]) <= errors <= max(lengths)
    assert word_errors(one, one) == 0


# --- tokens and dollars -----------------------------------------------------------------------------------------


def test_chat_and_transcription_usage_add_up() -> None:
    usage = {
        "transcription": {"type": "tokens", "input_tokens": 20, "output_tokens": 5, "total_tokens": 25,
                          "input_token_details": {"audio_tokens": 20, "text_tokens": 0}},
        "chat": {"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40},
                 "completion_tokens_details": {"audio_tokens": 0}},
    }  # fmt: skip
    tokens = tokens_of(usage)
    assert (tokens.input, tokens.output, tokens.audio_input, tokens.cached) == (70, 15, 20, 40)
    assert tokens.audio_seconds is None
    assert tokens_of({"transcription": {"type": "duration", "seconds": 3}}).audio_seconds == 3


@pytest.mark.parametrize("usage", [None, {}, {"session": None}, {"session": {}}, {"session": "?"}])
def test_no_usage_is_unknown_not_zero(usage: Any) -> None:
    tokens = tokens_of(usage)
    assert (tokens.input, tokens.output, tokens.cached) == (None, None, None)
    assert not tokens.known


def test_a_session_turn_costs_what_the_price_list_says() -> None:
    cost = PRICES.cost_of({"session": REALTIME_USAGE}, {"session": "gpt-realtime"})
    by_hand = (59 * 4 + 60 * 0.4 + 9 * 32 + 4 * 0.4 + 30 * 16 + 91 * 64) / 1e6
    assert cost.usd == pytest.approx(by_hand)
    assert "2026-10-07" in cost.source
    dated = PRICES.cost_of({"session": REALTIME_USAGE}, {"session": "gpt-realtime-2025-08-28"})
    assert dated.usd == pytest.approx(by_hand)


def test_what_was_cached_is_never_counted_twice() -> None:
    """Some servers say how much was cached and not what."""
    usage = {"input_tokens": 100, "output_tokens": 0,
             "input_token_details": {"audio_tokens": 90, "cached_tokens": 80}}  # fmt: skip
    cost = PRICES.cost_of({"session": usage}, {"session": "gpt-realtime"})
    assert cost.usd == pytest.approx((10 * 0.4 + 70 * 0.4 + 20 * 32) / 1e6)


def test_a_chain_is_the_sum_of_its_stages_by_the_minute_where_nothing_else_is_known() -> None:
    usage = {"chat": {"prompt_tokens": 1000, "completion_tokens": 100}}
    models = {"transcription": "gpt-transcribe", "chat": "gpt-4o-mini", "speech": "gpt-4o-mini-tts"}
    cost = PRICES.cost_of(usage, models, clip_ms=6000, answer_ms=12_000)
    assert cost.usd == pytest.approx(0.0045 * 0.1 + (1000 * 0.15 + 100 * 0.6) / 1e6 + 0.015 * 0.2)
    assert "transcription by the minute; speech by the minute" in cost.source


def test_a_model_that_is_sold_by_the_minute_may_report_tokens() -> None:
    usage = {"transcription": {"type": "tokens", "input_tokens": 60, "output_tokens": 5,
                               "input_token_details": {"audio_tokens": 60}}}  # fmt: skip
    cost = PRICES.cost_of(usage, {"transcription": "gpt-transcribe"}, clip_ms=6000)
    assert cost.usd == pytest.approx(0.0045 * 0.1)
    assert "transcription by the minute" in cost.source
    assert PRICES.cost_of(usage, {"transcription": "gpt-transcribe"}).usd is None


def test_a_cost_with_a_hole_is_no_cost() -> None:
    models = {"chat": "gpt-4o-mini", "speech": "someone-else"}
    cost = PRICES.cost_of({"chat": {"prompt_tokens": 1, "completion_tokens": 1}}, models, answer_ms=1000)
    assert cost.usd is None
    assert "'someone-else'" in cost.source
    assert PRICES.cost_of({}, {"chat": "gpt-4o-mini"}).usd is None
    assert PRICES.cost_of({"chat": {"prompt_tokens": 1}}, {}).usd is None
    audio = {"chat": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 9}}}
    assert PRICES.cost_of(audio, {"chat": "gpt-4o-mini"}).usd is None, "audio has no price there"


def test_prices_can_be_added_and_borrowed() -> None:
    usage = {"session": REALTIME_USAGE}
    free = PRICES.with_price("mine", Price(text_in=0, text_out=0, audio_in=0, audio_out=0), source="me", dated="today")
    assert free.cost_of(usage, {"session": "mine"}).usd == 0
    assert free.cost_of(usage, {"session": "mine"}).source == "mine: me, today"
    assert free.cost_of(usage, {"session": "gpt-realtime"}).source == f"{PRICES.source}, {PRICES.dated}"
    borrowed = PRICES.as_if("realtime-nb-offline", "gpt-realtime").cost_of(usage, {"session": "realtime-nb-offline"})
    assert borrowed.usd == PRICES.cost_of(usage, {"session": "gpt-realtime"}).usd
    assert "as if gpt-realtime, simulated" in borrowed.source


def test_the_price_list_says_where_it_comes_from() -> None:
    assert PRICES.source
    assert PRICES.dated.startswith("2026-")
    for model, price in PRICES.by_model.items():
        known = [each for each in msgspec.structs.astuple(price) if each is not None]
        assert known, model
        assert all(each > 0 for each in known)
