"""What replies are filled with: the clock, the conversation so far, and small made-up data that calls itself a demo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from realtime_nb.engines.brain.numbers import find_numbers, say_number
from realtime_nb.engines.brain.slots import FINDERS, Item, Utterance, gazetteer, say_items

_ORDER_STATES = ("is on its way", "was delivered yesterday", "is being packed", "arrives tomorrow")
_WEATHER = ("sunny", "cloudy", "light rain", "windy", "clear skies", "showers", "foggy")
_NEAR_DAYS = {"tomorrow": 1, "yesterday": -1}
_MOST_COUNTED = 100


class Scene(msgspec.Struct, kw_only=True):
    """What a reply may speak of.

    Attributes:
        said: the user's words.
        values: slots, by name.
        last_reply: what was last said to the user.
        person: the user's name, when it is known.
        assistant: the name that the session gave the assistant, when it did.
        eaten: foods logged so far.
        ordered: things ordered so far.
        seed: makes the made-up data repeatable.
        now: local time.
    """

    said: str
    values: dict[str, Any]
    last_reply: str
    person: str | None
    assistant: str | None
    eaten: tuple[Item, ...]
    ordered: tuple[Item, ...]
    seed: int
    now: datetime


class Fields(Mapping[str, str]):
    """The fields of reply templates, each computed when a template names it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __getitem__(self, name: str) -> str:
        if name in _COMPUTED:
            return _COMPUTED[name](self._scene)
        return str(self._scene.values.get(name, ""))

    def __iter__(self) -> Any:
        return iter({**_COMPUTED, **self._scene.values})

    def __len__(self) -> int:
        return len({**_COMPUTED, **self._scene.values})


def draw(seed: int, *about: str) -> int:
    """Return a number that depends on `seed` and `about` only; any remainder of it is as good as random."""
    return int.from_bytes(hashlib.blake2b("/".join((str(seed), *about)).encode(), digest_size=4).digest())


def _pick(scene: Scene, choices: tuple[str, ...], *about: str) -> str:
    return choices[draw(scene.seed, *about) % len(choices)]


def _items(scene: Scene) -> tuple[Item, ...]:
    items = scene.values.get("items", ())
    return tuple(items) if isinstance(items, list | tuple) else ()


def _calories(items: tuple[Item, ...]) -> int:
    foods = gazetteer()["foods"]
    return sum(item.quantity * int(foods.get(item.name, 0)) for item in items)


def _calories_said(scene: Scene) -> str:
    items = _items(scene)
    unknown = tuple(item.name for item in items if item.name not in gazetteer()["foods"])
    if len(unknown) == len(items):
        return f"The small demo table has no calories for {unknown[0] if unknown else 'that'}."
    return f"About {_calories(items)} calories, by the demo table{', some of it not counted' if unknown else ''}."


def _start_sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _self(scene: Scene) -> str:
    named = f"{scene.assistant}, " if scene.assistant else ""
    return f"{named}a small offline dialogue matcher"


def _known_name(scene: Scene) -> str:
    return f"You are {scene.person}." if scene.person else "You have not told me. Say: my name is, and your name."


def _spelled_name(scene: Scene) -> str:
    return ", ".join((scene.assistant or "matcher").upper())


def _weather(scene: Scene) -> str:
    return _pick(scene, _WEATHER, "weather", scene.values.get("city", ""), scene.values.get("day", ""))


def _degrees(scene: Scene) -> str:
    return str(8 + draw(scene.seed, str(scene.values.get("city")), str(scene.values.get("day"))) % 18)


def _day_part(scene: Scene) -> str:
    day = scene.values.get("day")
    return "" if not day else f" on {day}" if str(day)[0].isupper() or str(day)[0].isdigit() else f" {day}"


def _food_total(scene: Scene) -> str:
    if not scene.eaten:
        return "Your food log is empty. Say, for example, I ate a banana."
    return f"About {_calories(scene.eaten)} calories so far. You had {say_items(scene.eaten)}."


def _food_calories(scene: Scene) -> str:
    food = str(scene.values.get("food", ""))
    calories = gazetteer()["foods"].get(food)
    if calories is None:
        return f"I do not know that food. My small demo table has no {food}."
    return f"About {calories} calories for {food}. That is from a small demo table."


def _removed(scene: Scene) -> str:
    items = scene.values.get("removed", ())
    return f"I took off {say_items(items)}, in this demo." if items else "There is nothing like that to remove."


def _time(scene: Scene) -> str:
    clock = f"{scene.now:%I:%M %p}".lstrip("0")
    elsewhere = FINDERS["city"](Utterance(scene.said), False)
    return f"{clock}. That is the time here, I do not know it in {elsewhere[0]}" if elsewhere else clock


def _date(scene: Scene) -> str:
    words = Utterance(scene.said).words
    ahead = next((days for name, days in _NEAR_DAYS.items() if name in words), 0)
    day = scene.now + timedelta(days=ahead)
    verb = {0: "Today is", 1: "Tomorrow is", -1: "Yesterday was"}[ahead]
    return f"{verb} {day:%A, %B} {day.day}"


def _order_history(scene: Scene) -> str:
    if not scene.ordered:
        return "You have not ordered anything yet. Say, for example, order two pizzas."
    return f"You ordered {say_items(scene.ordered)}. It is only a demo, though."


def _capital(scene: Scene) -> str:
    country = str(scene.values.get("country", ""))
    city = gazetteer()["capitals"].get(country.lower())
    return f"It is {city}." if city else f"I do not know the capital of {country}. I only know a few."


def _counting(scene: Scene) -> str:
    numbers = find_numbers(Utterance(scene.said).words)
    last = min(_MOST_COUNTED, max(1, numbers[-1].value)) if numbers else 20
    words = [say_number(number) for number in range(1, last + 1)]
    groups = [", ".join(words[start : start + 5]) for start in range(0, last, 5)]
    return " ".join(f"{_start_sentence(group)}." for group in groups)


def _sum_result(scene: Scene) -> str:
    words = Utterance(scene.said).words
    numbers = [number.value for number in find_numbers(words)]
    operation = next((word for word in words if word in _OPERATIONS), None)
    if len(numbers) >= 2 and operation == "divided" and not numbers[1]:
        return "Nobody can divide by zero."
    if len(numbers) < 2 or operation is None:
        return "Say it like this: what is two plus three."
    return f"That is {_OPERATIONS[operation](numbers[0], numbers[1]):g}."


_OPERATIONS: dict[str, Callable[[int, int], float]] = {
    "plus": lambda a, b: a + b,
    "and": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
    "divided": lambda a, b: a / b,
}

_COMPUTED: dict[str, Callable[[Scene], str]] = {
    "self": _self,
    "said": lambda scene: scene.said.rstrip("."),
    "last_reply": lambda scene: scene.last_reply or "nothing yet.",
    "name_part": lambda scene: f", {scene.person}" if scene.person else "",
    "known_name": _known_name,
    "name_spelled": _spelled_name,
    "time": _time,
    "date_said": _date,
    "coin": lambda scene: _pick(scene, ("heads", "tails"), str(scene.now.timestamp())),
    "dice": lambda scene: _pick(scene, ("one", "two", "three", "four", "five", "six"), str(scene.now.timestamp())),
    "order_state": lambda scene: _pick(scene, _ORDER_STATES, "order", str(scene.values.get("order_number"))),
    "new_order_number": lambda scene: str(400 + draw(scene.seed, scene.said) % 500),
    "items_spoken": lambda scene: say_items(_items(scene)),
    "items_spoken_start": lambda scene: _start_sentence(say_items(_items(scene))),
    "calories_said": _calories_said,
    "removed": _removed,
    "food_calories": _food_calories,
    "food_total": _food_total,
    "order_history": _order_history,
    "weather": lambda scene: _start_sentence(_weather(scene)),
    "weather_low": _weather,
    "degrees": _degrees,
    "day_part": _day_part,
    "capital_answer": _capital,
    "counting": _counting,
    "sum_result": _sum_result,
}
