"""What a chat model reads: the conversation as it stands, in the words that were really said and heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from realtime_nb.engines.base import ChatMessage, ChatRequest, ChatTool, Transcript
from realtime_nb.protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    Item,
    Message,
    item_text,
)
from realtime_nb.protocol.server_response import ResponseSettings


def chat_request(
    settings: ResponseSettings, items: Iterable[Item], heard: Mapping[str, Transcript], *more: ChatMessage
) -> ChatRequest:
    """Return the request for one response.

    Args:
        settings: of the response.
        items: what was said so far; truncated items hold heard words only.
        heard: what the recogniser made of spoken items, by item id.
        more: messages that are not items yet.
    """
    messages = [message for item in items if (message := _message(item, heard)) is not None]
    limit = settings.max_output_tokens
    return ChatRequest(
        instructions=settings.instructions,
        messages=(*messages, *more),
        tools=tuple(_tool(tool) for tool in settings.tools if tool.get("type") == "function" and tool.get("name")),
        tool_choice=_tool_choice(settings.tool_choice),
        max_output_tokens=limit if isinstance(limit, int) else None,
        spoken=settings.output_modality == "audio",
    )


def _message(item: Item, heard: Mapping[str, Transcript]) -> ChatMessage | None:
    if isinstance(item, FunctionCall):
        call_id = item.call_id if isinstance(item.call_id, str) else None
        return ChatMessage(role="tool_call", text=item.arguments, name=item.name, call_id=call_id)
    if isinstance(item, FunctionCallOutput):
        return ChatMessage(role="tool_output", text=item.output, call_id=item.call_id)
    if not isinstance(item, Message):
        return None
    if any(isinstance(part, InputAudio) for part in item.content):
        return spoken_message(heard.get(str(item.id)), item)
    text = item_text(item)
    images = tuple(part.image_url for part in item.content if isinstance(part, InputImage))
    return ChatMessage(role=item.role, text=text, image_urls=images) if text or images else None


def spoken_message(heard: Transcript | None, item: Message | None = None) -> ChatMessage:
    """Return a spoken user message: what was heard, else the words that came with the item."""
    written = item_text(item) if item is not None else ""
    if heard is None:
        return ChatMessage(role="user", text=written, confidence=1.0 if written else 0.0)
    return ChatMessage(role="user", text=heard.text or written, confidence=heard.confidence)


def _tool(tool: Mapping[str, Any]) -> ChatTool:
    return ChatTool(
        name=str(tool["name"]), description=str(tool.get("description") or ""), parameters=tool.get("parameters") or {}
    )


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, str):
        return choice
    return str(choice["name"]) if isinstance(choice, dict) and choice.get("type") == "function" else "auto"


def vocabulary(instructions: str, tools: Iterable[Mapping[str, Any]], prompt: str | None) -> list[str]:
    """Return the sentences and words that a user of this session may well say."""
    expected = [instructions, prompt or ""]
    for tool in tools:
        expected += [str(tool.get("name", "")).replace("_", " "), str(tool.get("description") or "")]
    return [text for text in expected if text]
