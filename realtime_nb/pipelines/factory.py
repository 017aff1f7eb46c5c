"""Pipelines by name, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from realtime_nb.errors import ConfigurationError
from realtime_nb.timing.marks import ROUTES, Route

from .stage_server import StageEndpoint
from .turn_pipeline import TurnPipeline

if TYPE_CHECKING:
    from .heard_here import HeardHere
    from .realtime import RealtimePipeline

STAGES_OF: dict[str, tuple[str, ...]] = {
    "chain": ("transcription", "chat", "speech"),
    "chain-streaming": ("transcription", "chat", "speech"),
    "chat-audio": ("chat",),
    "realtime": ("session",),
}


def pipeline(
    name: Route | str,
    *,
    url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    **options: Any,
) -> TurnPipeline:
    """Make a pipeline; it connects with its first turn, or with `start`.

    Args:
        name: "chain", "chain-streaming", "chat-audio" or "realtime".
        url: base URL of the server for all stages; "embedded" is the one inside this process; None chooses as
            `connect` does.
        api_key: for that server.
        model: for a pipeline of one stage; give the others theirs with `chat=StageEndpoint(model=…)`, ….
        options: `transcription`, `chat`, `speech` or `session` (a `StageEndpoint`, where one stage is done elsewhere),
            `tools`, `instructions`, `voice`, `silence_duration_ms`, `engine`, `timeouts`; see `TurnPipeline`.

    Raises:
        ConfigurationError: no such pipeline, or an option that it does not have.
    """
    if name not in ROUTES:
        raise ConfigurationError(f"There is no pipeline {name!r}.", what_now=f"Use one of: {', '.join(ROUTES)}.")
    stages = STAGES_OF[name]
    if model is not None and len(stages) > 1:
        raise ConfigurationError(
            f"The pipeline {name!r} has a model for each of {', '.join(stages)}.",
            what_now="Give them one by one: chat=StageEndpoint(model=…).",
        )
    for stage in stages:
        if options.get(stage) is None:
            options[stage] = StageEndpoint(url=url, api_key=api_key, model=model)
    try:
        return _class_of(name)(**options)
    except TypeError as problem:
        raise ConfigurationError(f"The pipeline {name!r} cannot be made: {problem}.") from problem


def pipelines(names: Iterable[Route | str] = ROUTES, **options: Any) -> list[TurnPipeline]:
    """Make several pipelines with the same options; a `StageEndpoint` goes to those that have that stage.

    Raises:
        ConfigurationError: as `pipeline`.
    """
    every_stage = {stage for stages in STAGES_OF.values() for stage in stages}
    made = []
    for name in names:
        own = STAGES_OF.get(name, ())
        made.append(pipeline(name, **{key: it for key, it in options.items() if key not in every_stage or key in own}))
    return made


def _class_of(name: str) -> type[HeardHere] | type[RealtimePipeline]:
    from . import chain, chat_audio, realtime

    classes: dict[str, type[HeardHere] | type[RealtimePipeline]] = {
        "chain": chain.ChainPipeline,
        "chain-streaming": chain.StreamingChainPipeline,
        "chat-audio": chat_audio.ChatAudioPipeline,
        "realtime": realtime.RealtimePipeline,
    }
    return classes[name]
