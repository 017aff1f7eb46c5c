"""Arguments for a function: which of its parameters mean what, and whether values satisfy its JSON schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_ANNOTATIONS_TEXT = """
title description default examples $schema $id $comment $defs definitions deprecated readOnly writeOnly format
contentEncoding contentMediaType strict nullable
"""
_ANNOTATIONS = frozenset(_ANNOTATIONS_TEXT.split())
_MAX_DEPTH = 6

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}


def same(first: Any, second: Any) -> bool:
    """Return whether two JSON values are equal; true is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return bool(first == second)


_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, allowed: isinstance(allowed, list) and any(same(value, one) for one in allowed),
    "const": same,
    "minimum": lambda value, bound: not _TYPES["number"](value) or value >= bound,
    "maximum": lambda value, bound: not _TYPES["number"](value) or value <= bound,
    "exclusiveMinimum": lambda value, bound: not _TYPES["number"](value) or value > bound,
    "exclusiveMaximum": lambda value, bound: not _TYPES["number"](value) or value < bound,
    "multipleOf": lambda value, step: not _TYPES["number"](value) or math.isclose(value / step, round(value / step)),
    "minLength": lambda value, bound: not isinstance(value, str) or len(value) >= bound,
    "maxLength": lambda value, bound: not isinstance(value, str) or len(value) <= bound,
    "pattern": lambda value, pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
    "minItems": lambda value, bound: not isinstance(value, list) or len(value) >= bound,
    "maxItems": lambda value, bound: not isinstance(value, list) or len(value) <= bound,
    "minProperties": lambda value, bound: not isinstance(value, dict) or len(value) >= bound,
    "maxProperties": lambda value, bound: not isinstance(value, dict) or len(value) <= bound,
    "required": lambda value, names: not isinstance(value, dict) or all(name in value for name in names),
    "uniqueItems": lambda value, wanted: (
        not wanted or not isinstance(value, list) or not any(same(a, b) for i, a in enumerate(value) for b in value[:i])
    ),
}


def is_valid(value: Any, schema: Any, root: Schema | None = None, depth: int = 0) -> bool:
    """Return whether `value` satisfies `schema`. A keyword that is not understood counts as not satisfied."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping) or depth > 4 * _MAX_DEPTH:
        return False
    root = schema if root is None else root
    try:
        return all(_satisfies(value, key, part, schema, root, depth) for key, part in schema.items())
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, re.error):
        return False


def _satisfies(value: Any, keyword: str, part: Any, schema: Schema, root: Schema, depth: int) -> bool:
    def holds(one: Any, inner: Any = value) -> bool:
        return is_valid(inner, one, root, depth + 1)

    if keyword in _CHECKS:
        return _CHECKS[keyword](value, part)
    if keyword in _APPLIES:
        return _APPLIES[keyword](part, holds)
    if keyword == "type":
        return any(name in _TYPES and _TYPES[name](value) for name in ([part] if isinstance(part, str) else part))
    if keyword == "$ref":
        return holds(resolve(schema, root))
    if keyword == "items":
        return not isinstance(value, list) or all(holds(part, one) for one in value)
    if keyword in ("properties", "additionalProperties"):
        return not isinstance(value, dict) or _properties_hold(value, keyword, part, schema, holds)
    return keyword in _ANNOTATIONS or keyword.startswith("x-")


_APPLIES: dict[str, Callable[[Any, Callable[[Any], bool]], bool]] = {
    "allOf": lambda parts, holds: all(map(holds, parts)),
    "anyOf": lambda parts, holds: any(map(holds, parts)),
    "oneOf": lambda parts, holds: sum(map(holds, parts)) == 1 and all(_understood(one) or holds(one) for one in parts),
    "not": lambda part, holds: _understood(part) and not holds(part),
}


def _properties_hold(
    value: dict[str, Any], keyword: str, part: Any, schema: Schema, holds: Callable[[Any, Any], bool]
) -> bool:
    if keyword == "properties":
        return all(holds(one, value[name]) for name, one in part.items() if name in value)
    known = schema.get("properties") or {}
    return all(holds(part, one) for name, one in value.items() if name not in known)


def _understood(schema: Any) -> bool:
    simple = {"type", "enum", "const", *_CHECKS} | _ANNOTATIONS
    return isinstance(schema, bool) or (isinstance(schema, Mapping) and set(schema) <= simple)


def resolve(schema: Any, root: Schema) -> Any:
    """Follow a local `$ref`; False (which nothing satisfies) when it leads nowhere."""
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if reference is None:
            return schema
        if not isinstance(reference, str) or not reference.startswith("#"):
            return False
        schema = root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            schema = schema.get(key, False) if isinstance(schema, Mapping) else False
    return False


def main_type(schema: Any) -> str:
    """Return the first type other than null that `schema` allows, "string" when it does not say."""
    if not isinstance(schema, Mapping):
        return "string"
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    named = next((kind for kind in kinds if isinstance(kind, str) and kind != "null"), None)
    return named or ("object" if "properties" in schema else "array" if "items" in schema else "string")


def branch(schema: Any, root: Schema) -> Any:
    """Return the part of `schema` to fill in: references followed, the first alternative that is not null taken."""
    for _ in range(_MAX_DEPTH):
        schema = resolve(schema, root)
        if not isinstance(schema, Mapping):
            return {}
        choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if not isinstance(choices, list) or "type" in schema:
            return schema
        real = [one for one in choices if isinstance(one, Mapping) and one.get("type") != "null"]
        if not real:
            return schema
        schema = real[0]
    return {}


def invent(schema: Any, root: Schema, depth: int = 0) -> Any:
    """Return a plain value for `schema`, used only when a call is demanded and nothing was said. May be invalid."""
    schema = branch(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    kind = main_type(schema)
    if kind in ("number", "integer"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return low + 1 if "exclusiveMinimum" in schema and isinstance(low, int | float) else low
    if kind in ("array", "object") and depth >= _MAX_DEPTH:
        return [] if kind == "array" else {}
    if kind == "array":
        count = schema.get("minItems", 0)
        count = min(count, 5) if isinstance(count, int) else 0
        return [invent(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    if kind == "object":
        known, wanted = properties_of(schema)
        return {name: invent(known.get(name, {}), root, depth + 1) for name in wanted}
    return {"boolean": False, "null": None}.get(kind, "unknown")


def properties_of(schema: Schema) -> tuple[Mapping[str, Any], list[str]]:
    """Return an object schema's properties and the names of those that are required; empty where it is malformed."""
    known, wanted = schema.get("properties"), schema.get("required")
    names = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else []
    return (known if isinstance(known, Mapping) else {}), names
