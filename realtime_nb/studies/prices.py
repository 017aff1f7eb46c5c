"""What a turn costs: published prices with their source and date, and the rule from usage to dollars.

Prices change. `PRICES` is a dated table to edit (`PRICES.with_price(...)`), not a promise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from realtime_nb.studies.usage import Tokens, by_stage

PER_TOKENS = 1_000_000
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens, or per minute where a model is sold by time. None: not sold that way.

    Attributes:
        text_in: text read.
        text_cached: text read from the cache; as `text_in` when None.
        text_out: text written.
        audio_in: audio heard.
        audio_cached: audio read from the cache; as `audio_in` when None.
        audio_out: audio spoken.
        per_minute: of audio, for recognisers and voices that report no tokens.
    """

    text_in: float | None = None
    text_cached: float | None = None
    text_out: float | None = None
    audio_in: float | None = None
    audio_cached: float | None = None
    audio_out: float | None = None
    per_minute: float | None = None

    def of(self, tokens: Tokens) -> float | None:
        """Return the dollars for one record of usage; None when a needed price is not there."""
        if tokens.input is None and tokens.output is None:
            return self._by_time(tokens.audio_seconds)
        text = max(0, (tokens.input or 0) - (tokens.audio_input or 0))
        cached = tokens.cached or 0
        # Where the server does not say what was cached, it was text as far as there was text.
        audio_cached = max(0, cached - text) if tokens.cached_audio is None else tokens.cached_audio
        text_cached = cached - audio_cached
        audio_in = (tokens.audio_input or 0) - audio_cached
        text_in = text - text_cached
        audio_out = tokens.audio_output or 0
        parts = (
            (text_in, self.text_in),
            (text_cached, self.text_in if self.text_cached is None else self.text_cached),
            (audio_in, self.audio_in),
            (audio_cached, self.audio_in if self.audio_cached is None else self.audio_cached),
            ((tokens.output or 0) - audio_out, self.text_out),
            (audio_out, self.audio_out),
        )
        if any(count > 0 and price is None for count, price in parts):
            return None
        return sum(max(0, count) * (price or 0.0) for count, price in parts) / PER_TOKENS

    def _by_time(self, seconds: float | None) -> float | None:
        return None if self.per_minute is None or seconds is None else self.per_minute * seconds / 60


class Cost(msgspec.Struct, frozen=True):
    """Dollars, or None, and where they come from, or why not."""

    usd: float | None
    source: str


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """A price list.

    Attributes:
        source: who published it, in words.
        dated: when it was read, ISO 8601.
        by_model: prices by model name; dated snapshots ("…-2025-12-15") cost what their name without the date does.
        own_sources: where a model's price comes from if not from `source`.
        aliases: other names ("realtime-nb-offline") and whose price they are given; such costs are simulated.
    """

    source: str
    dated: str
    by_model: dict[str, Price]
    own_sources: dict[str, str] = {}
    aliases: dict[str, str] = {}

    def price_of(self, model: str) -> Price | None:
        """Return a model's price, None when the list does not have it."""
        name = self.aliases.get(model, model)
        return self.by_model.get(name) or self.by_model.get(_DATED.sub("", name))

    def with_price(self, model: str, price: Price, *, source: str, dated: str) -> Prices:
        """Return a list with one more (or another) price, which has a source and a date of its own."""
        own = {**self.own_sources, model: f"{model}: {source}, {dated}"}
        return msgspec.structs.replace(self, by_model={**self.by_model, model: price}, own_sources=own)

    def as_if(self, model: str, priced_as: str) -> Prices:
        """Return a list in which one model costs what another one does, said to be simulated.

        The embedded server counts tokens by the documented rates, so that the costs of hosted models can be studied.
        """
        return msgspec.structs.replace(self, aliases={**self.aliases, model: priced_as})

    def cost_of(
        self,
        usage: Mapping[str, Any] | None,
        models: Mapping[str, str],
        *,
        clip_ms: float | None = None,
        answer_ms: float | None = None,
    ) -> Cost:
        """Return what a turn cost.

        Every stage with a model is priced: by its reported tokens or seconds, else by the minute ("transcription" by
        the clip's length, "speech" by the answer's). One stage without a price leaves the whole turn without: a sum
        with a hole in it is not a cost.

        Args:
            usage: as the pipeline reported it, by stage or of the one call.
            models: by stage.
            clip_ms: the question's length.
            answer_ms: the answer's length.
        """
        if not models:
            return Cost(None, "no model is known")
        total, notes, reported = 0.0, [], list(by_stage(usage))
        for stage, model in models.items():
            price = self.price_of(model)
            if price is None:
                return Cost(None, f"no price for {model!r} in the list of {self.dated}")
            tokens = [each for name, each in reported if name == stage or (not name and len(models) == 1)]
            dollars = [price.of(each) for each in tokens]
            if not tokens or None in dollars:
                length_ms = {"transcription": clip_ms, "speech": answer_ms}.get(stage)
                dollars = [price.of(Tokens(audio_seconds=None if length_ms is None else length_ms / 1000))]
                notes.append(f"{stage} by the minute")
            if None in dollars:
                return Cost(None, f"{model!r} did not report what its price needs ({stage})")
            total += sum(each or 0.0 for each in dollars)
            if model in self.aliases:
                notes.append(f"{model} as if {self.aliases[model]}, simulated")
        said = f" ({'; '.join(notes)})" if notes else ""
        listed = f"{self.source}, {self.dated}"
        names = (self.aliases.get(model, model) for model in models.values())
        sources = dict.fromkeys(self.own_sources.get(name, listed) for name in names)
        return Cost(total, f"{'; '.join(sources)}{said}")


def _realtime(text_out: float) -> Price:
    return Price(text_in=4.0, text_cached=0.4, text_out=text_out, audio_in=32.0, audio_cached=0.4, audio_out=64.0)


def _text(read: float, cached: float, written: float) -> Price:
    return Price(text_in=read, text_cached=cached, text_out=written)


_MINI = Price(text_in=0.6, text_cached=0.06, text_out=2.4, audio_in=10.0, audio_cached=0.3, audio_out=20.0)

PRICES = Prices(
    source="OpenAI's pricing page (public copies of it, not checked against the live page)",
    dated="2026-10-07",
    by_model={
        "gpt-realtime-2.1": _realtime(24.0),
        "gpt-realtime-2": _realtime(24.0),
        "gpt-realtime-1.5": _realtime(16.0),
        "gpt-realtime": _realtime(16.0),
        "gpt-realtime-2.1-mini": _MINI,
        "gpt-realtime-mini": _MINI,
        "gpt-audio-1.5": Price(text_in=2.5, text_out=10.0, audio_in=32.0, audio_out=64.0),
        "gpt-4o-transcribe": Price(text_in=2.5, audio_in=2.5, text_out=10.0, per_minute=0.006),
        "gpt-4o-mini-transcribe": Price(text_in=1.25, audio_in=1.25, text_out=5.0, per_minute=0.003),
        "gpt-transcribe": Price(per_minute=0.0045),
        "gpt-live-transcribe": Price(per_minute=0.017),
        "gpt-realtime-whisper": Price(per_minute=0.017),
        "gpt-4o-mini-tts": Price(text_in=0.6, audio_out=12.0, per_minute=0.015),
        "gpt-5.4": _text(2.5, 0.25, 15.0),
        "gpt-5.4-mini": _text(0.75, 0.075, 4.5),
        "gpt-5.1": _text(1.25, 0.125, 10.0),
        "gpt-5": _text(1.25, 0.125, 10.0),
        "gpt-5-mini": _text(0.25, 0.025, 2.0),
        "gpt-5-nano": _text(0.05, 0.005, 0.4),
        "gpt-4.1": _text(2.0, 0.5, 8.0),
        "gpt-4.1-mini": _text(0.4, 0.1, 1.6),
        "gpt-4.1-nano": _text(0.1, 0.025, 0.4),
        "gpt-4o": _text(2.5, 1.25, 10.0),
        "gpt-4o-mini": _text(0.15, 0.075, 0.6),
    },
)
"""Prices of models that the pipelines use."""
