"""A recording as OpenTelemetry spans, by the semantic conventions for generative AI.

One trace a session: a span for the session, one for every turn below it, and below a turn one for each stage and each
tool. Attribute names are those of opentelemetry-semantic-conventions 0.66 (`gen_ai.*`, in development there); our own
begin with `realtime_nb.`.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.timing.marks import STAGES

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from .reader import Recording
    from .recorded_turn import RecordedTurn

OPENAI_HOST = "api.openai.com"


def to_spans(recording: Recording, tracer_provider: TracerProvider | None = None, *, content: bool = False) -> int:
    """Give a recording's session to a tracer provider as spans with the times of the recording.

    Args:
        recording: what to tell.
        tracer_provider: where to; the one that the process has set up by default.
        content: whether words and tool arguments go along; the conventions want that to be asked for.

    Returns:
        How many spans there were.

    Raises:
        MissingExtra: the OpenTelemetry SDK is not installed.
        ConfigurationError: no tracer provider was given or set up, so that the spans would go nowhere.
    """
    try:
        import opentelemetry.sdk.trace  # noqa: F401
        from opentelemetry import trace
    except ImportError as missing:
        raise MissingExtra("The OpenTelemetry SDK", extra="otel") from missing
    provider = tracer_provider or trace.get_tracer_provider()
    if tracer_provider is None and isinstance(provider, trace.ProxyTracerProvider):
        raise ConfigurationError(
            "No OpenTelemetry tracer provider is set up, so the spans would go nowhere.",
            what_now="Pass tracer_provider=, or call opentelemetry.trace.set_tracer_provider first.",
        )
    return _Teller(recording, provider.get_tracer("realtime_nb", recording.manifest.realtime_nb), content).tell()


class _Teller:
    def __init__(self, recording: Recording, tracer: Tracer, content: bool) -> None:
        self.recording, self.tracer, self.content = recording, tracer, content
        manifest = recording.manifest
        self.origin_ns = round(_began_s(manifest.session_began, manifest.created) * 1e6) * 1000
        self.settings = recording.settings
        self.model = manifest.model or str(self.settings.get("model", ""))
        self.common: dict[str, Any] = {
            "gen_ai.provider.name": _provider(manifest.endpoint),
            "gen_ai.conversation.id": str(self.settings.get("id", recording.path.name)),
            "gen_ai.request.model": self.model,
        }
        self.n = 0

    def tell(self) -> int:
        """Make all spans."""
        manifest = self.recording.manifest
        attributes = {
            **self.common,
            "gen_ai.operation.name": "invoke_agent",
            "server.address": urlsplit(manifest.endpoint).hostname or manifest.endpoint,
            "realtime_nb.engine": manifest.engine,
            "realtime_nb.machine": manifest.machine,
            "realtime_nb.schema_version": manifest.schema_version,
        }
        session = self._span(f"invoke_agent {self.model}".strip(), 0.0, None, attributes, kind="CLIENT")
        last_ms = 0.0
        for turn in self.recording.turns():
            last_ms = max(last_ms, self._turn(turn, session))
        session.end(self._ns(max(last_ms, self.recording.duration_ms)))
        return self.n

    def _turn(self, turn: RecordedTurn, session: Span) -> float:
        found, marks = turn.timeline, turn.marks
        known = [ms for ms in (marks.response_created_ms, marks.first_audio_ms, marks.done_ms) if ms is not None]
        starts = [stage.start_ms for stage in found.stages] if turn.cause is None else []
        start_ms = min([*starts, *known], default=0.0)
        ends = [marks.done_ms or start_ms, *(stage.end_ms for stage in found.stages)]
        ends += [result.ended_ms or result.started_ms for result in turn.tool_results]
        span = self._span(f"chat {self.model}".strip(), start_ms, session, self._turn_attributes(turn), kind="CLIENT")
        for stage in found.stages:
            if stage.start_ms >= start_ms:
                facts = {"meaning": STAGES[stage.name], "source": stage.source, "error_ms": stage.error_ms}
                self._stage(stage.name, stage.start_ms, stage.end_ms, span, facts)
        for first_ms, last_ms in found.unattributed:
            if first_ms >= start_ms:
                self._stage("unattributed", first_ms, last_ms, span, {})
        for result in turn.tool_results:
            self._tool(result, span)
        if turn.status in ("failed", "lost", "incomplete"):
            self._fail(span, turn.status, str(turn.error or turn.status))
        end_ms = max(ends)
        span.end(self._ns(end_ms))
        return end_ms

    def _turn_attributes(self, turn: RecordedTurn) -> dict[str, Any]:
        found, marks, usage = turn.timeline, turn.marks, turn.usage
        attributes: dict[str, Any] = {
            **self.common,
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": turn.response_id,
            "gen_ai.response.model": self.model,
            "gen_ai.response.finish_reasons": [turn.status],
            "gen_ai.output.type": "speech" if turn.delta_bytes else "text",
            "realtime_nb.interrupted": turn.interrupted or "",
            "realtime_nb.flags": list(found.flags),
        }
        asked_ms, first_ms = marks.response_created_ms, marks.first_audio_ms or marks.first_text_ms
        if asked_ms is not None and first_ms is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, first_ms - asked_ms) / 1000
        if found.voice_to_voice_ms is not None:
            attributes["realtime_nb.voice_to_voice_ms"] = found.voice_to_voice_ms
        if usage is not None:
            attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
            attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
            attributes["gen_ai.usage.cache_read.input_tokens"] = usage.input_token_details.cached_tokens
        if self.content:
            attributes["gen_ai.input.messages"] = _messages("user", turn.user_transcript)
            attributes["gen_ai.output.messages"] = _messages("assistant", turn.transcript)
        return attributes

    def _stage(self, name: str, start_ms: float, end_ms: float, parent: Span, facts: dict[str, Any]) -> None:
        attributes = {"realtime_nb.stage.name": name, **{f"realtime_nb.stage.{key}": facts[key] for key in facts}}
        self._span(f"stage {name}", start_ms, parent, attributes).end(self._ns(end_ms))

    def _tool(self, result: Any, parent: Span) -> None:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": result.name,
            "gen_ai.tool.call.id": result.call_id,
            "gen_ai.tool.type": "function",
        }
        if self.content:
            attributes["gen_ai.tool.call.arguments"] = result.arguments
            attributes["gen_ai.tool.call.result"] = result.output
        span = self._span(f"execute_tool {result.name}", result.started_ms, parent, attributes)
        if result.status != "completed":
            self._fail(span, result.status, result.error if self.content else result.status)
        span.end(self._ns(result.ended_ms or result.started_ms))

    def _span(
        self, name: str, start_ms: float, parent: Span | None, attributes: dict[str, Any], *, kind: str = "INTERNAL"
    ) -> Span:
        from opentelemetry import trace

        self.n += 1
        context = trace.set_span_in_context(parent if parent is not None else trace.INVALID_SPAN)
        return self.tracer.start_span(
            name, context, kind=trace.SpanKind[kind], attributes=attributes, start_time=self._ns(start_ms)
        )

    def _fail(self, span: Span, kind: str, why: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR, why))

    def _ns(self, session_ms: float) -> int:
        return self.origin_ns + round(session_ms * 1e6)


def _began_s(*moments: str) -> float:
    """Return the first moment that is one, in seconds since 1970; 0 when none is."""
    for moment in moments:
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(moment).timestamp()
    return 0.0


def _provider(endpoint: str) -> str:
    host = urlsplit(endpoint).hostname
    return "openai" if host == OPENAI_HOST else host or "realtime_nb"


def _messages(role: str, text: str) -> str:
    return msgspec.json.encode([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()
