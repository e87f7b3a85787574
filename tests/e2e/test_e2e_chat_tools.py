"""Calls of tools with the official client, on the real model, whose own template knows none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest

from jan_core.app import open_jan
from jan_core.inprocess import client as inprocess_client
from tests.e2e import chat_templates
from tests.e2e.server import MODEL, JanServer, add_model, write_config

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
DIGIT = {"type": "integer", "minimum": 0, "maximum": 9}
NUMBERS = {
    "type": "object",
    "properties": {"a": DIGIT, "b": DIGIT},
    "required": ["a", "b"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": CITY}}
ADD = {"type": "function", "function": {"name": "add", "parameters": NUMBERS, "strict": True}}
SCHEMAS = {"get_weather": CITY, "add": NUMBERS}
MODELS = [MODEL, "same", "other", "opened", "chosen"]
"""One for each kind of template."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    """A server with templates that show tools, or think."""
    root = tmp_path_factory.mktemp("tools") / "root"
    write_config(root, jan_llamacpp={"slots": 2})
    add_model(root, MODEL, smollm2_path)
    for name, template in (
        ("same", chat_templates.SAME_TOOLS),
        ("other", chat_templates.OTHER_TOOLS),
        ("opened", chat_templates.OPENED_THOUGHTS),
        ("chosen", chat_templates.CHOSEN_THOUGHTS),
    ):
        add_model(root, name, smollm2_path, settings={"chat_template": template})
    with JanServer(root) as found:
        yield found


@pytest.fixture
def ask(server: JanServer) -> Any:
    client = server.client()

    def go(messages: Any = ASK, model: str = MODEL, **options: Any) -> Any:
        options = {"temperature": 0, "max_tokens": 400, "tools": [WEATHER, ADD], **options}
        return client.chat.completions.create(model=model, messages=messages, **options)

    return go


def past(a: int, b: int, said: str | None) -> list[Any]:
    """A turn in which the model said something and called."""
    arguments = json.dumps({"a": a, "b": b})
    call = {"id": f"c{a}", "type": "function", "function": {"name": "add", "arguments": arguments}}
    return [
        {"role": "user", "content": f"Add {a} and {b}"},
        {"role": "assistant", "content": said, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{a}", "content": str(a + b)},
        {"role": "assistant", "content": f"It is {a + b}."},
    ]


def adding(said: str | None = "Sure.") -> Any:
    """A conversation that even a small model continues with a call."""
    return [*past(1, 2, said), *past(2, 2, said), *past(3, 1, said), {"role": "user", "content": "Add 5 and 1"}]


def named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


def check_calls(choice: Any) -> list[str]:
    """Check the calls of a choice; returns their names."""
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    for call in calls:
        assert call.id.startswith("call_")
        assert call.type == "function"
        jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])
    assert len({call.id for call in calls}) == len(calls)
    return [call.function.name for call in calls]


def add_up(chunks: Any) -> tuple[str, list[tuple[str, str]], str]:
    """Text, calls and finish reason of a stream, whose calls are checked to come as OpenAI's do."""
    text, calls, reason = "", [], ""
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for piece in choice.delta.tool_calls or ():
                if piece.index == len(calls):
                    assert piece.id
                    assert piece.type == "function"
                    calls.append((piece.function.name, ""))
                else:
                    assert piece.index == len(calls) - 1
                    assert piece.id is piece.type is piece.function.name is None
                calls[-1] = (calls[-1][0], calls[-1][1] + piece.function.arguments)
    return text, calls, reason


@pytest.mark.parametrize("model", MODELS)
def test_a_named_function_is_called_whatever_the_template_knows(ask: Any, model: str) -> None:
    once: Any = {"tool_choice": named("get_weather"), "parallel_tool_calls": False}
    reply = ask([{"role": "user", "content": "2 + 3"}], model, **once).choices[0]
    assert check_calls(reply) == ["get_weather"]
    assert reply.message.content is None


@pytest.mark.parametrize("model", MODELS)
def test_a_required_call_comes_in_a_stream_and_without(ask: Any, model: str) -> None:
    options = {"messages": [{"role": "user", "content": "2 + 3"}], "model": model, "tool_choice": "required"}
    reply = ask(**options, parallel_tool_calls=False).choices[0]
    assert len(check_calls(reply)) == 1
    text, calls, reason = add_up(ask(**options, parallel_tool_calls=False, stream=True))
    assert (text, reason) == ("", "tool_calls")
    assert calls == [(call.function.name, call.function.arguments) for call in reply.message.tool_calls]
    hot = ask(**options, parallel_tool_calls=False, temperature=1.5, seed=7).choices[0]
    if hot.finish_reason == "tool_calls":
        assert len(check_calls(hot)) == 1


def test_several_calls_unless_they_are_not_wanted(ask: Any) -> None:
    calls = ask(tool_choice="required").choices[0]
    assert len(check_calls(calls)) > 1, "this model goes on calling"
    assert len(check_calls(ask(tool_choice="required", parallel_tool_calls=False).choices[0])) == 1


@pytest.mark.parametrize(("model", "said"), [(MODEL, "Sure."), ("same", None), ("other", None)])
def test_the_model_may_call_or_answer_in_words(ask: Any, model: str, said: str | None) -> None:
    once: Any = {"tools": [ADD], "parallel_tool_calls": False}
    called = ask(adding(said), model, **once).choices[0]
    assert check_calls(called) == ["add"]
    text, calls, reason = add_up(ask(adding(said), model, **once, stream=True))
    assert (text, reason) == (called.message.content or "", "tool_calls")
    assert calls == [("add", called.message.tool_calls[0].function.arguments)]
    words = ask([{"role": "user", "content": "Say hello"}], model, tools=[ADD], max_tokens=8).choices[0]
    assert words.message.tool_calls is None
    assert words.message.content


def test_words_before_a_call(ask: Any) -> None:
    once: Any = {"tools": [ADD], "parallel_tool_calls": False}
    reply = ask(adding(), **once, logprobs=True).choices[0]
    assert check_calls(reply) == ["add"]
    assert reply.message.content == "Sure."
    assert "".join(token.token for token in reply.logprobs.content).strip() == "Sure."
    assert add_up(ask(adding(), **once, stream=True))[0] == "Sure."


def test_none_and_no_tools_are_words(ask: Any) -> None:
    plain = ask(tools=openai.omit, max_tokens=8).choices[0].message.content
    for options in ({"tool_choice": "none"}, {"tools": []}, {"tools": [], "tool_choice": "auto"}):
        reply = ask(**options, max_tokens=8).choices[0]
        assert (reply.message.content, reply.message.tool_calls) == (plain, None)


def test_allowed_tools_narrow_the_choice(ask: Any) -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("add")]}}
    assert set(check_calls(ask(tool_choice=allowed, parallel_tool_calls=False).choices[0])) == {"add"}


def test_json_or_a_call(ask: Any) -> None:
    schema = {"type": "object", "properties": {"sum": DIGIT}, "required": ["sum"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for message in (ASK, [{"role": "user", "content": "2 + 3"}], adding()):
        reply = ask(message, response_format=form, tools=[ADD], parallel_tool_calls=False).choices[0]
        if reply.message.tool_calls:
            check_calls(reply)
        else:
            jsonschema.validate(json.loads(reply.message.content), schema)


def test_several_choices_call_each_for_itself(ask: Any) -> None:
    reply = ask(tool_choice=named("add"), n=3, temperature=1, seed=1)
    assert [check_calls(choice) for choice in reply.choices] == [["add"]] * 3


@pytest.mark.parametrize("model", MODELS)
def test_the_result_of_a_call_goes_back_to_the_model(ask: Any, model: str) -> None:
    asked = [{"role": "user", "content": "2 + 3"}]
    called = ask(asked, model, tool_choice=named("get_weather"), parallel_tool_calls=False).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Sunny, 20 degrees"}
    reply = ask([*asked, called, result], model, max_tokens=20)
    assert reply.choices[0].finish_reason in ("stop", "length", "tool_calls")
    without = ask([*asked, called, {**result, "content": ""}], model, max_tokens=1)
    assert reply.usage.prompt_tokens > without.usage.prompt_tokens, "the result did not reach the prompt"


def test_a_cut_off_call_ends_with_length_and_may_go_back(ask: Any) -> None:
    reply = ask(tool_choice=named("add"), max_tokens=20).choices[0]
    assert reply.finish_reason == "length"
    with pytest.raises(ValueError, match="JSON|Expecting|Unterminated|delimiter"):
        json.loads(reply.message.tool_calls[0].function.arguments)
    for model in ("same", MODEL):
        answer = {"role": "tool", "tool_call_id": reply.message.tool_calls[0].id, "content": "no"}
        assert ask([*ASK, reply.message, answer], model, max_tokens=2).choices


@pytest.mark.parametrize("stop", ["\n", '"', "}", "a", "<tool_call>"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_text_and_cuts_no_forced_call(server: JanServer, stop: str, stream: bool) -> None:
    body = {"model": MODEL, "messages": ASK, "temperature": 0, "max_tokens": 400, "tools": [WEATHER]}
    body |= {"tool_choice": "required", "parallel_tool_calls": False, "stop": stop}
    client = server.client().chat.completions
    if stream:
        chunks = [chunk for chunk in client.create(**body, stream=True) if chunk.choices]  # type: ignore[call-overload]
        deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        arguments = "".join(call.function.arguments or "" for call in deltas)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        (choice,) = client.create(**body).choices  # type: ignore[call-overload]
        arguments, text = choice.message.tool_calls[0].function.arguments, choice.message.content
        reason = choice.finish_reason
    jsonschema.validate(json.loads(arguments), CITY)
    assert (text or "", reason) == ("", "tool_calls")


@pytest.mark.parametrize("tokens", [1, 4, 7])
def test_no_mark_of_a_call_is_told_as_text(ask: Any, tokens: int) -> None:
    choice = ask(tool_choice="required", max_tokens=tokens).choices[0]
    assert (choice.message.content or "", choice.finish_reason) == ("", "length")


def test_the_older_form(server: JanServer) -> None:
    messages: Any = ASK
    create: Any = server.client().chat.completions.create
    functions = [{"name": "add", "parameters": NUMBERS}]
    options = {"model": MODEL, "messages": messages, "functions": functions, "temperature": 0, "max_tokens": 100}
    reply = create(**options, function_call={"name": "add"}).choices[0]
    assert reply.finish_reason == "function_call"
    assert reply.message.tool_calls is None
    jsonschema.validate(json.loads(reply.message.function_call.arguments), NUMBERS)
    deltas = [chunk.choices[0].delta for chunk in create(**options, function_call={"name": "add"}, stream=True)]
    pieces = [delta.function_call for delta in deltas if delta.function_call]
    assert pieces[0].name == "add"
    assert "".join(piece.arguments or "" for piece in pieces) == reply.message.function_call.arguments
    past = [*messages, reply.message, {"role": "function", "name": "add", "content": "5"}]
    assert create(**{**options, "messages": past, "max_tokens": 2}).choices


PATTERN = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}}


@pytest.mark.parametrize(
    ("param", "options"),
    [
        ("tool_choice.function.name", {"tool_choice": named("nothing")}),
        ("tool_choice", {"tools": openai.omit, "tool_choice": "required"}),
        ("tools[0].function.parameters.properties.a.pattern",
         {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": PATTERN}}]}),
        ("tools[1].function.name", {"tools": [ADD, ADD]}),
        ("tools[0].type", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_does_not_fit_is_refused_by_its_place(ask: Any, param: str, options: Any, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(**options, stream=stream)
    assert refused.value.param == param


@pytest.mark.anyio
async def test_the_same_without_a_server(root: Path) -> None:
    async with open_jan(root, jan_llamacpp={"threads": 1, "context": 512}) as jan, inprocess_client(jan) as http:
        client = openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="x", http_client=http)
        told: Any = {"model": MODEL, "messages": ASK, "tools": [WEATHER], "temperature": 0, "max_tokens": 100}
        reply = await client.chat.completions.create(**told, tool_choice=named("get_weather"))
        assert check_calls(reply.choices[0]) == ["get_weather"]
        stream = await client.chat.completions.create(**told, tool_choice=named("get_weather"), stream=True)
        chunks = [chunk async for chunk in stream]
        assert add_up(chunks)[1][0][1] == reply.choices[0].message.tool_calls[0].function.arguments
