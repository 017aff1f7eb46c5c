from __future__ import annotations

import json

import pytest
from hypothesis import given
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
        ({"orders": 3}, "Here is what I found. The orders are 3."),
        ({"message": "Your table is booked"}, "Your table is booked."),
        ({"ok": True}, "That is done."),
        ({"status": "ok"}, "That is done."),
        ({"transferred": True}, "That is done."),
        ({"error": "no such order"}, "Sorry, that did not work. no such order."),
        ({"error": {"message": "No such order."}}, "Sorry, that did not work. No such order."),
        ({"success": False, "reason": "too late"}, "Sorry, that did not work. too late."),
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
    assert verbalise("Error: the server is down") == "Sorry, that did not work. the server is down."
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
