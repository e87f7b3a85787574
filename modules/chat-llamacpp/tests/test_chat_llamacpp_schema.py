from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jan_chat_llamacpp.grammar import Grammar, TooLarge
from jan_chat_llamacpp.grammar_check import check_rules
from jan_chat_llamacpp.schema import DEEPEST, MOST_SCHEMAS, SchemaRules
from jan_chat_llamacpp.schema_words import UnsupportedSchema

AT = "response_format.json_schema.schema"
NAME = {"type": "string", "maxLength": 5}


def made(schema: Any, *, strict: bool = True) -> tuple[Grammar, str]:
    grammar = Grammar()
    root = SchemaRules(grammar, schema, AT, strict=strict).add()
    check_rules(grammar, root)
    return grammar, root


LEAVES = st.sampled_from(
    [
        {"type": "boolean"},
        {"type": "null"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "integer", "minimum": -3, "maximum": 120},
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMaximum": 2},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 1, "maxLength": 2},
        {"type": "string", "format": "date"},
        {"enum": ["a", "b", 1, None]},
        {"enum": ["a", 1, True], "type": "string"},
        {"const": {"k": [1, 2.5, "é"]}},
        {"type": ["integer", "null"]},
        {"$ref": "#/$defs/name"},
    ]
)


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "a b", 'q"', "é"])
    return st.dictionaries(names, inner, max_size=3).flatmap(
        lambda properties: st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.just(properties),
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
                "additionalProperties": st.sampled_from([False, {"type": "boolean"}]),
            }
        )
    )


def _array(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    limits = st.sampled_from([{"maxItems": 2}, {"minItems": 1, "maxItems": 3}, {"minItems": 2, "maxItems": 2}])
    plain = st.tuples(inner, limits).map(lambda given: {"type": "array", "items": given[0], **given[1]})
    first = st.lists(inner, min_size=1, max_size=2).map(
        lambda items: {"type": "array", "prefixItems": items, "items": False}
    )
    return plain | first


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: _object(inner) | _array(inner) | st.lists(inner, min_size=1, max_size=3).map(lambda x: {"anyOf": x}),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=SCHEMAS, data=st.data())
def test_what_the_rules_let_through_follows_the_schema(pattern_of: Any, schema: Any, data: st.DataObject) -> None:
    schema = {**schema, "$defs": {"name": NAME}} if "$ref" not in schema else {"$defs": {"name": NAME}, **schema}
    grammar, root = made(schema)
    text = data.draw(st.from_regex(pattern_of(grammar, root), fullmatch=True))
    jsonschema.validate(json.loads(text), schema)


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
    },
    "required": ["name"],
}
LIST = {
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
    },
    "$ref": "#/$defs/node",
}
SHAPES = {
    "oneOf": [
        {"type": "object", "properties": {"kind": {"const": kind}, "size": {"type": "integer"}}, "required": ["kind"]}
        for kind in ("circle", "square")
    ],
    "discriminator": {"propertyName": "kind"},
}


@pytest.mark.parametrize(
    ("schema", "yes", "no"),
    [
        ({}, ["1", '{"a": [true]}'], ["x"]),
        (True, ["null"], [""]),
        ({"description": "anything", "default": 1}, ['"x"'], []),
        (PERSON, ['{"name": "a"}', '{"name": "a", "age": 3}', '{"name": "a", "tags": ["x", "y"]}'],
         ["{}", '{"age": 3}', '{"age": 3, "name": "a"}', '{"name": "a", "age": -1}', '{"name": "a", "more": 1}']),
        ({"properties": {"a": {"type": "null"}}}, ["{}", '{"a": null}'], ['{"a": 1}', "1"]),
        ({"required": ["z"]}, ['{"z": 1}'], ["{}"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
         ["{}", '{"a": 1, "b": 2}'], ['{"a": "x"}', '{"a": 1, "b": 2, "c": 3}']),
        ({"type": "object", "minProperties": 1, "additionalProperties": True}, ['{"a": 1}'], ["{}"]),
        ({"type": "object", "additionalProperties": False}, ["{}"], ['{"a": 1}']),
        ({"type": "object", "maxProperties": 0}, ["{}"], ['{"a": 1}']),
        ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1]", "[1, 2]"], ["[1,2]", '["a"]', "[1, ]"]),
        ({"type": "array", "minItems": 1}, ['["x"]'], ["[]"]),
        ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "minItems": 2},
         ["[null, true]", "[null, true, false]"], ["[null]", "[true]"]),
        ({"type": "array", "prefixItems": [{"type": "null"}, True], "maxItems": 1}, ["[null]"], ["[null, 1]"]),
        (LIST, ["{}", '{"next": null}', '{"next": {"next": {}}}'], ['{"next": 1}']),
        (SHAPES, ['{"kind": "circle"}', '{"kind": "square", "size": 3}'], ['{"kind": "line"}', "{}"]),
        ({"allOf": [{"type": "null"}], "description": "x"}, ["null"], ["1"]),
        ({"type": "number", "minimum": 1.0}, ["1", "2.5"], ["0.5"]),
        ({"minimum": 1}, ["1"], ["0"]),
        ({"type": "integer", "minimum": 2, "exclusiveMinimum": 2, "maximum": 9, "exclusiveMaximum": 5}, ["3", "4"],
         ["2", "5"]),
        ({"type": "string", "minLength": 2}, ['"ab"', '"é😀x"'], ['"a"']),
        ({"type": ["number", "integer"]}, ["1", "1.5"], ['"1"']),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, ["1"], ["2"]),
        ({"$defs": {"a": [{"const": 1}]}, "$ref": "#/$defs/a/0"}, ["1"], ["2"]),
    ],
)  # fmt: skip
def test_what_comes_and_what_does_not(pattern_of: Any, schema: Any, yes: list[str], no: list[str]) -> None:
    pattern = re.compile(pattern_of(*made(schema)))
    assert [text for text in yes if not pattern.fullmatch(text)] == []
    assert [text for text in no if pattern.fullmatch(text)] == []


DEEP: dict[str, Any] = {"type": "null"}
for _ in range(DEEPEST + 2):
    DEEP = {"type": "array", "items": DEEP}
ALIKE: dict[str, Any] = {
    "$defs": {
        **{
            f"l{level}": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": f"#/$defs/l{level + 1}"}, "maxItems": most} for most in (2, 3)
                ]
            }
            for level in range(12)
        },
        "l12": {"type": "null"},
    },
    "$ref": "#/$defs/l0",
}
REFUSED: list[tuple[str, Any]] = [
    (".pattern", {"type": "string", "pattern": "^a+$"}),
    (".properties.a.pattern", {"type": "object", "properties": {"a": {"type": "string", "pattern": "a"}}}),
    ('.properties["a b"].not', {"type": "object", "properties": {"a b": {"not": {}}}}),
    (".items.multipleOf", {"type": "array", "items": {"type": "integer", "multipleOf": 3}}),
    (".patternProperties", {"type": "object", "patternProperties": {"^a": {}}}),
    (".if", {"if": {"type": "null"}, "then": {}}),
    (".dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
    (".uniqueItems", {"type": "array", "uniqueItems": True}),
    (".contains", {"type": "array", "contains": {}}),
    (".format", {"type": "string", "format": "hostname"}),
    (".format", {"type": "string", "format": "date", "minLength": 3}),
    (".nullable", {"type": "string", "nullable": True}),
    (".$ref", {"$ref": "https://example.com/schema.json"}),
    (".$ref", {"$ref": "#/$defs/nothing"}),
    (".$ref", {"$ref": ["#"]}),
    ("", {"$ref": "#"}),
    ("", {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
    (".anyOf", {"anyOf": []}),
    (".anyOf", {"anyOf": {"type": "null"}}),
    (".anyOf[1]", {"anyOf": [{"type": "null"}, 5]}),
    (".oneOf", {"oneOf": [{"type": "string"}, {"const": "a"}]}),
    (".allOf", {"allOf": [{"type": "string"}, {"maxLength": 3}]}),
    (".minLength", {"anyOf": [{"type": "string"}], "minLength": 3}),
    (".enum", {"enum": []}),
    (".enum", {"enum": ["a"], "type": "integer"}),
    (".type", {"type": "text"}),
    (".type", {"type": []}),
    ("", {"minLength": 1, "minItems": 1}),
    (".minLength", {"type": "integer", "minLength": 1}),
    (".minLength", {"type": "string", "minLength": 5, "maxLength": 3}),
    (".minLength", {"type": "string", "minLength": -1}),
    (".maxLength", {"type": "string", "maxLength": 10**6}),
    (".maxItems", {"type": "array", "maxItems": 10**9}),
    (".minItems", {"type": "array", "minItems": 10**9}),
    (".minimum", {"type": "number", "minimum": 0.5}),
    (".minimum", {"type": "number", "minimum": 10**16}),
    (".minimum", {"type": "integer", "minimum": "1"}),
    ("", {"type": "integer", "minimum": 2, "maximum": 1}),
    (".properties", {"type": "object", "properties": []}),
    (".properties.a", {"type": "object", "properties": {"a": False}}),
    (".required", {"type": "object", "required": "a"}),
    (".required[1]", {"properties": {"b": {}}, "required": ["b", "a"], "additionalProperties": False}),
    (".minProperties", {"type": "object", "minProperties": 2}),
    (".minProperties", {"type": "object", "properties": {"a": {}}, "minProperties": 1}),
    (".maxProperties", {"type": "object", "properties": {"a": {}, "b": {}}, "maxProperties": 1}),
    (".prefixItems", {"type": "array", "prefixItems": {}}),
    (".$defs.l0", ALIKE),
]


@pytest.mark.parametrize(("place", "schema"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_cannot_be_enforced_is_refused_by_its_place(place: str, schema: Any) -> None:
    with pytest.raises((UnsupportedSchema, TooLarge)) as refused:
        made(schema)
    assert refused.value.param == AT + place
    assert refused.value.message.startswith(AT + place)
    assert refused.value.code == "invalid_json_schema"


def test_depth_and_size_have_an_end() -> None:
    with pytest.raises(TooLarge, match="levels deep"):
        made(DEEP)
    with pytest.raises(TooLarge) as refused:
        made({"anyOf": [{"type": "null"}] * (MOST_SCHEMAS + 1)})
    assert (refused.value.code, refused.value.param) == ("invalid_json_schema", f"{AT}.anyOf[{MOST_SCHEMAS - 1}]")


def test_of_several_schemas_the_largest_is_told_to_be_too_large() -> None:
    grammar = Grammar()
    for number, words in enumerate((3, 90_000, 3)):
        schema = {"enum": [str(word) for word in range(words)]}
        SchemaRules(grammar, schema, f"tools[{number}].function", strict=True).add()
    with pytest.raises(TooLarge) as refused:
        grammar.text()
    assert (refused.value.code, refused.value.param) == ("invalid_json_schema", "tools[1].function")
    assert refused.value.message.startswith("tools[1].function: ")


def test_a_property_that_is_required_and_must_not_come_is_told_to_be_a_contradiction() -> None:
    with pytest.raises(UnsupportedSchema, match='"a" is required, but `properties` lacks it'):
        made({"type": "object", "properties": {}, "required": ["a"], "additionalProperties": False})


def test_a_count_may_be_written_as_a_decimal(pattern_of: Any) -> None:
    schema = {"type": "array", "items": {"type": "null"}, "minItems": 1.0, "maxItems": 2.0}
    pattern = re.compile(pattern_of(*made(schema)))
    assert [text for text in ("[]", "[null]", "[null, null]", "[null, null, null]") if pattern.fullmatch(text)] == [
        "[null]",
        "[null, null]",
    ]
    with pytest.raises(UnsupportedSchema, match="whole number"):
        made({"type": "array", "minItems": 1.5})


@pytest.mark.parametrize(
    ("schema", "yes", "no"),
    [
        ({"type": "string", "pattern": "^a$"}, ['"b"'], ["1"]),
        ({"type": "string", "format": "hostname"}, ['"b"'], ["1"]),
        ({"type": "number", "minimum": 0.5}, ["0.1"], ['"a"']),
        ({"type": "array", "uniqueItems": True, "items": {"type": "null"}}, ["[null, null]"], ["[1]"]),
        ({"type": "array", "items": {"type": "null"}, "maxItems": 10**9}, ["[null, null]"], ["[1]"]),
        ({"$ref": "https://example.com/a"}, ['"anything"'], ["x"]),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "anyOf": [{"required": ["a"]}]}, ["{}"], ["1"]),
        ({"oneOf": [{"type": "string"}, {"const": "a"}]}, ['"a"'], ["1"]),
        ({"minLength": 1, "minItems": 1}, ['"a"', "[1]"], ["1"]),
    ],
)  # fmt: skip
def test_what_is_not_strict_is_left_to_the_model(pattern_of: Any, schema: Any, yes: list[str], no: list[str]) -> None:
    pattern = re.compile(pattern_of(*made(schema, strict=False)))
    assert [text for text in yes if not pattern.fullmatch(text)] == []
    assert [text for text in no if pattern.fullmatch(text)] == []


def test_a_wrong_schema_is_refused_also_where_it_is_not_strict() -> None:
    for schema in ({"type": "text"}, {"enum": []}, {"type": "integer", "minimum": "x"}, DEEP, ALIKE):
        with pytest.raises((UnsupportedSchema, TooLarge)):
            made(schema, strict=False)


def test_many_optional_properties_within_each_other_are_not_too_wide() -> None:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(4):
        inner = {
            "type": "object",
            "properties": {f"p{number}": inner if number == 3 else {"type": "null"} for number in range(40)},
        }
    made(inner)
