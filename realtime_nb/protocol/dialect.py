"""Beta names → GA names, applied once at the border (Annex "Beta vs GA" of the API's migration notes).

Several compatible servers still speak beta or a mixture, so a client translates what it receives. Our server speaks
GA only and refuses beta, as the service does.
"""

from __future__ import annotations

from typing import Any

SERVER_EVENT_NAMES = {
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}

ASSISTANT_CONTENT_NAMES = {"text": "output_text", "audio": "output_audio"}


def translate_server_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event under its GA names; the same object when nothing had to change."""
    name = SERVER_EVENT_NAMES.get(str(event.get("type", "")))
    if name is not None:
        event = {**event, "type": name}
    item = event.get("item")
    if isinstance(item, dict):
        event = _with(event, "item", _translate_item(item))
    response = event.get("response")
    if isinstance(response, dict) and isinstance(response.get("output"), list):
        output = [_translate_item(one) if isinstance(one, dict) else one for one in response["output"]]
        if any(new is not old for new, old in zip(output, response["output"], strict=True)):
            event = _with(event, "response", {**response, "output": output})
    return event


def _with(event: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return event if event[key] is value else {**event, key: value}


def _translate_item(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    content = [
        {**part, "type": ASSISTANT_CONTENT_NAMES[part["type"]]}
        if isinstance(part, dict) and str(part.get("type")) in ASSISTANT_CONTENT_NAMES
        else part
        for part in item["content"]
    ]
    return item if content == item["content"] else {**item, "content": content}
