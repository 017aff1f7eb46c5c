"""What a turn used, from the several shapes in which servers say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call or one turn; None where the server did not say.

    Attributes:
        input: all that was read, cached ones included.
        output: all that was written.
        audio_input: of the input, audio.
        audio_output: of the output, audio.
        cached: of the input, read from the cache.
        cached_audio: of the cached, audio.
        audio_seconds: heard by a recogniser that is billed by time.
    """

    input: int | None = None
    output: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    cached: int | None = None
    cached_audio: int | None = None
    audio_seconds: float | None = None

    @property
    def known(self) -> bool:
        """Whether anything was said at all."""
        return any(value is not None for value in msgspec.structs.astuple(self))


def by_stage(usage: Mapping[str, Any] | None) -> Iterator[tuple[str, Tokens]]:
    """Yield (stage, tokens) of a turn's usage: either one call's own record (stage ""), or one record a stage.

    Understood are the Realtime API's `usage` of `response.done`, that of chat completions (`prompt_tokens` …), and that
    of transcriptions (`type` "tokens" or "duration"). A stage with several calls may hold a list.
    """
    if not usage:
        return
    if _is_record(usage):
        yield "", _tokens(usage)
        return
    for stage, records in usage.items():
        for record in records if isinstance(records, list) else [records]:
            if isinstance(record, Mapping) and _is_record(record):
                yield stage, _tokens(record)


def tokens_of(usage: Mapping[str, Any] | None) -> Tokens:
    """Return the sum over all stages; None stays None where no stage said anything."""
    total: dict[str, Any] = {}
    for _, tokens in by_stage(usage):
        for name in Tokens.__struct_fields__:
            value = getattr(tokens, name)
            if value is not None:
                total[name] = total.get(name, 0) + value
    return Tokens(**total)


def _is_record(usage: Mapping[str, Any]) -> bool:
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "total_tokens", "seconds")
    return any(isinstance(usage.get(name), int | float) for name in names)


def _tokens(record: Mapping[str, Any]) -> Tokens:
    read = _first(record, "input_token_details", "prompt_tokens_details") or {}
    written = _first(record, "output_token_details", "completion_tokens_details") or {}
    cached = read.get("cached_tokens_details") or {}
    return Tokens(
        input=_first(record, "input_tokens", "prompt_tokens"),
        output=_first(record, "output_tokens", "completion_tokens"),
        audio_input=read.get("audio_tokens"),
        audio_output=written.get("audio_tokens"),
        cached=read.get("cached_tokens"),
        cached_audio=cached.get("audio_tokens"),
        audio_seconds=record.get("seconds"),
    )


def _first(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)
