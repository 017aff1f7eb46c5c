from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realtime_nb.engines.brain.verbalise import verbalise


@pytest.mark.parametrize(
    ("output", "spoken"),
    [
        ({"status": "out_for_delivery"}, "Here is what I found. The status is out for delivery."),
        (
            {"temp_c": 12.50, "wind_kmh": 8},
            "Here is what I found. The temperature is 12.5 degrees Celsius. The wind is 8 kilometres an hour.",
        ),
        ({"eta": "2026-11-24"}, "Here is what I found. The estimated arrival is November 24."),
        ({"orders": 3}, "Here is what I found. There are 3 orders."),
        ({"message": "Your table is booked"}, "Your table is booked."),
        ({"ok": True}, "That is done."),
        ({"status": "ok"}, "That is done."),
        ({"transferred": True}, "That is done."),
        ({"error": "no such order"}, "Sorry, that did not work. No such order."),
        ({"error": {"message": "No such order."}}, "Sorry, that did not work. No such order."),
        ({"success": False, "reason": "too late"}, "Sorry, that did not work. Too late."),
        ([], "I found nothing."),
        ([{"name": "A"}, {"name": "B"}], "I found 2. They are A and B."),
        (list("abcde"), "I found 5. The first are a, b and c."),
        ([{"city": "Rome"}], "Here is what I found. The city is Rome."),
        (42, "The answer is 42."),
        (None, "That is done."),
        (False, "That did not work."),
        ("It is sunny", "It is sunny."),
        ({"request_id": "x", "url": "http://x", "price_usd": 5}, "Here is what I found. The price is 5 dollars."),
    ],
)
def test_outputs_are_said(output, spoken):
    assert verbalise(json.dumps(output)) == spoken


def test_plain_text_and_errors_in_text():
    assert verbalise("Error: the server is down") == "Sorry, that did not work. The server is down."
    assert verbalise("") == "That is done."


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
        max_leaves=20,
    )
)
def test_any_json_is_said_in_a_few_words(value):
    spoken = verbalise(json.dumps(value))
    assert 0 < len(spoken) <= 340


@given(st.text())
def test_any_text_is_said(text):
    assert verbalise(text)


DAYS = ["Tuesday", "tomorrow", "2026-11-24", "2026-11-24T10:30", "in 3 days", "5 pm", "10:30"]
TEXTS = ["gold", "Maria Garcia", "light_rain", "A17", "Ring twice. Leave it at the door.", "no", ""]
SINGULAR = [
    *("status", "order_status", "tracking_number", "carrier", "eta", "name", "customer_name", "email", "loyalty_tier"),
    *(
        "city",
        "condition",
        "forecast",
        "chance_of_rain",
        "food",
        "meal",
        "agent",
        "queue_position",
        "department",
        "news",
    ),
    *("number_of_items", "address", "delivery_address", "bus", "rating", "orderId", "order-id", "weatherSummary"),
]
PLURAL = ["orders", "items", "open_orders", "calories", "total_calories", "points", "people", "allergens", "messages"]
AFTER_THE_NOUN = ["calories_left", "items_remaining", "days_until_delivery", "points_per_visit"]
VERBS = ["arrives", "departs", "expires", "opens", "closes", "starts", "ends", "delivers", "arrives_at", "expires_on"]
PARTICIPLES = [
    "delivered",
    "shipped_on",
    "expected",
    "due",
    "paid_at",
    "updated_at",
    "booked_on",
    "signed_by",
    "last_seen",
]
MEASURES = ["temp_c", "wind_kmh", "humidity_percent", "protein_g", "wait_minutes", "price_usd", "celsius", "days"]
TRUTHS = [
    "in_stock",
    "on_time",
    "is_open",
    "has_nuts",
    "can_return",
    "raining",
    "available",
    "order_paid",
    "refund",
]
ODD = [
    "from",
    "to",
    "where",
    "when",
    "member_since",
    "ready_by",
    "last_updated",
    "your_points",
    "available",
    "how_many",
]
NUMBERS = st.sampled_from([0, 1, 2, 30, 4.5, -3])
TEXT = st.sampled_from(DAYS + TEXTS)
SENTENCE = re.compile(
    r"(?:It (?:is|was|comes|goes|arrives|departs|expires|opens|closes|starts|ends|delivers|can|cannot|does)\b.*"
    r"|There (?:is 1|are (?:no|-?[02-9][\d.]*|-?1[\d.]+|-3)) [a-z].*"
    r"|The (?P<subject>[a-z ]+?) (?P<be>is|are) .*"
    r"|The [a-z ]+ list has \d entr(?:y|ies)|Your points are .*|As for the [a-z ]+: (?:yes|no)|[A-Z][a-z ]+: .*)\."
)
NEVER_A_SUBJECT = re.compile(
    r"\b(?:arrives|departs|expires|opens|closes|starts|ends|delivers|delivered|shipped|expected|due|paid|updated|booked"
    r"|signed|seen|from|to|where|when|since|by|available|at|on|stock)$"
)


def keyed(keys, values):
    return st.tuples(st.sampled_from(keys), values)


FACTS = st.one_of(
    keyed(SINGULAR + PLURAL + VERBS + PARTICIPLES + ODD, TEXT),
    keyed(SINGULAR + PLURAL + AFTER_THE_NOUN + MEASURES + ODD, NUMBERS),
    keyed(TRUTHS, st.booleans()),
    keyed(
        [*SINGULAR, *PLURAL, "history"], st.lists(st.sampled_from(["latte", {"name": "A"}, 3]), min_size=1, max_size=4)
    ),
)


@given(FACTS)
@example(("arrives", "Tuesday"))
@example(("calories_left", 350))
@example(("member_since", "2026-11-24"))
@settings(max_examples=400)
def test_every_fact_of_the_tutorial_domains_is_an_english_sentence(fact):
    key, value = fact
    spoken = verbalise(json.dumps({key: value}))
    if value == "":
        assert spoken == "That is done."
        return
    said = spoken.removeprefix("Here is what I found. ")
    found = SENTENCE.fullmatch(said)
    assert found, said
    assert "  " not in said
    assert not any(code in said for code in ("_", "True", "False", "None", "{", "["))
    subject, be = found["subject"], found["be"]
    if subject:
        assert not NEVER_A_SUBJECT.search(subject), said
    if key in SINGULAR and not isinstance(value, list):
        assert said.startswith("The "), said
        assert be == "is", said
    if key in PLURAL + AFTER_THE_NOUN and isinstance(value, int | float) and not isinstance(value, bool):
        assert said.startswith("There is 1 " if value == 1 else "There are "), said
    if key in PLURAL and isinstance(value, str):
        assert be == "are", said
    if key in [*VERBS, "delivered", "expected", "due"] and value in DAYS:
        assert said.startswith("It "), said
        assert not re.search(r"\b(?:on|at|by) (?:on|at|tomorrow|in)\b", said), said


@pytest.mark.parametrize(
    ("output", "spoken"),
    [
        ({"arrives": "Tuesday"}, "It arrives on Tuesday."),
        ({"arrives_at": "tomorrow"}, "It arrives tomorrow."),
        ({"arrives_in_days": 1}, "It arrives in 1 day."),
        ({"delivered_at": "2026-11-24"}, "It was delivered on November 24."),
        ({"opens": "9:00", "in_stock": False}, "It opens at 9:00. It is not in stock."),
        ({"orders": 1, "calories_left": 350}, "There is 1 order. There are 350 calories left."),
        ({"items": ["latte", "muffin"]}, "The items are latte and muffin."),
        ({"items": ["latte"]}, "The item is latte."),
        ({"items": list("abcde")}, "There are 5 items."),
        ({"has_nuts": False, "refund": True}, "It comes without nuts. As for the refund: yes."),
        ({"member_since": "gold times"}, "Member since: gold times."),
        ({"celsius": 1, "wait_minutes": 1}, "It is 1 degree Celsius. The wait is 1 minute."),
    ],
)
def test_keys_that_are_no_nouns_are_no_subjects(output, spoken):
    assert verbalise(json.dumps(output)).removeprefix("Here is what I found. ") == spoken
