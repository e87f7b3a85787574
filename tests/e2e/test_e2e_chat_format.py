"""Answers in the form that the request demands, with the official client, on the real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e import chat_templates
from tests.e2e.server import MODEL, JanServer, add_model, write_config

ASK = [{"role": "user", "content": "Tell me about a person in JSON"}]
SUM = [{"role": "user", "content": "3 + 3"}]
WORD = {"type": "string", "maxLength": 12}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    """A server whose models think, always or as they like."""
    root = tmp_path_factory.mktemp("format") / "root"
    write_config(root, jan_llamacpp={"slots": 2})
    add_model(root, MODEL, smollm2_path)
    add_model(root, "opened", smollm2_path, settings={"chat_template": chat_templates.OPENED_THOUGHTS})
    add_model(root, "chosen", smollm2_path, settings={"chat_template": chat_templates.CHOSEN_THOUGHTS})
    with JanServer(root) as found:
        yield found


@pytest.fixture
def ask(server: JanServer) -> Any:
    """Asks the official client; temperature and length are small unless given."""
    client = server.client()

    def go(messages: Any = ASK, model: str = MODEL, **options: Any) -> Any:
        options = {"temperature": 0, "max_tokens": 200, **options}
        return client.chat.completions.create(model=model, messages=messages, **options)

    return go


def follows(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"name": WORD, "age": {"type": "integer"}}, "required": ["name", "age"]},
    {"type": "object", "properties": {"name": WORD}, "required": ["name"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": WORD}, "required": ["b"]}}},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2},
    {"type": "array", "items": WORD, "minItems": 2, "maxItems": 3},
    {"type": "array", "prefixItems": [WORD, {"type": "boolean"}], "items": False},
    {"type": "array", "items": {"enum": ["red", "green", 3, None]}, "minItems": 1, "maxItems": 4},
    WORD,
    {"type": "string", "minLength": 3, "maxLength": 6},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {"type": "integer", "minimum": 18, "maximum": 99},
    {"type": "integer", "exclusiveMaximum": -7},
    {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "exclusiveMinimum": -3, "maximum": -1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["integer", "null"]},
    {"const": {"é": ["😀", 1.5, {}]}},
    {"enum": ['say "hi"', "back\\slash", "line\nbreak"]},
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, WORD]},
    {
        "$defs": {"person": {"type": "object", "properties": {"name": WORD}, "required": ["name"]}},
        "type": "array",
        "items": {"$ref": "#/$defs/person"},
        "minItems": 1,
        "maxItems": 2,
    },
    {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": kind}, "size": {"enum": [1, 2]}}, "required": ["kind"]}
            for kind in ("circle", "square")
        ]
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:50])
def test_every_answer_follows_its_schema(ask: Any, schema: Any) -> None:
    plain = ask(response_format=follows(schema)).choices[0]
    hot = ask(response_format=follows(schema), temperature=1.5, seed=3, logprobs=True).choices[0]
    for choice in (plain, hot):
        assert choice.finish_reason == "stop"
        jsonschema.validate(json.loads(choice.message.content), schema)
    chunks = list(ask(response_format=follows(schema), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == plain.message.content
    told = b"".join(bytes(token.bytes) for token in hot.logprobs.content)
    assert told.decode() == hot.message.content


LEAVES = st.sampled_from([schema for schema in SCHEMAS if isinstance(schema, dict) and "$defs" not in schema])
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda item: {"type": "array", "items": item, "maxItems": 2}),
        st.dictionaries(st.sampled_from(["a", "b b", 'q"', "é"]), inner, min_size=1, max_size=2).map(
            lambda named: {"type": "object", "properties": named, "required": sorted(named)[:1]}
        ),
    ),
    max_leaves=3,
)


@pytest.mark.faults
def test_so_does_the_answer_to_any_small_schema(ask: Any, full_counts: bool) -> None:
    reasons = []

    @settings(
        max_examples=200 if full_counts else 15,
        deadline=None,
        database=None,
        derandomize=not full_counts,
        suppress_health_check=list(HealthCheck),
    )
    @given(NESTED, st.integers(0, 1000))
    def try_one(schema: Any, seed: int) -> None:
        choice = ask(response_format=follows(schema), temperature=1.2, seed=seed, max_tokens=400).choices[0]
        reasons.append(choice.finish_reason)
        if choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), schema)

    try_one()
    assert reasons.count("stop") > len(reasons) * 0.8, reasons


def test_any_json_object(ask: Any) -> None:
    for form in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "strict": None}}):
        choice = ask([{"role": "user", "content": "What is the weather in Paris?"}], response_format=form).choices[0]
        assert choice.finish_reason == "stop"
        assert isinstance(json.loads(choice.message.content), dict)


def test_text_is_any_text(ask: Any) -> None:
    with_form = ask(response_format={"type": "text"}, max_tokens=8).choices[0].message.content
    assert with_form == ask(max_tokens=8).choices[0].message.content


def test_a_model_of_pydantic_is_parsed_by_the_client(server: JanServer) -> None:
    from pydantic import BaseModel, Field

    class Person(BaseModel):
        name: str = Field(max_length=12)
        age: int
        likes: list[str] | None = Field(default=None, max_length=2)

    messages: Any = ASK
    reply = server.client().chat.completions.parse(
        model=MODEL, messages=messages, response_format=Person, temperature=0, max_tokens=300
    )
    assert isinstance(reply.choices[0].message.parsed, Person)


@pytest.mark.parametrize(
    ("place", "schema"),
    [
        (".properties.a.pattern", {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}}),
        (".$ref", {"$ref": "https://example.com/schema"}),
        ("", {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
        (".maxItems", {"type": "array", "maxItems": 10**9}),
        (".items.multipleOf", {"type": "array", "items": {"type": "number", "multipleOf": 2}}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_enforced_is_refused_by_its_place(
    ask: Any, place: str, schema: Any, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(response_format=follows(schema), stream=stream)
    assert refused.value.param == f"response_format.json_schema.schema{place}"
    assert refused.value.param in refused.value.message


def test_how_likely_the_tokens_were(ask: Any) -> None:
    reply = ask(logprobs=True, top_logprobs=3, max_tokens=6).choices[0]
    tokens = reply.logprobs.content
    assert "".join(token.token for token in tokens) == reply.message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == token.logprob, "at temperature 0 the likeliest is taken"
        assert bytes(token.bytes).decode() == token.token
    chunks = list(ask(logprobs=True, top_logprobs=3, max_tokens=6, stream=True))
    streamed = [token for chunk in chunks for one in chunk.choices if one.logprobs for token in one.logprobs.content]
    assert [token.token for token in streamed] == [token.token for token in tokens]
    alone = ask(logprobs=True, max_tokens=2).choices[0].logprobs.content
    assert [token.top_logprobs for token in alone] == [[], []]
    assert ask(logprobs=False, max_tokens=2).choices[0].logprobs is None


def test_a_biased_token_is_forced_and_forbidden(ask: Any) -> None:
    (token,) = ask(logprobs=True, top_logprobs=2, max_tokens=1).choices[0].logprobs.content
    forced = ask(logit_bias={"28": 100}, max_tokens=3, logprobs=True).choices[0].logprobs.content
    assert {one.token for one in forced} == {","}
    assert token.token != ","


@pytest.mark.parametrize("model", ["opened", "chosen"])
def test_thoughts_are_kept_apart_from_the_answer(ask: Any, model: str) -> None:
    reply = ask(SUM, model, max_tokens=60).choices[0]
    assert reply.finish_reason == "stop"
    assert "Easy" in reply.message.reasoning_content
    assert reply.message.content
    assert "think>" not in reply.message.content + reply.message.reasoning_content
    chunks = [chunk.choices[0].delta for chunk in ask(SUM, model, max_tokens=60, stream=True)]
    thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in chunks)
    assert thoughts == reply.message.reasoning_content
    assert "".join(delta.content or "" for delta in chunks) == reply.message.content
    again = ask([*SUM, reply.message, *SUM], model, max_tokens=60)
    assert again.choices[0].message.content


@pytest.mark.parametrize("model", ["opened", "chosen"])
def test_json_follows_the_thoughts(ask: Any, model: str) -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    reply = ask(SUM, model, response_format=follows(schema), logprobs=True).choices[0]
    assert "Easy" in reply.message.reasoning_content
    jsonschema.validate(json.loads(reply.message.content), schema)
    assert "".join(token.token for token in reply.logprobs.content).strip() == reply.message.content


def test_thinking_is_turned_off_where_the_template_can(ask: Any) -> None:
    reply = ask(SUM, "chosen", reasoning_effort="none", max_tokens=60).choices[0]
    assert getattr(reply.message, "reasoning_content", None) is None
    assert ask(SUM, "chosen", reasoning_effort="high", max_tokens=60).choices[0].message.reasoning_content
    for model, effort in (("opened", "none"), (MODEL, "high")):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(SUM, model, reasoning_effort=effort)
        assert refused.value.param == "reasoning_effort"
