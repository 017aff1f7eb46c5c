"""Conversation items, all nine kinds of the GA shape, and the parts that messages are made of.

`UNSET` means that the key is absent on the wire; None means `null`. Audio is bytes here and base64 on the wire.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

ItemStatus = Literal["completed", "incomplete", "in_progress"]


class Part(msgspec.Struct, kw_only=True, tag_field="type"):
    """Base of content parts."""


class InputText(Part, tag="input_text", kw_only=True):
    text: str


class InputAudio(Part, tag="input_audio", kw_only=True):
    audio: bytes | UnsetType = UNSET
    transcript: str | None = None


class InputImage(Part, tag="input_image", kw_only=True):
    image_url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class OutputText(Part, tag="output_text", kw_only=True):
    text: str = ""


class OutputAudio(Part, tag="output_audio", kw_only=True):
    transcript: str | None = None
    audio: bytes | UnsetType = UNSET


ContentPart = InputText | InputAudio | InputImage | OutputText | OutputAudio


class ItemBase(msgspec.Struct, kw_only=True, tag_field="type"):
    """Base of items. `id` is "" only in a client's `conversation.item.create` that leaves the choice to the server."""

    id: str | UnsetType = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class Message(ItemBase, tag="message", kw_only=True):
    role: Literal["system", "user", "assistant"]
    content: list[ContentPart]
    phase: str | UnsetType = UNSET


class FunctionCall(ItemBase, tag="function_call", kw_only=True):
    name: str
    arguments: str = ""
    call_id: str | UnsetType = UNSET


class FunctionCallOutput(ItemBase, tag="function_call_output", kw_only=True):
    call_id: str
    output: str


class McpListTools(ItemBase, tag="mcp_list_tools", kw_only=True):
    server_label: str
    tools: list[dict[str, Any]]


class McpCall(ItemBase, tag="mcp_call", kw_only=True):
    server_label: str
    name: str
    arguments: str
    output: str | None = None
    approval_request_id: str | None = None
    error: dict[str, Any] | None = None


class McpApprovalRequest(ItemBase, tag="mcp_approval_request", kw_only=True):
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(ItemBase, tag="mcp_approval_response", kw_only=True):
    approval_request_id: str
    approve: bool
    reason: str | None = None


class ItemReference(ItemBase, tag="item_reference", kw_only=True):
    """Only inside `response.create.input`."""


Item = Message | FunctionCall | FunctionCallOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse
InputItem = Item | ItemReference


def item_text(item: Item) -> str:
    """Return the words of an item: texts and transcripts joined by a space; a call as `name(arguments)`."""
    if isinstance(item, Message):
        words = [
            part.text if isinstance(part, InputText | OutputText) else part.transcript or ""
            for part in item.content
            if not isinstance(part, InputImage)
        ]
        return " ".join(word for word in words if word)
    if isinstance(item, FunctionCall):
        return f"{item.name}({item.arguments})"
    if isinstance(item, FunctionCallOutput):
        return item.output
    return ""


def without_audio(item: Item) -> Item:
    """Return a copy of the item as events show it: audio left out, parts copied, everything else equal."""
    if not isinstance(item, Message):
        return msgspec.structs.replace(item)
    parts: list[ContentPart] = [
        msgspec.structs.replace(part, audio=UNSET)
        if isinstance(part, InputAudio | OutputAudio)
        else msgspec.structs.replace(part)
        for part in item.content
    ]
    return msgspec.structs.replace(item, content=parts)
