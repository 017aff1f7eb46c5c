from __future__ import annotations

from typing import Any

import msgspec

from realtime_nb.engines.base import Transcript
from realtime_nb.protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
)
from realtime_nb.protocol.server_response import settings_for
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.server.context import chat_request, spoken_message, vocabulary


def request(*items: Item, heard: dict[str, Transcript] | None = None, **config: Any) -> Any:
    session = msgspec.structs.replace(SessionConfig(), **config)
    return chat_request(settings_for(session, None, None), items, heard or {})


def test_calls_and_outputs_keep_their_ids_and_names() -> None:
    call = FunctionCall(id="a", name="look_up", arguments='{"n": 1}', call_id="call_1")
    output = FunctionCallOutput(id="b", call_id="call_1", output="42")
    first, second = request(call, output).messages
    assert (first.role, first.name, first.text, first.call_id) == ("tool_call", "look_up", '{"n": 1}', "call_1")
    assert (second.role, second.text, second.call_id) == ("tool_output", "42", "call_1")


def test_spoken_items_carry_what_was_heard_and_how_surely() -> None:
    item = Message(id="a", role="user", content=[InputAudio(audio=b"\0\0")])
    (message,) = request(item, heard={"a": Transcript(text="hello", confidence=0.4)}).messages
    assert (message.text, message.confidence) == ("hello", 0.4)
    (unheard,) = request(item).messages
    assert (unheard.text, unheard.confidence) == ("", 0.0)


def test_what_is_prepared_equals_what_is_asked_for_later() -> None:
    heard = Transcript(text="hello", confidence=0.4)
    settings = settings_for(SessionConfig(), None, None)
    early = chat_request(settings, [], {}, spoken_message(heard))
    item = Message(id="a", role="user", content=[InputAudio(audio=b"\0\0")])
    assert chat_request(settings, [item], {"a": heard}) == early


def test_an_assistant_of_whom_nothing_was_heard_said_nothing() -> None:
    assert request(Message(id="a", role="assistant", content=[OutputAudio(transcript="")])).messages == ()


def test_images_come_along() -> None:
    item = Message(
        id="a", role="user", content=[InputText(text="what?"), InputImage(image_url="data:image/png;base64,AA")]
    )
    (message,) = request(item).messages
    assert (message.text, message.image_urls) == ("what?", ("data:image/png;base64,AA",))


def test_only_functions_are_tools_and_a_choice_is_a_name() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "mcp", "server_label": "x"}]
    made = request(tools=tools, tool_choice={"type": "function", "name": "f"}, max_output_tokens=50)
    assert [tool.name for tool in made.tools] == ["f"]
    assert (made.tool_choice, made.max_output_tokens) == ("f", 50)
    assert request(max_output_tokens="inf").max_output_tokens is None


def test_users_may_say_what_instructions_tools_and_prompt_speak_of() -> None:
    tools = [{"type": "function", "name": "order_status", "description": "Status of an order."}]
    assert vocabulary("Sell tea.", tools, "oolong") == ["Sell tea.", "oolong", "order status", "Status of an order."]
    assert vocabulary("", [], None) == []
