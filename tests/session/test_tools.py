"""From a signature to a schema, and from arguments back to a call."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from realtime_nb.errors import ConfigurationError
from realtime_nb.session.tools import Tool, ToolArgumentsRefused, Toolbox


@dataclasses.dataclass
class Food:
    name: str
    grams: float


def log_food(food: Food, meal: Literal["breakfast", "lunch"], note: str = "") -> None:
    """Log what was eaten.

    Args:
        food: what, and how much.
        meal: when.
    """


def test_a_signature_becomes_a_schema() -> None:
    definition = Tool(log_food).definition
    assert definition["name"] == "log_food"
    assert definition["description"] == "Log what was eaten."
    parameters = definition["parameters"]
    assert parameters["required"] == ["food", "meal"]
    assert parameters["properties"]["meal"] == {
        "enum": ["breakfast", "lunch"],
        "type": "string",
        "description": "when.",
    }
    assert parameters["additionalProperties"] is False


def test_arguments_arrive_as_the_annotated_types() -> None:
    bound = Tool(log_food).bind('{"food": {"name": "egg", "grams": 55}, "meal": "lunch"}')
    assert bound == {"food": Food("egg", 55.0), "meal": "lunch"}


@pytest.mark.parametrize("arguments", ["not json", "[]", '{"meal":"lunch"}', '{"food":{},"meal":"x"}', '{"zebra":1}'])
def test_arguments_that_do_not_fit_are_refused_with_the_place(arguments: str) -> None:
    with pytest.raises(ToolArgumentsRefused, match=r"\w+: "):
        Tool(log_food).bind(arguments)


def test_no_parameters_and_no_arguments() -> None:
    tool = Tool(lambda: 1, name="now")
    assert tool.definition["parameters"]["properties"] == {}
    assert tool.bind("") == {}


def test_field_descriptions_are_kept() -> None:
    def find(order: Annotated[str, Field(description="the number", pattern=r"^\d+$")]) -> None: ...

    tool = Tool(find)
    assert tool.definition["parameters"]["properties"]["order"]["description"] == "the number"
    with pytest.raises(ToolArgumentsRefused):
        tool.bind('{"order":"abc"}')


def several(*orders: str) -> None: ...


class Opaque:
    pass


def unknowable(thing: Opaque) -> None: ...


@pytest.mark.parametrize("function", [several, unknowable, lambda x: x])
def test_what_cannot_be_offered_says_why(function: Any) -> None:
    with pytest.raises(ConfigurationError):
        Tool(function)


def test_a_rerun_cell_replaces_its_tool() -> None:
    box = Toolbox()
    box.add(log_food)
    box.add(log_food, description="newer")
    assert [tool["description"] for tool in box.definitions] == ["newer"]
