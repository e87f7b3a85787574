from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jan_chat_llamacpp.answer import Answer
from jan_chat_llamacpp.form import Form
from jan_chat_llamacpp.tools import Calling

from jan_core.call import Call
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError
from jan_core.folding import fold_chat
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk


def piece(index: int, text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more}


def told(answer: Answer, *pieces: dict[str, Any], first: int = 0) -> list[tuple[int, Any, Any, Any]]:
    found = [chunk.choices[0] for one in pieces for chunk in answer.chunks(one, first)]
    return [(choice.index, choice.delta.role, choice.delta.content, choice.finish_reason) for choice in found]


def test_a_choice_begins_with_its_role_and_ends_with_its_reason() -> None:
    answer = Answer("m", None)
    assert told(answer, piece(0, ""), piece(0, "a"), piece(0, "b"), piece(0, reason="stop")) == [
        (0, "assistant", "", None),
        (0, None, "a", None),
        (0, None, "b", None),
        (0, None, None, "stop"),
    ]
    answer.check(1)


def test_an_answer_without_text_has_a_role_too() -> None:
    assert told(Answer("m", None), piece(0, reason="stop")) == [(0, "assistant", "", None), (0, None, None, "stop")]


def test_later_rounds_go_on_counting_choices() -> None:
    answer = Answer("m", None)
    told(answer, piece(0, reason="stop"), piece(1, reason="length"))
    assert [index for index, *_ in told(answer, piece(0, "x", "length"), first=2)] == [2, 2, 2]
    answer.check(3)
    with pytest.raises(EngineError) as error:
        answer.check(4)
    assert error.value.code == "incomplete_answer"


def test_the_prompt_counts_once_and_the_answers_add_up() -> None:
    context = Call("req_x")
    answer = Answer("m", context)
    for tokens, cached in ((3, 0), (5, 9)):
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": cached}}
        answer.chunks({"choices": [], "usage": usage}, 0)
    last = answer.last()
    assert last.choices == []
    assert last.usage is not None
    counts = (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens)
    assert counts == (10, 8, 18)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 0, "the first choice's tells what earlier requests left"
    assert (context.prompt_tokens, context.completion_tokens) == (10, 8)


def test_what_was_written_is_told_should_the_caller_leave() -> None:
    context = Call("req_1")
    answer = Answer("m", context)
    told(answer, piece(0, "a"), piece(0, "b"))
    assert context.completion_tokens == 2
    told(answer, piece(0, reason="stop", usage={"prompt_tokens": 3, "completion_tokens": 5}))
    assert (context.prompt_tokens, context.completion_tokens) == (3, 5)


def test_every_chunk_has_the_same_head() -> None:
    answer = Answer("m", None)
    chunks = [*answer.chunks(piece(0, "a", "stop"), 0), answer.last()]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {(chunks[0].id, chunks[0].created, "m")}
    assert Answer("m", None).last().id != chunks[0].id


@pytest.mark.parametrize(
    ("error", "kind", "param"),
    [
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512, "code": 400},
            ContextLengthExceeded,
            "messages",
        ),
        ({"type": "invalid_request_error", "message": "bad", "code": 400}, InvalidRequest, None),
        ({"type": "server_error", "message": "boom", "code": 500}, EngineError, None),
        ({}, EngineError, None),
    ],
)
def test_an_error_of_the_engine_is_one_of_ours(error: dict[str, Any], kind: type[JanError], param: str | None) -> None:
    with pytest.raises(kind) as raised:
        Answer("m", None).chunks({"error": error}, 0)
    assert type(raised.value) is kind
    assert raised.value.param == param
    if "n_ctx" in error:
        assert "900" in raised.value.message
        assert "512" in raised.value.message


CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
OWN = Form(Calling((), "auto", 8), "own", "a grammar")


def deltas(form: Form, *pieces: dict[str, Any], top: int | None = None) -> list[dict[str, Any]]:
    answer = Answer("m", None, form, top)
    chunks = [chunk for one in pieces for chunk in answer.chunks(one, 0)]
    return [
        {
            **choice.delta.model_dump(exclude_none=True),
            **({"end": choice.finish_reason} if choice.finish_reason else {}),
        }
        for chunk in chunks
        for choice in chunk.choices
    ]


async def folded(form: Form, *pieces: dict[str, Any], top: int | None = None, stops: bool = False) -> ChatCompletion:
    async def stream() -> AsyncIterator[ChatCompletionChunk]:
        answer = Answer("m", None, form, top, stops=stops)
        for one in pieces:
            for chunk in answer.chunks(one, 0):
                yield chunk

    return await fold_chat(stream())


def test_a_call_comes_as_openais_does() -> None:
    found = deltas(OWN, *[piece(0, char) for char in CALL], piece(0, reason="stop"))
    begun, first, *more, end = found
    assert begun == {"role": "assistant", "content": ""}
    identity = first["tool_calls"][0].pop("id")
    assert identity.startswith("call_")
    assert first == {"tool_calls": [{"index": 0, "type": "function", "function": {"name": "add", "arguments": ""}}]}
    assert "".join(one["tool_calls"][0]["function"]["arguments"] for one in more) == '{"a": 1}'
    assert all(one["tool_calls"][0].keys() == {"index", "function"} for one in more)
    assert end == {"end": "tool_calls"}


@pytest.mark.anyio
async def test_text_and_calls_add_up() -> None:
    reply = await folded(OWN, piece(0, "Well. \n"), piece(0, CALL + "\n" + CALL), piece(0, reason="stop"))
    (choice,) = reply.choices
    assert (choice.message.content, choice.finish_reason) == ("Well.", "tool_calls")
    calls = choice.message.tool_calls
    assert calls is not None
    assert [(one.type, one.model_dump()["function"]) for one in calls] == [
        ("function", {"name": "add", "arguments": '{"a": 1}'})
    ] * 2
    assert len({one.id for one in calls}) == 2


@pytest.mark.anyio
async def test_the_older_form_and_an_answer_without_calls() -> None:
    older = Form(Calling((), "auto", 1, older=True), "own", "a grammar")
    (choice,) = (await folded(older, piece(0, CALL), piece(0, reason="stop"))).choices
    assert choice.message.function_call is not None
    assert (choice.message.function_call.name, choice.message.function_call.arguments) == ("add", '{"a": 1}')
    assert (choice.message.content, choice.finish_reason, choice.message.tool_calls) == (None, "function_call", None)
    (choice,) = (await folded(OWN, piece(0, " hello <tool"), piece(0, reason="stop"))).choices
    assert (choice.message.content, choice.finish_reason) == (" hello <tool", "stop")


@pytest.mark.anyio
async def test_a_call_that_is_cut_off_ends_with_length() -> None:
    (choice,) = (await folded(OWN, piece(0, CALL[:44]), piece(0, reason="length"))).choices
    assert choice.finish_reason == "length"
    assert choice.message.tool_calls is not None


@pytest.mark.anyio
@pytest.mark.parametrize("begun", ["<", "\n<tool", " <tool_call"])
@pytest.mark.parametrize(("reason", "stops"), [("length", False), ("stop", True)])
async def test_the_beginning_of_a_mark_that_was_cut_is_no_text(begun: str, reason: str, stops: bool) -> None:
    (choice,) = (await folded(OWN, piece(0, f"Well.{begun}"), piece(0, reason=reason), stops=stops)).choices
    assert (choice.message.content, choice.finish_reason) == ("Well.", reason)
    (choice,) = (await folded(OWN, piece(0, "a < b \n"), piece(0, reason=reason), stops=stops)).choices
    assert choice.message.content == "a < b \n"


@pytest.mark.anyio
async def test_a_call_of_the_engine_that_a_stop_string_cut_ends_with_length() -> None:
    form = Form(Calling((), "auto", 8), "engine")
    pieces = [engine_call(0, name="add", arguments='{"a": 1'), piece(0, reason="tool_calls")]
    (choice,) = (await folded(form, *pieces, stops=True)).choices
    assert choice.finish_reason == "length"


def engine_call(index: int, **function: str) -> dict[str, Any]:
    delta = {"tool_calls": [{"index": index, "id": "x", "type": "function", "function": function}]}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


@pytest.mark.anyio
@pytest.mark.parametrize(("most", "names"), [(8, ["add", "get"]), (1, ["add"])])
async def test_calls_that_the_engine_found(most: int, names: list[str]) -> None:
    pieces = [
        engine_call(0, name="add", arguments="{"),
        engine_call(0, arguments="}"),
        engine_call(1, name="get", arguments="{}"),
    ]
    form = Form(Calling((), "auto", most), "engine")
    (choice,) = (await folded(form, *pieces, piece(0, reason="tool_calls"))).choices
    calls = choice.message.tool_calls
    assert calls is not None
    assert [one.model_dump()["function"]["name"] for one in calls] == names
    assert [one.model_dump()["function"]["arguments"] for one in calls] == ["{}"] * len(names)
    assert choice.finish_reason == "tool_calls"
    assert all(one.id != "x" for one in calls)


@pytest.mark.anyio
async def test_thoughts_that_the_engine_found_are_kept_apart() -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}]}
    for form in (Form(Calling()), Form(Calling((), "auto", 8), "engine")):
        (choice,) = (await folded(form, thought, thought, piece(0, "5"), piece(0, reason="stop"))).choices
        assert (choice.message.reasoning_content, choice.message.content) == ("hmhm", "5")


@pytest.mark.anyio
async def test_thoughts_are_found_before_text_and_before_calls() -> None:
    may = Form(Calling(), thoughts="may")
    pieces = [
        said("<think>", "t"),
        said("\nhm", "h"),
        said("\n</think>\n\n", "e"),
        said("5", "5"),
        piece(0, reason="stop"),
    ]
    (choice,) = (await folded(may, *pieces, top=0)).choices
    assert (choice.message.reasoning_content, choice.message.content) == ("hm", "5")
    assert choice.logprobs is not None
    assert [one.token for one in choice.logprobs.content or ()] == ["5"]
    must = Form(Calling((), "required", 8), "own", "a grammar", "must")
    (choice,) = (await folded(must, piece(0, "hm</think>\n" + CALL), piece(0, reason="stop"))).choices
    assert (choice.message.reasoning_content, choice.message.content) == ("hm", None)
    assert choice.finish_reason == "tool_calls"
    (choice,) = (await folded(must, piece(0, "hm </thin"), piece(0, reason="length"))).choices
    assert (choice.message.reasoning_content, choice.message.content) == ("hm </thin", "")


def said(text: str | None, *tokens: str) -> dict[str, Any]:
    found = piece(0, text)
    told = [{"id": 1, "token": one, "bytes": list(one.encode()), "logprob": -1, "top_logprobs": []} for one in tokens]
    found["choices"][0]["logprobs"] = {"content": told}
    return found


@pytest.mark.anyio
async def test_logprobs_come_with_their_text_and_not_with_calls() -> None:
    reply = await folded(
        Form(Calling()), said("a", "a"), said(None, "\ufffd"), said("é", "é"), piece(0, reason="stop"), top=0
    )
    assert reply.choices[0].logprobs is not None
    assert [one.token for one in reply.choices[0].logprobs.content or ()] == ["a", "\ufffd", "é"]
    reply = await folded(OWN, said("a ", "a", " "), said(CALL, "<", "c"), piece(0, reason="stop"), top=0)
    assert reply.choices[0].logprobs is not None
    assert [one.token for one in reply.choices[0].logprobs.content or ()] == ["a", " "]
    reply = await folded(Form(Calling()), said("a", "a"), piece(0, reason="stop"))
    assert reply.choices[0].logprobs is None
