"""What a client asks of `/v1/chat/completions`: its shape, and what of it this server refuses.

Parameters that no engine here can follow and that change no shape (temperature, penalties, seed, …) are accepted and
do nothing; those that would promise something (`n`, `logprobs`, `response_format`, `stop`) are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from realtime_nb.engines.base import ChatTool
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.session_config import CustomVoice


class TextPart(msgspec.Struct, tag_field="type", tag="text"):
    """Typed words."""

    text: str


class RefusalPart(msgspec.Struct, tag_field="type", tag="refusal"):
    """What a model did not want to say."""

    refusal: str


class AudioData(msgspec.Struct):
    """A recording, base64; the format is seen from the data."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(msgspec.Struct, tag_field="type", tag="input_audio"):
    """Something that the user said."""

    input_audio: AudioData


class ImageUrl(msgspec.Struct):
    """A data URI."""

    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"


class ImagePart(msgspec.Struct, tag_field="type", tag="image_url"):
    """Something that the user shows."""

    image_url: ImageUrl


Text = str | list[TextPart]


class SystemMessage(msgspec.Struct, tag_field="role", tag="system"):
    """Instructions."""

    content: Text


class DeveloperMessage(msgspec.Struct, tag_field="role", tag="developer"):
    """Instructions, too."""

    content: Text


class UserMessage(msgspec.Struct, tag_field="role", tag="user"):
    """What the user typed, said and showed."""

    content: str | list[TextPart | AudioPart | ImagePart]


class FunctionOfCall(msgspec.Struct):
    """The function that was called."""

    name: str
    arguments: str


class EarlierCall(msgspec.Struct):
    """A call that the model made."""

    id: str
    function: FunctionOfCall
    type: Literal["function"] = "function"


class EarlierAudio(msgspec.Struct):
    """An answer that the server keeps."""

    id: str


class AssistantMessage(msgspec.Struct, tag_field="role", tag="assistant"):
    """What the model answered."""

    content: str | list[TextPart | RefusalPart] | None = None
    audio: EarlierAudio | None = None
    tool_calls: list[EarlierCall] | None = None


class ToolMessage(msgspec.Struct, tag_field="role", tag="tool"):
    """What a function returned."""

    content: Text
    tool_call_id: str


AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class Function(msgspec.Struct):
    """A function that the model may call."""

    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """Functions are the only kind of tool here."""

    type: Literal["function"]
    function: Function


class AudioOptions(msgspec.Struct):
    """How the answer is spoken."""

    voice: str | CustomVoice
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]


class StreamOptions(msgspec.Struct):
    """What a stream brings besides the answer."""

    include_usage: bool = False


class ResponseFormat(msgspec.Struct):
    """The form of the answer's text."""

    type: str


class ChatBody(msgspec.Struct, kw_only=True):
    """The body of a request."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    modalities: list[Literal["text", "audio"]] | None = None
    audio: AudioOptions | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    n: int | None = None
    logprobs: bool | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    functions: list[Any] | None = None

    @property
    def spoken(self) -> bool:
        """Whether the answer is to be heard."""
        return "audio" in (self.modalities or ())

    @property
    def longest_tokens(self) -> int | None:
        """How much the answer may have; None where the request leaves it open."""
        return self.max_completion_tokens or self.max_tokens


def check(body: ChatBody) -> None:
    """Refuse what this server cannot do.

    Raises:
        RemoteProtocolError: with the service's code and param.
    """
    _check_unsupported(body)
    if body.modalities is not None and "text" not in body.modalities:
        raise RemoteProtocolError(
            "Invalid value for 'modalities': supported are ['text'] and ['text', 'audio'].",
            code="invalid_value",
            param="modalities",
        )
    if body.spoken and body.audio is None:
        raise RemoteProtocolError(
            "Missing required parameter: 'audio'.", code="missing_required_parameter", param="audio"
        )
    if body.spoken and body.stream and body.audio is not None and body.audio.format != "pcm16":
        raise RemoteProtocolError(
            f"Unsupported value: 'audio.format' does not support '{body.audio.format}' when stream=true. "
            "Supported values are: 'pcm16'.",
            code="unsupported_value",
            param="audio.format",
        )
    _check_calls(body.messages)


def _check_unsupported(body: ChatBody) -> None:
    text_only = body.response_format is None or body.response_format.type == "text"
    asked = {
        "n": body.n not in (None, 1),
        "logprobs": bool(body.logprobs),
        "stop": bool(body.stop),
        "response_format": not text_only,
        "functions": bool(body.functions),
    }
    for param, unsupported in asked.items():
        if unsupported:
            raise RemoteProtocolError(
                f"Unsupported parameter: '{param}' is not supported here with this value.",
                code="unsupported_parameter",
                param=param,
            )


def _check_calls(messages: list[AnyMessage]) -> None:
    """Every call is answered by the tool messages that follow it, and nothing else is."""
    waiting: dict[str, None] = {}
    for index, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise RemoteProtocolError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    code="invalid_value",
                    param=f"messages[{index}].tool_call_id",
                )
            del waiting[message.tool_call_id]
            continue
        if waiting:
            raise _unanswered(waiting, index)
        if isinstance(message, AssistantMessage):
            waiting = {call.id: None for call in message.tool_calls or ()}
    if waiting:
        raise _unanswered(waiting, len(messages))


def _unanswered(waiting: dict[str, None], index: int) -> RemoteProtocolError:
    return RemoteProtocolError(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
        code="invalid_value",
        param=f"messages[{index}].role",
    )


def tools(body: ChatBody) -> tuple[tuple[ChatTool, ...], str]:
    """Return the functions that may be called, and the choice among them as a chat model reads it.

    Raises:
        RemoteProtocolError: the choice is none of the documented ones, or names no tool of the request.
    """
    offered = [tool.function for tool in body.tools or ()]
    choice, names = _choice(body.tool_choice)
    unknown = [name for name in names or () if name not in {one.name for one in offered}]
    if unknown:
        raise RemoteProtocolError(
            f"Tool choice '{unknown[0]}' not found in 'tools' parameter.", code="invalid_value", param="tool_choice"
        )
    kept = tuple(
        ChatTool(name=one.name, description=one.description or "", parameters=one.parameters or {})
        for one in offered
        if names is None or one.name in names
    )
    if choice == "required" and not kept:
        raise RemoteProtocolError(
            "'tool_choice' is only allowed when 'tools' are specified.", code="invalid_value", param="tool_choice"
        )
    return kept, choice


def _choice(choice: str | dict[str, Any] | None) -> tuple[str, list[str] | None]:
    """Return the choice and the names of the tools that it leaves, None for all."""
    match choice:
        case None:
            return "auto", None
        case "none" | "auto" | "required":
            return choice, None
        case {"type": "function", "function": {"name": str(name)}}:
            return name, [name]
        case {"type": "allowed_tools", "allowed_tools": {"mode": ("auto" | "required") as mode, "tools": list(given)}}:
            return mode, [_name_of(one) for one in given]
        case _:
            raise RemoteProtocolError(
                "Invalid value for 'tool_choice': supported are 'none', 'auto', 'required', one function, and "
                "'allowed_tools'.",
                code="invalid_value",
                param="tool_choice",
            )


def _name_of(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}}:
            return name
    raise RemoteProtocolError(
        "Invalid value for 'tool_choice': every allowed tool names a function.",
        code="invalid_value",
        param="tool_choice",
    )
