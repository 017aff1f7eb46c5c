"""Arguments for a tool, filled from what was said."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from realtime_nb.engines.base import ChatTool
from realtime_nb.engines.brain import schema as schemas
from realtime_nb.engines.brain.intents import Intent, Reader
from realtime_nb.engines.brain.slots import FINDERS, Item, Utterance

_MOST_CALLS = 4

_KIND_WORDS = {
    "order_number": "order_id order_number order_no ordernumber tracking_number tracking_id order reference",
    "city": "city location place town destination where region origin area",
    "email": "email mail e_mail email_address",
    "phone": "phone phone_number telephone mobile callback_number",
    "day": "date day when weekday",
    "meal": "meal meal_type mealtime",
    "customer": "customer customer_id customer_number account_id account account_number client_id user_id",
    "name": "name person full_name first_name last_name caller contact",
    "quantity": "quantity amount count qty servings portions number_of_items how_many",
    "items": "items products foods entries order_items line_items things",
    "food": "food item product dish ingredient food_item food_name item_name product_name meal_name entry",
    "text": "query question reason message note notes text summary description comment request topic search issue",
    "country": "country nation",
}
_KIND_OF_NAME = {name: kind for kind, names in _KIND_WORDS.items() for name in names.split()}


class Evidence(msgspec.Struct, frozen=True):
    """Something the user said that may fill parameters; `asked` is the parameter that it answers."""

    text: str
    asked: str | None = None


class Filled(msgspec.Struct, frozen=True):
    """What is known of a call: its values, and the first parameter that is missing."""

    values: dict[str, Any]
    missing: str | None


def kind_of(name: str, intent: Intent | None) -> str | None:
    """Return the kind of slot that a parameter called `name` is, None when its name does not tell."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    if intent is not None and plain in intent.tool_slots:
        return intent.tool_slots[plain]
    if plain in ("id", "number", "no", "reference", "identifier"):
        wanted = list(intent.slots.values()) if intent else []
        return wanted[0] if wanted and wanted[0] in ("order_number", "customer", "phone") else "order_number"
    if plain in _KIND_OF_NAME:
        return _KIND_OF_NAME[plain]
    words = plain.split("_")
    return next((_KIND_OF_NAME[word] for word in reversed(words) if word in _KIND_OF_NAME), None)


def fill(tool: ChatTool, intent: Intent | None, evidence: Sequence[Evidence], reader: Reader) -> Filled:
    """Fill the tool's parameters from what was said, newest first. Every value satisfies its schema."""
    known, required = schemas.properties_of(tool.parameters)
    values: dict[str, Any] = {}
    used: dict[str, int] = {}
    for name in sorted(known, key=lambda name: (name not in required, list(known).index(name))):
        part = schemas.branch(known.get(name, {}), tool.parameters)
        kind = kind_of(name, intent)
        for one in reversed(evidence):
            found = _find(name, kind, part, one, reader)
            skip = used.get(f"{kind}/{one.text}", 0) if kind in ("city", "order_number") or kind is None else 0
            fits = [
                made for value in found[skip:] if (made := _fit(value, part, tool.parameters, known[name])) is not None
            ]
            if fits:
                values[name] = fits[0]
                used[f"{kind}/{one.text}"] = skip + 1
                break
        if name not in values and name in required and "default" in part:
            values[name] = part["default"]
    missing = next((name for name in required if name not in values), None)
    return Filled(values, missing)


def _find(name: str, kind: str | None, part: Mapping[str, Any], evidence: Evidence, reader: Reader) -> list[Any]:
    utterance, asked = _utterance(evidence.text), evidence.asked == name
    words = tuple(utterance.words)
    choices = part.get("enum")
    if isinstance(choices, list):
        spoken = {str(choice).replace("_", " ").lower(): choice for choice in choices if isinstance(choice, str | int)}
        chosen = reader.nearest(words, tuple(spoken), 0.6 if asked else 0.8)
        return [spoken[chosen]] if chosen is not None else []
    wanted = schemas.main_type(part)
    if wanted == "boolean":
        yes, no = {"yes", "yeah", "sure", "true", "on", "please", "okay"}, {"no", "nope", "not", "false", "off"}
        return [False] if no & set(words) else [True] if yes & set(words) and (asked or "on" in words) else []
    if kind == "quantity":
        items = FINDERS["items"](utterance, False)
        return [items[0].quantity] if items else FINDERS["number"](utterance, asked)
    if wanted in ("number", "integer") and kind not in ("order_number", "customer", "phone"):
        return FINDERS["number"](utterance, asked)
    if wanted in ("array", "object") and kind in (None, "food"):
        kind = "items"
    if kind == "text":
        return [evidence.text]
    found = FINDERS[kind](utterance, asked) if kind else _after_name(name, utterance)
    if kind == "customer":
        found = [re.sub(r"^number ", "", value) for value in found]
    return found or ([evidence.text] if asked and wanted == "string" and kind is None else [])


@functools.lru_cache(maxsize=256)
def _utterance(text: str) -> Utterance:
    return Utterance(text)


def _after_name(name: str, utterance: Utterance) -> list[str]:
    """Take what follows the name: "with color red" gives red for a parameter called color."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()
    match = re.search(rf"\b{re.escape(words)}(?: is| to| of)? (\w+)", " ".join(utterance.words))
    return [match.group(1)] if match and match.group(1) not in ("is", "to", "of", "and", "for", "in") else []


def _fit(value: Any, part: Mapping[str, Any], root: Mapping[str, Any], whole: Any) -> Any:
    """Return `value` in the shape that the schema wants, None when it cannot have it."""
    made = _shape(value, part, root)
    return made if made is not None and schemas.is_valid(made, whole, root) else None


def _shape(value: Any, part: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    wanted = schemas.main_type(part)
    if wanted == "array":
        inner = _shape(value, schemas.branch(part.get("items", {}), root), root)
        return None if inner is None else [inner]
    if wanted == "object":
        return _object_of(value, part, root)
    if isinstance(value, Item):
        value = value.name if wanted == "string" else value.quantity
    if wanted in ("integer", "number"):
        digits = str(value).strip()
        return int(digits) if digits.isdecimal() and len(digits) < 16 else None
    return str(value) if wanted == "string" and not isinstance(value, bool) else value


def _object_of(value: Any, part: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any] | None:
    if not isinstance(value, Item):
        return None
    known, _ = schemas.properties_of(part)
    made: dict[str, Any] = {}
    for name in known:
        kind = kind_of(name, None)
        if kind == "quantity":
            made[name] = value.quantity
        elif kind in ("food", "name", "items", "order_number") or name in ("sku", "title"):
            made[name] = value.name
    return made


def calls(tool: ChatTool, intent: Intent | None, evidence: Sequence[Evidence], filled: Filled) -> list[str]:
    """Return the arguments, as JSON objects, of the calls to make: one, or one for each of several things named.

    Empty when the arguments cannot satisfy the tool's schema.
    """
    variants = [filled.values]
    known, _ = schemas.properties_of(tool.parameters)
    for name, value in filled.values.items():
        kind = kind_of(name, intent)
        if kind in ("city", "food", "items", "order_number") and evidence:
            part = schemas.branch(known.get(name, {}), tool.parameters)
            several = FINDERS["items" if kind == "food" else kind](_utterance(evidence[-1].text), False)
            variants = _spread(filled.values, name, value, several, part, tool, known)
            break
    return [
        json.dumps(values)
        for values in map(functools.partial(_valid, tool), variants[:_MOST_CALLS])
        if values is not None
    ]


def _spread(
    values: dict[str, Any],
    name: str,
    value: Any,
    several: list[Any],
    part: Mapping[str, Any],
    tool: ChatTool,
    known: Any,
) -> list[dict[str, Any]]:
    made = [_fit(one, part, tool.parameters, known.get(name, {})) for one in several]
    if len(made) < 2 or None in made:
        return [values]
    if isinstance(value, list):
        joined = [inner for one in made for inner in one]
        return [values | {name: joined}] if schemas.is_valid(joined, known.get(name, {}), tool.parameters) else [values]
    quantities = [key for key in values if kind_of(key, None) == "quantity"]
    amounts = [dict.fromkeys(quantities, one.quantity) if isinstance(one, Item) else {} for one in several]
    return [values | {name: one} | amount for one, amount in zip(made, amounts, strict=True)]


def _valid(tool: ChatTool, values: dict[str, Any]) -> dict[str, Any] | None:
    root = tool.parameters
    _, required = schemas.properties_of(root)
    for attempt in (values, {name: value for name, value in values.items() if name in required}):
        if schemas.is_valid(attempt, root):
            return attempt
    return None


def demanded(tool: ChatTool, intent: Intent | None, evidence: Sequence[Evidence], reader: Reader) -> list[str]:
    """Return arguments for a call that must be made: what was said, the rest invented from the schema."""
    filled = fill(tool, intent, evidence, reader)
    known, required = schemas.properties_of(tool.parameters)
    invented = {name: schemas.invent(known.get(name, {}), tool.parameters) for name in required}
    return calls(tool, intent, evidence, Filled(invented | filled.values, None))
