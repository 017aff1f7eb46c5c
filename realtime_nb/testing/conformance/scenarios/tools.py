"""Function calls, where the server's engine makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import NotApplicable, Trial

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Return the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city."}},
        "required": ["city"],
    },
}
ORDER = (
    *("response.created", "response.output_item.added", "conversation.item.added"),
    *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    *("conversation.item.done", "response.output_item.done", "response.done"),
)


@scenario(
    "function call",
    core("order", "response.*", "", "the envelope of a call: no content part, no audio"),
    core("opened", "response.output_item.added", "item", "function_call with name and call_id, arguments empty"),
    core("named", "response.function_call_arguments.done", "name, arguments", "the function, and a JSON object"),
    core("done", "response.output_item.done", "item", "the whole call, completed"),
    core("output", "response.done", "response.output", "holds the call once more, the same"),
    core("answer", "response.create", "", "after function_call_output: an answer in words"),
    full("none", "response.create", "tool_choice", "none: no call"),
    full("disabled", "response.create", "tools", "[] switches the session's tools off"),
    full("own", "response.create", "tool_choice", "tools of one response, and one of them by name: it is called"),
)
async def function_call(trial: Trial) -> None:
    peer = await trial.open(tools=[WEATHER], tool_choice="required", output_modalities=["text"])
    await trial.say(peer, "What is the weather in Paris today?")
    start = len(peer.events)
    response = await trial.respond(peer)
    calls = [one for one in response.get("output") or [] if one.get("type") == "function_call"]
    if not calls:
        raise NotApplicable("the server's engine answered in words, though tool_choice was required")
    types = [one["type"] for one in peer.events[start:] if not one["type"].startswith("rate_limits")]
    order = tuple(name for at, name in enumerate(types) if at == 0 or types[at - 1] != name)
    trial.check("order", order[-len(ORDER) + 1 :] == ORDER[1:], {"order": order}, "another order")
    opened = peer.of("response.output_item.added", since=start)[-1]
    item = opened["item"]
    empty = item.get("name") == "get_weather" and item.get("call_id") and not item.get("arguments")
    trial.check("opened", empty and item.get("status") == "in_progress", opened)
    named = peer.of("response.function_call_arguments.done", since=start)[-1]
    trial.check("named", named.get("name") == "get_weather" and _is_object(named["arguments"]), named)
    done = peer.of("response.output_item.done", since=start)[-1]
    whole = done["item"].get("arguments") == named["arguments"] and done["item"].get("status") == "completed"
    trial.check("done", whole, done)
    same = {key: value for key, value in calls[-1].items() if done["item"].get(key) != value}
    trial.check("output", not same, peer.of("response.done")[-1], f"differs: {same}")
    output = {
        "type": "function_call_output",
        "call_id": calls[-1]["call_id"],
        "output": '{"sky": "clear", "celsius": 21}',
    }
    await peer.send("conversation.item.create", item=output)
    await peer.until("conversation.item.done")
    answer = await trial.respond(peer, tool_choice="auto")
    trial.check("answer", _kinds(answer) == ["message"], peer.of("response.done")[-1])
    await trial.say(peer, "What is the weather in Paris today?")
    answer = await trial.respond(peer, tool_choice="none")
    trial.check("none", "function_call" not in _kinds(answer), peer.of("response.done")[-1])
    answer = await trial.respond(peer, tools=[], tool_choice="auto")
    trial.check("disabled", "function_call" not in _kinds(answer), peer.of("response.done")[-1])
    await trial.update(peer, tools=[], tool_choice="auto")
    await trial.say(peer, "What is the weather in Paris today?")
    named = {"type": "function", "name": WEATHER["name"]}
    answer = await trial.respond(peer, tools=[WEATHER], tool_choice=named)
    called = [one.get("name") for one in answer.get("output") or [] if one.get("type") == "function_call"]
    trial.check("own", called == [WEATHER["name"]], peer.of("response.done")[-1])


def _kinds(response: dict[str, Any]) -> list[str]:
    return [one.get("type", "") for one in response.get("output") or []]


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except msgspec.DecodeError:
        return False


SCENARIOS = (function_call,)
