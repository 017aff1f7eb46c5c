"""Whole conversations, through the engine's own interface."""

from __future__ import annotations

import json
import re
from datetime import datetime
from importlib import resources

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.engines import brain
from realtime_nb.engines.base import ChatMessage, ChatRequest, ChatTool, TextDelta, ToolCall
from realtime_nb.engines.brain.demo import Fields, Scene
from realtime_nb.engines.brain.intents import load_intents

ENGINE = brain.create(seed=0, clock=lambda: datetime(2026, 11, 22, 17, 5))
TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


def tool(name: str, description: str = "", required: list[str] | None = None, /, **properties) -> ChatTool:
    needed = list(properties) if required is None else required
    parameters = {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
    return ChatTool(name=name, description=description, parameters=parameters)


ITEM = {"type": "object", "properties": {"name": TEXT, "quantity": WHOLE}, "required": ["name", "quantity"]}
ORDERS = tool("get_order_status", "Look up an order", order_id=TEXT)
WEATHER = tool("get_weather", "Weather of a city", ["city"], city=TEXT, unit={"type": "string", "enum": ["celsius"]})
PLACE = tool("place_order", "Place a new order", items={"type": "array", "items": ITEM})
FOOD = tool("log_food", "Add to the food log", food=TEXT, quantity=WHOLE)
HUMAN = tool("transfer_to_human", "Hand over to a person", reason=TEXT)
CUSTOMER = tool("lookup_customer", "Find a customer", customer_id=TEXT)
TOOLS = (ORDERS, WEATHER, PLACE, FOOD, HUMAN, CUSTOMER)


class Talk:
    """A conversation that grows; `say` returns what the brain answers."""

    def __init__(self, *tools: ChatTool, instructions: str = "", tool_choice: str = "auto") -> None:
        self.messages: list[ChatMessage] = []
        self._fixed = {"tools": tools, "instructions": instructions, "tool_choice": tool_choice}

    def say(self, text: str, **fields) -> str | list[tuple[str, dict]]:
        self.messages.append(ChatMessage(role="user", text=text, **fields))
        return self.respond()

    def respond(self) -> str | list[tuple[str, dict]]:
        plan = ENGINE.plan(ChatRequest(messages=tuple(self.messages), **self._fixed))
        if plan.text:
            self.messages.append(ChatMessage(role="assistant", text=plan.text))
        for place, call in enumerate(plan.calls):
            self.messages.append(ChatMessage(role="tool_call", name=call.name, text=call.arguments, call_id=f"{place}"))
        return plan.text or [(call.name, json.loads(call.arguments)) for call in plan.calls]

    def output(self, value) -> str | list[tuple[str, dict]]:
        self.messages.append(ChatMessage(role="tool_output", text=json.dumps(value), call_id="0"))
        return self.respond()


def test_a_missing_number_is_asked_for_and_taken():
    talk = Talk()
    assert "number" in talk.say("where is my order")
    assert "427" in talk.say("four two seven")
    assert "437" in talk.say("no i said four three seven")
    assert "555" in talk.say("what about five five five")


def test_demo_answers_call_themselves_demo():
    for text in ("where is order four two seven", "what is the weather in paris", "order two pizzas", "i ate a banana"):
        assert re.search(r"demo", Talk().say(text)), text


def test_an_open_question_survives_asides_and_ends_on_request():
    talk = Talk()
    talk.say("where is my order")
    assert "take your time" in talk.say("wait a moment").lower() or talk.messages[-1].text
    assert "88" in talk.say("double eight")
    talk.say("where is my order")
    talk.say("never mind")
    assert "Paris" in talk.say("what is the weather in paris")


def test_another_topic_replaces_an_open_question():
    talk = Talk()
    talk.say("where is my order")
    assert "Rome" in talk.say("what is the weather in rome")


def test_after_three_failures_it_gives_up_politely():
    talk = Talk()
    talk.say("where is my order")
    answers = [talk.say(text) for text in ("blurb florb", "grmpf", "hnnng")]
    assert "digit by digit" in answers[0]
    assert "leave that" in answers[-1]


def test_follow_ups_keep_the_topic():
    talk = Talk()
    talk.say("what is the weather in paris")
    assert "Berlin" in talk.say("and in berlin")
    assert "Berlin tomorrow" in talk.say("what about tomorrow")


def test_it_repeats_what_it_said_and_not_that_it_repeated():
    talk = Talk()
    joke = talk.say("tell me a joke")
    assert talk.say("what did you say") == f"I said: {joke}" or talk.messages[-1].text.endswith(joke)
    assert talk.say("say that again").count(joke) == 1


def test_yes_takes_up_an_offer_and_answers_vary():
    talk = Talk()
    jokes = [talk.say("tell me a joke"), talk.say("yes please"), talk.say("another joke please")]
    assert len(set(jokes)) == 3


def test_it_remembers_a_name_and_what_was_eaten():
    talk = Talk()
    assert "Anna" in talk.say("my name is anna")
    talk.say("i ate two bananas")
    talk.say("log a sandwich for lunch")
    assert "560" in talk.say("how many calories did i eat today")
    assert "Anna" in talk.say("what is my name")


def test_a_topic_goes_on_without_being_named_again():
    talk = Talk()
    talk.say("what is the weather in london")
    assert "London" in talk.say("do i need an umbrella")
    assert "city" in talk.say("how is the weather on mars"), "not London's"
    talk = Talk()
    assert "4218" in talk.say("where is order 4218")
    assert "4218" in talk.say("when will it arrive")
    assert re.search("4218.*cancelled", talk.say("can you cancel it"))
    assert "never mind" in Talk().say("cancel it").lower() or "leave it" in Talk().say("cancel it")


def test_what_is_taken_back_is_gone():
    talk = Talk()
    talk.say("i had two eggs and toast for breakfast")
    assert "225" in talk.say("actually it was three eggs"), "three eggs alone"
    assert "300" in talk.say("what did i eat today"), "and the toast"
    assert "toast" in talk.say("no i didn't have toast")
    assert talk.say("how many calories today").count("toast") == 0
    talk.say("i drank a coffee")
    assert "coffee" in talk.say("remove the last entry")
    talk.say("delete everything")
    assert "empty" in talk.say("what did i eat today")
    assert "nothing" in talk.say("remove the pizza")
    talk = Talk()
    talk.say("i want two pizzas and a coke")
    talk.say("no i said four")
    talk.say("make that five pizzas")
    assert "a coke and five pizzas" in talk.say("what did i order")


def test_a_tool_that_logged_is_not_said_to_have_forgotten():
    talk = Talk(FOOD)
    talk.say("i ate two eggs")
    talk.output({"ok": True})
    assert "No tool" in talk.say("i did not eat eggs")


def test_foods_that_are_not_in_the_table_get_no_made_up_calories():
    assert "no calories" in Talk().say("log quinoa for lunch")
    assert "some of it not counted" in Talk().say("log an egg and a keyboard")
    assert "calories" not in re.sub("has no calories", "", Talk().say("how many calories are in a keyboard"))


def test_two_requests_at_once_are_both_answered():
    assert Talk(*TOOLS).say("what is the weather in paris and where is order 77") == [
        ("get_weather", {"city": "Paris"}),
        ("get_order_status", {"order_id": "77"}),
    ]
    assert [call[1] for call in Talk(*TOOLS).say("where is order 4218 and order 4219")] == [
        {"order_id": "4218"},
        {"order_id": "4219"},
    ]
    both = Talk().say("what is the weather in paris and london")
    assert "Paris" in both
    assert "London" in both
    assert Talk().say("where is my order and what is the weather in rome").endswith("number."), "first things first"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("where is my order", "i don't know"),
        ("what is the weather", "i have no idea"),
        ("place an order", "nothing"),
        ("look up a customer", "i forgot"),
    ],
)
def test_people_who_cannot_answer_are_let_go(question, answer):
    talk = Talk(*TOOLS)
    assert isinstance(talk.say(question), str)
    assert isinstance(talk.say(answer), str), "no tool is called with that"
    assert talk.say("what is the weather in paris") == [("get_weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("i'd like to order a large pepperoni pizza and two cokes please", "a pizza and two cokes"),
        ("i just ate a cheeseburger with fries and a large coke", "990"),
        ("i got the wrong pizza", "order number"),
        ("log a bowl of soup and 2 slices of bread", "280"),
        ("what is your refund policy", "demo"),
        ("can you look up maria garcia", "Maria Garcia"),
        ("how many calories in an avocado", "240"),
        ("paris", "Paris"),
        ("my order", "order number"),
        ("the weather", "city"),
        ("order 0 pizzas", "?"),
        ("order two thousand pizzas", "2000"),
        ("can i interrupt you", "stop"),
    ],
)
def test_what_workshop_participants_said(said, answer):
    assert answer.lower() in Talk().say(said).lower()


def test_a_day_is_no_city_and_a_customers_name_is_not_the_users():
    talk = Talk()
    talk.say("what is the weather in new york on friday")
    assert "in New York on Saturday" in talk.say("and on saturday")
    assert "in New York next week" in talk.say("what about next week")
    talk = Talk()
    talk.say("look up a customer")
    assert "Tom Miller" in talk.say("his name is tom miller")
    assert "not told me" in talk.say("what is my name")


def test_what_it_cannot_know_it_says():
    assert "do not know it in Tokyo" in Talk().say("what time is it in tokyo")
    assert "Monday, November 23" in Talk().say("what day is tomorrow")
    assert "zero" in Talk().say("what is five divided by zero")
    assert "emergency number" in Talk().say("i need an ambulance")
    talk = Talk()
    talk.say("where is order 42")
    assert re.search("made up|demo", talk.say("are you sure"))


def test_unclear_speech_gets_varied_honest_answers():
    talk = Talk()
    answers = [talk.say("flarp gnax wub") for _ in range(3)]
    assert len(set(answers)) == 3
    quiet = Talk().say("where is my order", confidence=0.2)
    assert "number?" not in quiet
    assert Talk().say("") in {Talk().say("..."), *answers, quiet}


@pytest.mark.parametrize(
    "question", ["who won the world cup", "write a poem about the sea", "are you a language model"]
)
def test_it_says_that_it_is_a_small_matcher(question):
    answer = Talk().say(question)
    assert "matcher" in answer or "large model" in answer


def test_it_cannot_see():
    assert "cannot see" in Talk().say("what is this", image_urls=("data:image/png;base64,AA",))


def test_clock_sums_and_counting():
    assert "5:05 PM" in Talk().say("what time is it")
    assert "November 22" in Talk().say("what is the date")
    assert "30" in Talk().say("what is five times six")
    assert Talk().say("count to seven").endswith("One, two, three, four, five. Six, seven.")
    assert len(Talk().say("tell me a long story")) > 1000


def test_instructions_it_can_follow():
    assert "Ada" in Talk(instructions="Your name is Ada.").say("who are you")
    talk = Talk(instructions="Always answer in French.")
    assert "only speak English, not French" in talk.say("hello")
    assert "French" not in talk.say("tell me a joke")
    assert Talk(instructions='Greet the caller with "Welcome to Acme."').respond() == "Welcome to Acme."
    long, short = Talk().say("help"), Talk(instructions="Be brief.").say("help")
    assert len(short) <= len(long)


def test_a_tool_is_called_when_its_arguments_are_known():
    assert Talk(*TOOLS).say("where is order four two seven") == [("get_order_status", {"order_id": "427"})]
    assert Talk(*TOOLS).say("find customer number four four one two") == [("lookup_customer", {"customer_id": "4412"})]
    assert Talk(*TOOLS).say("log three eggs") == [("log_food", {"food": "egg", "quantity": 3})]
    assert Talk(*TOOLS).say("i want to talk to a human")[0][0] == "transfer_to_human"
    items = [{"name": "pizza", "quantity": 2}, {"name": "coffee", "quantity": 1}]
    assert Talk(*TOOLS).say("order two pizzas and a coffee") == [("place_order", {"items": items})]


def test_several_things_make_several_calls():
    assert Talk(*TOOLS).say("what is the weather in paris and london") == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "London"}),
    ]


def test_a_missing_argument_is_asked_for_then_the_output_spoken():
    talk = Talk(*TOOLS)
    assert "number" in talk.say("where is my order")
    assert talk.say("it is four two seven") == [("get_order_status", {"order_id": "427"})]
    spoken = talk.output({"order_id": "427", "status": "out_for_delivery", "eta": "2026-11-24"})
    assert "out for delivery" in spoken
    assert "November 24" in spoken
    assert talk.say("no i said four three seven") == [("get_order_status", {"order_id": "437"})]


def test_tools_with_other_names_are_found():
    assert Talk(tool("fetchWeatherForecast", location=TEXT)).say("what is the weather in rome")[0][1] == {
        "location": "Rome"
    }
    assert Talk(tool("order_lookup", orderNumber=WHOLE)).say("where is order 99")[0][1] == {"orderNumber": 99}
    assert Talk(tool("escalate_call", "Escalate to a live agent", [])).say("talk to a human") == [("escalate_call", {})]


def test_tools_that_no_intent_knows_are_called_by_their_name():
    lamp = tool("set_lamp_color", "Set the color of the lamp", color={"type": "string", "enum": ["red", "dark_blue"]})
    assert Talk(lamp).say("set the lamp color to dark blue") == [("set_lamp_color", {"color": "dark_blue"})]
    asking = Talk(lamp)
    assert asking.say("please set the lamp color") == "Which color: red or dark blue?"
    assert asking.say("red") == [("set_lamp_color", {"color": "red"})]
    search = tool("search_docs", "Search the manual", query=TEXT)
    assert Talk(search).say("how do i resample audio") == [("search_docs", {"query": "how do i resample audio"})]


def test_a_wrong_tool_is_not_called():
    cancel = tool("cancel_order", "Cancel an order", order_id=TEXT)
    assert isinstance(Talk(cancel).say("where is order four two seven"), str)
    assert Talk(cancel).say("cancel order four two seven") == [("cancel_order", {"order_id": "427"})]


def test_tool_choice_is_honoured():
    assert isinstance(Talk(*TOOLS, tool_choice="none").say("where is order four two seven"), str)
    assert Talk(*TOOLS, tool_choice="log_food").say("hello")[0][0] == "log_food"
    forced = Talk(*TOOLS, tool_choice="required")
    assert forced.say("what is the weather in oslo") == [("get_weather", {"city": "Oslo"})]
    assert isinstance(forced.output({"temp_c": 3}), str)
    assert Talk(*TOOLS, tool_choice="required").say("hello")[0][0] in {one.name for one in TOOLS}


@pytest.mark.anyio
async def test_streamed_pieces_make_the_text_and_calls_come_whole():
    request = ChatRequest(messages=(ChatMessage(role="user", text="tell me a joke"),))
    model = brain.create(seed=0)
    await model.start()
    deltas = [delta async for delta in model.reply(request)]
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == ENGINE.plan(request).text
    assert len(deltas) > 5
    call = ChatRequest(messages=(ChatMessage(role="user", text="weather in rome"),), tools=(WEATHER,))
    assert [delta async for delta in model.reply(call)] == [ToolCall("get_weather", '{"city": "Rome"}')]
    await model.aclose()


def test_seeds_choose_other_words_and_equal_seeds_the_same():
    request = ChatRequest(messages=(ChatMessage(role="user", text="hello"),))
    replies = {brain.create(seed=seed).plan(request).text for seed in range(5)}
    assert len(replies) > 1
    assert brain.create(seed=0).plan(request) == ENGINE.plan(request)


def test_every_reply_starts_soon_and_fills_its_fields():
    now = datetime(2026, 11, 22)
    scene = Scene(
        said="count to ten",
        values={},
        last_reply="Hm.",
        person="Anna",
        assistant="Ada",
        eaten=(),
        ordered=(),
        seed=0,
        now=now,
    )
    known = set(Fields(scene))
    for key, intent in load_intents().items():
        slots = {**intent.slots, **intent.optional}
        for reply in intent.replies:
            assert set(re.findall(r"\{(\w+)\}", reply)) <= known | set(slots), key
            first = re.split(r"(?<=[.!?])\s", reply)[0]
            assert len(first.split()) <= 9, (key, first)
        assert set(intent.ask) == set(intent.slots), key
        assert intent.offers is None or intent.offers in load_intents(), key


PROPERTY = st.sampled_from(
    [TEXT, WHOLE, {"type": "boolean"}, {"type": "number", "minimum": 1, "maximum": 9}]
) | st.builds(
    dict,
    type=st.sampled_from(["string", "array", "object", "integer", "weird"]),
    items=st.sampled_from([TEXT, ITEM, {}]),
    enum=st.lists(st.sampled_from(["red", 3, None, "new york"]), min_size=1, max_size=3),
)
NAMES = st.sampled_from(
    ["city", "order_id", "items", "quantity", "query", "email", "when", "x", "customerName", "phone", "id"]
)
TOOL_NAMES = st.sampled_from(["get_weather", "place_order", "lookup", "doIt", "x", "log_food", "transfer_to_human"])
ANY_TOOL = st.builds(
    lambda name, text, properties, required, extra: ChatTool(
        name=name,
        description=text,
        parameters={"type": "object", "properties": properties, "required": required, **extra},
    ),
    TOOL_NAMES,
    st.text(max_size=20),
    st.dictionaries(NAMES, PROPERTY, max_size=4),
    st.lists(NAMES, max_size=3, unique=True),
    st.sampled_from([{}, {"additionalProperties": False}, {"minProperties": 1}]),
) | st.builds(
    ChatTool,
    name=TOOL_NAMES,
    parameters=st.dictionaries(st.text(max_size=6), st.none() | st.text(max_size=3) | st.integers()),
)
SAID = st.text(max_size=60) | st.sampled_from(
    [
        "weather in paris",
        "order two pizzas",
        "where is my order",
        "four two seven",
        "no i said nine",
        "yes",
        "what about rome",
        "log an egg",
    ]
)
MESSAGES = st.lists(
    st.builds(
        ChatMessage,
        role=st.sampled_from(["user", "user", "assistant", "tool_output", "tool_call", "system"]),
        text=SAID,
        confidence=st.sampled_from([1.0, 0.1]),
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(
    MESSAGES,
    st.lists(ANY_TOOL, max_size=3),
    st.sampled_from(["auto", "none", "required", "get_weather"]),
    st.text(max_size=30),
)
def test_nothing_breaks_it_and_arguments_are_always_valid(messages, tools, tool_choice, instructions):
    request = ChatRequest(
        messages=tuple(messages), tools=tuple(tools), tool_choice=tool_choice, instructions=instructions
    )
    plan = ENGINE.plan(request)
    assert plan.text or plan.calls
    for call in plan.calls:
        arguments = json.loads(call.arguments)
        assert isinstance(arguments, dict)
        schemas = [one.parameters for one in tools if one.name == call.name]
        assert any(jsonschema.Draft202012Validator(schema).is_valid(arguments) for schema in schemas)


@pytest.mark.parametrize("transcript", ["four two seven one", "it is four two seven one", "Four, two, seven, one."])
def test_a_bare_number_is_taken_for_an_order(transcript):
    assert "4271" in Talk().say(transcript)


def test_bundled_clips_are_answered():
    manifest = json.loads(resources.files("realtime_nb.clips").joinpath("manifest.json").read_text(encoding="utf-8"))
    clips = manifest.get("clips", manifest)
    texts = [clip["transcript"] for clip in (clips.values() if isinstance(clips, dict) else clips)]
    excuse = r"(I did not catch|Sorry, I did not|That was not|I could not)"
    unclear = [text for text in texts if re.match(excuse, Talk().say(text))]
    assert len(texts) > 5
    assert len(unclear) <= 1, unclear
