from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.engines.brain.schema import branch, invent, is_valid, main_type

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-50, 50) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minimum": st.integers(-5, 5),
        "maximum": st.integers(-5, 20),
        "multipleOf": st.sampled_from([1, 2, 5]),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(1, 5),
        "pattern": st.sampled_from(["^a", "\\d+", "."]),
        "minItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "description": st.text(max_size=5),
    },
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES,
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)


@given(VALUES, SCHEMAS)
def test_what_is_called_valid_is_valid(value, schema):
    if is_valid(value, schema):
        jsonschema.Draft202012Validator(schema).validate(value)


@given(VALUES, SIMPLE)
def test_simple_schemas_agree_with_jsonschema(value, schema):
    assert is_valid(value, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_references_and_optional_values():
    root = {"$defs": {"size": {"type": "string", "enum": ["s", "m"]}}, "properties": {"a": {"$ref": "#/$defs/size"}}}
    assert is_valid({"a": "m"}, root)
    assert not is_valid({"a": "x"}, root)
    assert branch({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/size"}]}, root)["enum"] == ["s", "m"]
    assert not is_valid("x", {"$ref": "#/nowhere"})
    assert not is_valid("x", {"$ref": "#"})


@pytest.mark.parametrize(
    "schema", [{"madeUpKeyword": 1}, {"if": {"type": "string"}}, {"pattern": "("}, {"type": 5}, None, 7]
)
def test_what_is_not_understood_is_not_vouched_for(schema):
    assert not is_valid("x", schema)


def test_values_are_invented_from_what_the_schema_says():
    schema = {
        "type": "object",
        "properties": {
            "unit": {"enum": ["c", "f"]},
            "count": {"type": "integer", "minimum": 3},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "note": {"type": "string"},
            "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
        },
        "required": ["unit", "count", "tags", "deep"],
    }
    made = invent(schema, schema)
    assert is_valid(made, schema)
    assert made["count"] == 3
    assert "note" not in made


@given(SCHEMAS)
def test_no_schema_breaks_the_readers(schema):
    main_type(schema)
    invent(schema, schema)
    assert isinstance(branch(schema, schema), dict)
