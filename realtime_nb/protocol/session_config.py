"""The session's settings: typed, with the documented defaults, and merged by present keys.

Fields, defaults and limits follow the GA session object (`session.created` / `session.update`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime_nb.errors import RemoteProtocolError

Fraction = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[int, Meta(ge=0)]
OutputModalities = Annotated[list[Literal["audio", "text"]], Meta(min_length=1, max_length=1)]
ToolChoice = Literal["none", "auto", "required"] | dict[str, Any]
MaxOutputTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base: unknown keys are errors, as they are on the service."""


class AudioPcm(Strict, tag_field="type", tag="audio/pcm", kw_only=True):
    rate: Literal[24000] = 24000


class AudioPcmu(Strict, tag_field="type", tag="audio/pcmu", kw_only=True):
    """G.711 mu-law at 8 kHz."""


class AudioPcma(Strict, tag_field="type", tag="audio/pcma", kw_only=True):
    """G.711 A-law at 8 kHz."""


AudioFormat = AudioPcm | AudioPcmu | AudioPcma


def bytes_per_ms(audio_format: AudioFormat) -> int:
    """Return 48 for 24 kHz PCM16, 8 for G.711."""
    return 48 if isinstance(audio_format, AudioPcm) else 8


class ServerVad(Strict, tag_field="type", tag="server_vad", kw_only=True):
    """Turns end after a silence. `silence_duration_ms` defaults to the documented 500."""

    threshold: Fraction = 0.5
    prefix_padding_ms: Milliseconds = 300
    silence_duration_ms: Milliseconds = 500
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Strict, tag_field="type", tag="semantic_vad", kw_only=True):
    """Turns end when the words sound finished."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


class Transcription(Strict, kw_only=True):
    """Recognition of the user's audio, apart from what the model hears.

    The last three came later to the service and are shown only where they were set: some clients refuse to read them.
    """

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    languages: list[str] | None | UnsetType = UNSET
    keywords: list[str] | None | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None | UnsetType = UNSET


class NoiseReduction(Strict, kw_only=True):
    type: Literal["near_field", "far_field"]
    strength: float | None | UnsetType = UNSET


class AudioInput(Strict, kw_only=True):
    format: AudioFormat = msgspec.field(default_factory=AudioPcm)
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = msgspec.field(default_factory=ServerVad)


class CustomVoice(Strict, kw_only=True):
    id: str


def voice_name(voice: str | CustomVoice) -> str:
    """Return the name of a preset voice, or the id of a custom one."""
    return voice if isinstance(voice, str) else voice.id


class AudioOutput(Strict, kw_only=True):
    format: AudioFormat = msgspec.field(default_factory=AudioPcm)
    voice: str | CustomVoice = "alloy"
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] = 1.0


class AudioConfig(Strict, kw_only=True):
    input: AudioInput = msgspec.field(default_factory=AudioInput)
    output: AudioOutput = msgspec.field(default_factory=AudioOutput)


class TokenLimits(Strict, kw_only=True):
    """`post_instructions` bounds everything after instructions and tools."""

    post_instructions: Annotated[int, Meta(ge=0)] | None = None


class RetentionRatio(Strict, tag_field="type", tag="retention_ratio", kw_only=True):
    """When the context is full, drop so much that this share of the room is left in use."""

    retention_ratio: Fraction
    token_limits: TokenLimits | None | UnsetType = UNSET


Truncation = Literal["auto", "disabled"] | RetentionRatio


class Reasoning(Strict, kw_only=True):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None | UnsetType = UNSET


class Tracing(Strict, kw_only=True):
    workflow_name: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET


class FunctionTool(Strict, tag_field="type", tag="function", kw_only=True):
    """What a function tool may say; tools are kept as they came."""

    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class McpTool(Strict, tag_field="type", tag="mcp", kw_only=True):
    """What an MCP server's entry may say."""

    server_label: Annotated[str, Meta(min_length=1)]
    server_url: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    server_description: str | None = None
    allowed_tools: list[str] | dict[str, Any] | None = None
    require_approval: str | dict[str, Any] | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class ChosenFunction(Strict, tag_field="type", tag="function", kw_only=True):
    name: str


class ChosenMcpTool(Strict, tag_field="type", tag="mcp", kw_only=True):
    server_label: str
    name: str | None = None


class SessionConfig(Strict, kw_only=True):
    """The effective settings of a session, every field filled, as `session.created` shows them."""

    type: Literal["realtime", "transcription"] = "realtime"
    object: Literal["realtime.session", "realtime.transcription_session"] = "realtime.session"
    id: str = ""
    model: str = ""
    output_modalities: OutputModalities = msgspec.field(default_factory=lambda: ["audio"])
    instructions: str = ""
    tools: list[dict[str, Any]] = []
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: MaxOutputTokens = "inf"
    tracing: Literal["auto"] | Tracing | None = None
    prompt: dict[str, Any] | None = None
    truncation: Truncation = "auto"
    expires_at: int = 0
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    audio: AudioConfig = msgspec.field(default_factory=AudioConfig)


def without_noise_reduction(config: SessionConfig) -> SessionConfig:
    """Return the settings of a server that cannot reduce noise: it does not claim to."""
    audio_input = msgspec.structs.replace(config.audio.input, noise_reduction=None)
    return msgspec.structs.replace(config, audio=msgspec.structs.replace(config.audio, input=audio_input))


def no_logprobs(config: SessionConfig) -> UnsetType | None:
    """Return the `logprobs` of transcription events: null where they were asked for, for nobody here has any."""
    return None if config.include else UNSET


def first_config(config: SessionConfig, *, session_id: str, model: str, expires_at: int) -> SessionConfig:
    """Return `config` with what the server alone decides; `expires_at` is Unix time in seconds."""
    kind: Any = "realtime.transcription_session" if config.type == "transcription" else "realtime.session"
    return msgspec.structs.replace(config, object=kind, id=session_id, model=model, expires_at=expires_at)


def session_object(config: SessionConfig) -> dict[str, Any]:
    """Return the session as events and client secrets show it."""
    session: dict[str, Any] = msgspec.to_builtins(config)
    if config.type == "realtime":
        for key in ("parallel_tool_calls", "reasoning"):
            if session[key] is None:
                del session[key]
        return session
    kept = {key: session[key] for key in ("type", "object", "id", "expires_at", "include")}
    audio_input = dict(session["audio"]["input"])
    if audio_input["turn_detection"]:
        drop = ("create_response", "interrupt_response", "idle_timeout_ms")
        audio_input["turn_detection"] = {
            key: value for key, value in audio_input["turn_detection"].items() if key not in drop
        }
    return {**kept, "audio": {"input": audio_input}}


def check_voice(voice: str, voices: tuple[str, ...], param: str) -> None:
    """Raise `RemoteProtocolError` unless `voice` is one of `voices`; any will do where there are none."""
    if voices and voice not in voices:
        raise RemoteProtocolError(
            f"Invalid value: '{voice}'. Supported values are: {', '.join(voices)}.", code="invalid_value", param=param
        )


_READ_ONLY = ("id", "object", "expires_at", "model")
_CLEARS_TO_DEFAULT = {"tools": [], "instructions": "", "tool_choice": "auto", "truncation": "auto"}
VOICE_IS_LOCKED = "Cannot update a conversation's voice if assistant audio is present."
_MERGED = {"audio", "input", "output", "turn_detection", "transcription", "format"}


def merge(config: SessionConfig, patch: dict[str, Any], *, voice_locked: bool = False) -> SessionConfig:
    """Return `config` with the keys present in `patch` changed; `config` itself is untouched.

    Absent keys stay; `null`, `""` and `[]` clear. Nested objects merge key by key; an object whose `type` changes
    starts from that type's defaults.

    Raises:
        RemoteProtocolError: with the wire's code and param; then nothing changed.
    """
    if "type" not in patch:
        raise RemoteProtocolError(
            "Missing required parameter: 'session.type'.", code="missing_required_parameter", param="session.type"
        )
    if patch["type"] != config.type:
        raise RemoteProtocolError(
            f"Passing a session of type {patch['type']!r} is not allowed: this session is of type {config.type!r}.",
            code="invalid_value",
            param="session.type",
        )
    _refuse_settings_of_speaking(config, patch)
    current = msgspec.to_builtins(config)
    changed = _merged(current, {key: value for key, value in patch.items() if key not in _READ_ONLY})
    try:
        result = msgspec.convert(changed, SessionConfig)
    except msgspec.ValidationError as problem:
        raise validation_problem(problem, prefix="session") from problem
    check_tools(result.tools, result.tool_choice, prefix="session")
    if voice_locked and result.audio.output.voice != config.audio.output.voice:
        raise RemoteProtocolError(VOICE_IS_LOCKED, code="cannot_update_voice", param="session.audio.output.voice")
    check_prompt(result.prompt, param="session.prompt")
    if config.tracing is not None and result.tracing != config.tracing:
        raise RemoteProtocolError(
            "Tracing cannot be changed once enabled.", code="invalid_value", param="session.tracing"
        )
    return result


def _refuse_settings_of_speaking(config: SessionConfig, patch: dict[str, Any]) -> None:
    """A transcription session has no settings of what the assistant says."""
    if config.type == "transcription":
        audio = patch.get("audio")
        given = [*patch, *(f"audio.{key}" for key in (audio if isinstance(audio, dict) else ()))]
        for name in given:
            if name not in (*_READ_ONLY, "type", "include", "audio", "audio.input"):
                raise RemoteProtocolError(
                    f"Unknown parameter: 'session.{name}'.", code="unknown_parameter", param=f"session.{name}"
                )


def check_prompt(prompt: dict[str, Any] | None, *, param: str) -> None:
    """Raise `RemoteProtocolError` for a prompt template: there are none here, and an unknown one is an error."""
    if prompt is not None:
        name = str(prompt.get("id"))[:100]
        raise RemoteProtocolError(f"Prompt with id '{name}' not found.", code="prompt_not_found", param=f"{param}.id")


def check_tools(tools: list[dict[str, Any]], choice: str | dict[str, Any], *, prefix: str) -> None:
    """Raise `RemoteProtocolError` unless every tool, and the choice among them, is written as documented."""
    for index, tool in enumerate(tools):
        _check(tool, FunctionTool | McpTool, f"{prefix}.tools[{index}]")
    if isinstance(choice, dict):
        _check(choice, ChosenFunction | ChosenMcpTool, f"{prefix}.tool_choice")


def _check(value: dict[str, Any], shape: Any, where: str) -> None:
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as problem:
        raise validation_problem(problem, prefix=where) from problem


def _merged(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(current)
    for key, value in patch.items():
        old = current.get(key)
        if value is None and key in _CLEARS_TO_DEFAULT:
            merged[key] = _CLEARS_TO_DEFAULT[key]
        elif key in _MERGED and isinstance(value, dict) and isinstance(old, dict):
            same_type = "type" not in value or value["type"] == old.get("type")
            merged[key] = _merged(old, value) if same_type else value
        else:
            merged[key] = value
    return merged


def validation_problem(problem: msgspec.ValidationError, *, prefix: str = "") -> RemoteProtocolError:
    """Turn msgspec's message into the wire's code and param."""
    text = str(problem)
    what, _, path = text.partition(" - at ")
    where = path.rpartition("`$")[2].rstrip("`").lstrip(".").removesuffix("[...]")
    named = what.split("`")[1] if what.count("`") >= 2 else ""
    parts = [part for part in (prefix, where) if part]
    if "unknown field" in what:
        param = ".".join([*parts, named])
        return RemoteProtocolError(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)
    if "missing required field" in what:
        param = ".".join([*parts, named])
        return RemoteProtocolError(
            f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
        )
    param = ".".join(parts)
    return RemoteProtocolError(f"Invalid value for '{param}': {what}.", code="invalid_value", param=param or None)
