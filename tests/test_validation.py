from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jan_core.errors import InvalidRequest
from jan_core.schemas.chat import ChatCompletionRequest, ChatCompletionsQuery
from jan_core.validation import checked, parse, parse_query, path_at, refuse_unknown

USER = {"role": "user", "content": "Hello"}
OK: dict[str, Any] = {"model": "m", "messages": [USER]}


def refused(raw: bytes | dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(ChatCompletionRequest, raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return caught.value


def message(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER, {"role": "user", **fields}]}


def test_a_good_body_becomes_the_object() -> None:
    request = parse(ChatCompletionRequest, json.dumps({**OK, "temperature": 1, "stop": "x"}).encode())
    assert type(request) is ChatCompletionRequest
    assert (request.model, request.temperature, request.stop) == ("m", 1.0, "x")
    assert request.messages[0].content == "Hello"


@pytest.mark.parametrize(
    ("body", "param", "code", "text"),
    [
        ({}, "model", "missing_field", "model: required, but not there."),
        ({"modle": "m", "messages": [USER]}, "modle", "unknown_field", "did you mean `model`?"),
        ({**OK, "zzz": 1}, "zzz", "unknown_field", "zzz: unknown field."),
        ({**OK, "a b": 1}, '["a b"]', "unknown_field", '["a b"]: unknown field.'),
        ({**OK, "messages": []}, "messages", "invalid_value", "expected an array of at least 1, found an empty array"),
        ({**OK, "messages": {}}, "messages", "invalid_type", "expected an array, found an empty object"),
        ({**OK, "messages": [5]}, "messages[0]", "invalid_type", "expected an object, found 5"),
        ({**OK, "messages": [{}]}, "messages[0].role", "missing_field", "required"),
        ({**OK, "messages": [{"role": "x"}]}, "messages[0].role", "invalid_value", "'tool', 'function', found"),
        ({**OK, "messages": [{"role": [1]}]}, "messages[0].role", "invalid_value", "found an array of 1"),
        ({**OK, "messages": [{"role": "assistant"}]}, "messages[0].content", "invalid_type", "expected a string or"),
        (message(), "messages[1].content", "missing_field", "required"),
        (message(content=5), "messages[1].content", "invalid_type", "expected a string or an array, found 5."),
        # A field that is spelt as the union's tag must not lead astray.
        (message(content=1, user=1), "messages[1].content", "invalid_type", "expected a string or an array, found 1."),
        (message(content="a", user=1), "messages[1].user", "unknown_field", "unknown field"),
        (message(content=[{"type": "text"}]), "messages[1].content[0].text", "missing_field", "required"),
        (message(content=[{"type": "text", "text": 5}]), "messages[1].content[0].text", "invalid_type", "a string"),
        (
            message(content=[{"type": "image_url", "image_url": {"image_url": {}}}]),
            "messages[1].content[0].image_url.url", "missing_field", "required",
        ),
        ({**OK, "temperature": 99}, "temperature", "invalid_value", "expected a number up to 2.0, found 99."),
        ({**OK, "temperature": "1"}, "temperature", "invalid_type", 'expected a number, found "1".'),
        ({**OK, "temperature": 10**400}, "temperature", "invalid_type", "found an integer of 1329 bits."),
        ({**OK, "n": 0}, "n", "invalid_value", "expected a number from 1 up, found 0."),
        ({**OK, "n": True}, "n", "invalid_type", "expected an integer, found true."),
        ({**OK, "n": 1.5}, "n", "invalid_type", "expected an integer, found 1.5."),
        ({**OK, "seed": 10**4000}, "seed", "invalid_value", "found an integer of 13288 bits."),
        ({**OK, "tools": None}, "tools", "invalid_type", "expected an array, found null."),
        ({**OK, "stop": ["a"] * 5}, "stop", "invalid_value", "a string or an array of at most 4, found an array of 5."),
        ({**OK, "max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_value", "only one of"),
        ({**OK, "stream_options": {}}, "stream_options", "invalid_value", "only together with `stream: true`"),
        ({**OK, "logit_bias": {"x": 1}}, "logit_bias.x", "invalid_value", 'matches ^[0-9]{1,9}$, found "x"'),
        ({**OK, "logit_bias": {"5": "1"}}, 'logit_bias["5"]', "invalid_type", "expected a number"),
        ({**OK, "metadata": {str(i): "" for i in range(17)}}, "metadata", "invalid_value", "at most 16 fields"),
        (
            {**OK, "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": 5}}}},
            "web_search_options.user_location.approximate.city", "invalid_type", "expected a string, found 5",
        ),
        (
            {**OK, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": []}}},
            "response_format.json_schema.schema", "invalid_type", "expected an object, found an empty array",
        ),
        ({**OK, "tool_choice": "x"}, "tool_choice", "invalid_value", "'auto' or 'required' or an object, found"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_and_says_what_was_expected(
    body: dict[str, Any], param: str, code: str, text: str
) -> None:
    error = refused(body)
    assert (error.status, error.param, error.code) == (400, param, code)
    assert text in error.message
    assert error.message.startswith(param)


@pytest.mark.parametrize(
    ("raw", "param", "text"),
    [
        (b"", None, "is empty"),
        (b" \n", None, "is empty"),
        (b'{"model":', "model", "line 1, column 9"),
        (b'{"model": "m",}', None, "trailing comma"),
        (b'{"model": "m" "n"}', "model", "line 1, column 15"),
        (b"{model: 1}", None, "line 1, column 2"),
        (b'{"temperature": NaN}', "temperature", "line 1, column 17"),
        (b'{"messages": [{},\n {"content": Infinity}]}', "messages[1].content", "line 2, column 14"),
        (b'{"messages": [{"content": "a, \\ud800"}]}', "messages[0].content", "surrogate"),
        (b'{"messages": [{"content": "\\udc00"}]}', "messages[0].content", "surrogate"),
        (b'{"messages": [{"\\ud800": 1}]}', "messages[0]", "surrogate"),
        (b'{"messages": [{"content": "\xff"}]}', "messages[0].content", "UTF-8"),
        (b'{"messages": [{"content": "\n"}]}', "messages[0].content", "control character"),
        (b'{"n": ' + b"1" * 5000 + b"}", "n", "4,300 digits"),
        (b'{"a": 1, "n": -' + b"1" * 5000 + b"}", "n", "4,300 digits"),
        (b'{"messages": ' + b"[" * 100_000, "messages" + "[0]" * 30, "more than 200 deep"),
        (b"[" * 100_000, None, "more than 200 deep"),
        (b'{"a":' * 100_000, ".".join("a" * 50), "more than 200 deep"),
        (b'{"messages": []} x', None, "trailing characters"),
        (b"\xef\xbb\xbf{}", None, "line 1, column 1"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_json_is_refused_with_its_place(raw: bytes, param: str | None, text: str) -> None:
    error = refused(raw)
    assert (error.status, error.code, error.param) == (400, "invalid_json", param)
    assert text in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(("raw", "found"), [(b"[]", "an empty array"), (b"5", "5"), (b'"a"', '"a"'), (b"null", "null")])
def test_a_body_that_is_no_object_is_refused(raw: bytes, found: str) -> None:
    error = refused(raw)
    assert (error.param, error.code) == (None, "invalid_type")
    assert found in error.message


def test_a_number_that_overflows_is_refused_where_it_is() -> None:
    body = json.dumps({**OK, "temperature": 0}).encode()
    assert refused(body.replace(b'"temperature": 0', b'"temperature": 1e999')).param == "temperature"
    tool = {"type": "function", "function": {"name": "f", "parameters": {"minimum": 0}}}
    body = json.dumps({**OK, "tools": [tool]}).encode()
    assert refused(body.replace(b'"minimum": 0', b'"minimum": -1e999')).param == "tools[0].function.parameters"


def test_values_and_names_are_shortened_and_printable() -> None:
    error = refused({**OK, "n": "\x1b[31m" + "x" * 10_000})
    assert error.message == 'n: expected an integer, found "\\u001b[31m' + "x" * 55 + '…".'
    error = refused({**OK, "k" * 10_000: 1})
    assert len(error.message) < 100
    error = refused({**OK, "\n": 1})
    assert error.message == '["\\n"]: unknown field.'


def test_hostile_sizes_cost_little_memory_for_errors() -> None:
    raw = b'{"model": "m", "messages": [' + b"1," * 300_000 + b"1]}"
    assert refused(raw).param == "messages[0]"
    error = refused({**OK, "logit_bias": {str(i): "" for i in range(20_000)}})
    assert (error.param, error.code) == ("logit_bias", "invalid_value")
    assert "20,000" in error.message
    assert refused({**OK, **{f"k{i}": 1 for i in range(9_000)}}).param == "k0"


def test_a_long_text_with_many_colons_is_taken() -> None:
    parse(
        ChatCompletionRequest,
        json.dumps({"model": "m", "messages": [{"role": "user", "content": ":" * 50_000}]}).encode(),
    )


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"", None),
        (b"5 ", None),
        (b'{"a": ', "a"),
        (b'{"a": 1, ', None),
        (b'{"a": 1, "b": ', "b"),
        (b'{"a": {"b": [1, [2], {"c": ', "a.b[2].c"),
        (b'{"a": {"b": 1}, "c": ', "c"),
        (b'{"a": [1, 2, 3', "a[2]"),
        (b'{"a": ["x, [", "\\"]", ', "a[2]"),
        (b'{"a": [{"b": 1}', "a[0]"),
        (b'{"a b": [', '["a b"][0]'),
        (b'{"\\u00e9": ', '["é"]'),
        (b'{"a": 1}} ] {', None),
        (b'{"a', None),
    ],
)
def test_the_path_of_a_place(raw: bytes, path: str | None) -> None:
    assert path_at(raw, len(raw)) == path
    assert path_at(raw + b'"x": [[', len(raw)) == path


def _walk(node: Any, path: str = "") -> list[tuple[str, Any]]:
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    named = [(f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}", value) for step, value in steps]
    return [(path.removeprefix("."), node)] + [pair for name, value in named for pair in _walk(value, name)]


_keys = st.sampled_from(["a", "b", "content", "x1"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just('",[{:'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(_keys, _json, min_size=1, max_size=4), pick=st.randoms(use_true_random=False))
def test_a_broken_value_anywhere_is_named(value: dict[str, Any], pick: Any) -> None:
    mark = "@@broken@@"
    places = [path for path, node in _walk(value) if path and not isinstance(node, dict | list)]
    if not places:
        return
    place = pick.choice(places)

    def marked(node: Any, path: str = "") -> Any:
        if path.removeprefix(".") == place and path:
            return mark
        if isinstance(node, dict):
            return {key: marked(inner, f"{path}.{key}") for key, inner in node.items()}
        if isinstance(node, list):
            return [marked(inner, f"{path}[{i}]") for i, inner in enumerate(node)]
        return node

    for indent in (None, 2):
        raw = json.dumps(marked(value), indent=indent).encode().replace(f'"{mark}"'.encode(), b"NaN")
        error = refused(raw)
        assert (error.param, error.code) == (place, "invalid_json")


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\u0d8e19 \n-+', max_size=60).map(str.encode)
    | _json.map(lambda value: json.dumps({**OK, "messages": value}).encode())
    | st.builds(lambda cut, extra: json.dumps(OK).encode()[:cut] + extra, st.integers(0, 60), st.binary(max_size=10))
)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        parse(ChatCompletionRequest, raw)


def test_a_query_is_read_from_text() -> None:
    query = parse_query(ChatCompletionsQuery, {"limit": "5", "order": "desc", "metadata[a]": "1", "metadata[b c]": ""})
    assert (query.limit, query.order, query.metadata, query.after) == (5, "desc", {"a": "1", "b c": ""}, None)
    assert parse_query(ChatCompletionsQuery, {}).limit == 20


@pytest.mark.parametrize(
    ("pairs", "param", "code"),
    [
        ({"limit": "x"}, "limit", "invalid_type"),
        ({"limit": "0"}, "limit", "invalid_value"),
        ({"limit": "9" * 5000}, "limit", "invalid_type"),
        ({"order": "up"}, "order", "invalid_value"),
        ({"limt": "5"}, "limt", "unknown_field"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"metadata": "x", "metadata[a]": "1"}, "metadata", "invalid_type"),
        ({"metadata[a]": "v" * 513}, "metadata.a", "invalid_value"),
    ],
)
def test_a_bad_query_names_the_parameter(pairs: dict[str, str], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_query(ChatCompletionsQuery, pairs)
    assert (caught.value.param, caught.value.code) == (param, code)


@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(["limit", "metadata[a]", "order"]), st.text(max_size=12)))
def test_no_query_raises_anything_else(pairs: dict[str, str]) -> None:
    with contextlib.suppress(InvalidRequest):
        parse_query(ChatCompletionsQuery, pairs)


def test_an_object_that_is_put_together_here_is_checked_as_a_body_is() -> None:
    made = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
    assert checked(ChatCompletionRequest, made).model == "m"
    with pytest.raises(InvalidRequest, match="seed: expected an integer") as refused:
        checked(ChatCompletionRequest, {**made, "seed": "3"})
    assert (refused.value.param, refused.value.code) == ("seed", "invalid_type")


def test_unknown_fields_are_kept_as_they_came_where_that_is_asked_for() -> None:
    given = {"guided": {"regex": "a+", "deep": [1, None]}, "nothing": None, "model_dump": 1, "__class__": "x"}
    request = parse(ChatCompletionRequest, json.dumps({**OK, **given}).encode(), unknown=True)
    assert isinstance(request, ChatCompletionRequest)
    assert request.model_extra == given
    assert request.model_copy(update={"stream": True}).model_extra == given
    assert not parse(ChatCompletionRequest, json.dumps(OK).encode(), unknown=True).model_extra
    assert refused({**OK, "guided": 1}).code == "unknown_field", "the schema itself has changed"


@pytest.mark.parametrize(
    ("raw", "param", "code"),
    [
        (json.dumps(message(content="a", user=1)), "messages[1].user", "unknown_field"),
        (json.dumps({**OK, "zzz": 1, "seed": "3"}), "seed", "invalid_type"),
        (json.dumps(OK)[:-1] + ', "zzz": {"a": [1e999]}}', "zzz.a[0]", "invalid_value"),
        (json.dumps({**OK, **{str(number): 1 for number in range(10_001)}}), None, "invalid_value"),
    ],
)
def test_what_is_refused_where_unknown_fields_are_kept(raw: str, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(ChatCompletionRequest, raw.encode(), unknown=True)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("given", [{"zzz": 1}, {"zzz": 1, "modle": "m"}, {"a b": None}])
def test_unknown_fields_that_were_kept_are_refused_later_in_the_same_words(given: dict[str, Any]) -> None:
    refuse_unknown(parse(ChatCompletionRequest, json.dumps(OK).encode(), unknown=True))
    with pytest.raises(InvalidRequest) as caught:
        refuse_unknown(parse(ChatCompletionRequest, json.dumps({**OK, **given}).encode(), unknown=True))
    early = refused({**OK, **given})
    assert (caught.value.message, caught.value.param, caught.value.code) == (early.message, early.param, early.code)
