from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.endpoints.completions import Completions
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.completions import Completion, CompletionChunk, CompletionRequest
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.watch_answers import AnswerWatch, ChatWatch, CompletionWatch

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.fixture(autouse=True)
def _called() -> Iterator[None]:
    call.enter(call.Call("req_1", prompt_tokens=3, completion_tokens=2))
    yield
    call._current.set(None)


def chat(stream: bool = False, **fields: Any) -> AnswerWatch:
    values = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream, **fields}
    body = ChatCompletionRequest.model_validate(values)
    return ChatWatch(Chat.operations()["create_stream" if stream else "create"], {"body": body})


def going_on(stream: bool = False, **fields: Any) -> AnswerWatch:
    body = CompletionRequest.model_validate({"model": "m", "prompt": "hi", "stream": stream, **fields})
    return CompletionWatch(Completions.operations()["create_stream" if stream else "create"], {"body": body})


def head(kind: str = "chatcmpl", **fields: Any) -> dict[str, Any]:
    return {"id": f"{kind}-1", "created": int(time.time()), "model": "m", **fields}


def said(index: int = 0, text: str = "hello") -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "finish_reason": "stop", "logprobs": None}


def written(index: int = 0, text: str = "hello") -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": "stop", "logprobs": None}


def reply(*choices: dict[str, Any], usage: Any = USAGE, **fields: Any) -> ChatCompletion:
    return ChatCompletion.model_validate(head(choices=list(choices), usage=usage, **fields))


def completion(*choices: dict[str, Any], usage: Any = USAGE, **fields: Any) -> Completion:
    return Completion.model_validate(head("cmpl", choices=list(choices), usage=usage, **fields))


def new(reason: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": reason}


def chunk(*choices: dict[str, Any], **fields: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate(head(**{"choices": list(choices), **fields}))


def piece(text: str, reason: str | None = None, index: int = 0) -> CompletionChunk:
    choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": None}
    return CompletionChunk.model_validate(head("cmpl", choices=[choice]))


COUNTED = {"stream_options": {"include_usage": True}}
ROLE, END = new(role="assistant", content=""), new("stop")


def test_right_replies() -> None:
    chat().answered(reply(said()))
    chat(n=2, max_tokens=1).answered(reply(said(0), said(1)))
    chat(stop="x", max_completion_tokens=2).answered(reply(said()))
    going_on(prompt=["a", "b"], n=2).answered(completion(*(written(one) for one in range(4))))
    going_on(prompt=[5, 6]).answered(completion(written()))
    going_on(prompt=[[5], [6]]).answered(completion(written(0), written(1)))
    going_on(max_tokens=1, best_of=2).answered(completion(written()))
    going_on(echo=True, stop="h").answered(completion(written()))


@pytest.mark.parametrize(
    ("asked", "made", "told"),
    [
        (chat, lambda: reply(said(), id="x"), "the id 'x' does not begin with chatcmpl-"),
        (chat, lambda: reply(said(), created=5), "created now, .*, and not at 5"),
        (chat, lambda: reply(said(), created=int(time.time()) * 1000), "created now"),
        (chat, lambda: reply(said(), model="other"), "the model: 'other' was found, and 'm' is right"),
        (chat, lambda: reply(said(), said(1)), "the indexes of the choices"),
        (lambda: chat(n=2), lambda: reply(said()), "the indexes of the choices"),
        (lambda: chat(stop=["x", "ll"]), lambda: reply(said()), "tells the stop string 'll'"),
        (chat, lambda: reply(said(), usage=None), "usage counts"),
        (chat, lambda: reply(said(), usage={**USAGE, "total_tokens": 2}), "the total of tokens"),
        (lambda: chat(max_tokens=1), lambda: reply(said()), "2 tokens were written, and the limit was 1"),
        (going_on, lambda: completion(written(), id="chatcmpl-1"), "does not begin with cmpl-"),
        (lambda: going_on(prompt=["a", "b"]), lambda: completion(written()), "the indexes of the choices"),
        (lambda: going_on(stop="o"), lambda: completion(written()), "the stop string 'o'"),
        (lambda: going_on(max_tokens=1), lambda: completion(written()), "the limit was 1"),
    ],
)
def test_wrong_replies(asked: Callable[[], AnswerWatch], made: Callable[[], Any], told: str) -> None:
    with pytest.raises(Broken, match=told):
        asked().answered(made())


def test_the_call_has_to_know_the_tokens() -> None:
    call.enter(call.Call("req_1", prompt_tokens=3))
    with pytest.raises(Broken, match=r"told the tokens \(3, None\)"):
        chat().answered(reply(said()))
    call._current.set(None)
    chat().answered(reply(said()))


def read(looks: AnswerWatch, *chunks: Any) -> None:
    for one in chunks:
        looks.event(one)
    looks.ended()


def test_right_streams() -> None:
    text = [chunk(ROLE), chunk(new(content="a")), chunk(new(content="b")), chunk(END)]
    read(chat(True), *text)
    read(chat(True, stop=["abc", "cd"]), *text)
    read(chat(True, **COUNTED), *text, chunk(usage=USAGE))
    both = chunk(new(index=1, role="assistant"), ROLE), chunk(new(content="a"), new(index=1, content="b"))
    read(chat(True, n=2, stop="ab"), *both, chunk(new("length", 1)), chunk(END))
    read(going_on(True, echo=True, stop="hi"), piece("hi"), piece(" there"), piece("", "length"))


@pytest.mark.parametrize(
    ("asked", "chunks", "told"),
    [
        ({}, list, "at least one chunk"),
        ({}, lambda: [chunk(ROLE, id="x")], "does not begin"),
        ({}, lambda: [chunk(new(content="a"))], "the role, in the first chunk"),
        ({}, lambda: [chunk(ROLE), chunk(END)][:1], "no finish_reason"),
        ({}, lambda: [chunk(ROLE), chunk(END), chunk(new(content="b"))], "more after the finish_reason"),
        ({}, lambda: [chunk(ROLE), chunk(END), chunk(usage=USAGE)], "has no choice"),
        ({}, lambda: [chunk(ROLE), chunk(new(index=1, role="assistant"))], "has the choice 1, of 1"),
        ({"n": 2}, lambda: [chunk(ROLE), chunk(END)], "the indexes of the choices"),
        (
            {"stop": "bc"},
            lambda: [chunk(ROLE), chunk(new(content="ab")), chunk(new(content="c"))],
            "the stop string 'bc'",
        ),
        ({"stop": "b"}, lambda: [chunk(ROLE), chunk(new(content="ab"))], "the stop string 'b'"),
        ({"max_tokens": 1}, lambda: [chunk(ROLE), chunk(END)], "2 tokens were written, and the limit was 1"),
        (
            COUNTED,
            lambda: [chunk(ROLE), chunk(END)],
            "usage that was asked for is not told",
        ),
        (
            {"stream_options": {"include_usage": True}},
            lambda: [chunk(ROLE), chunk(usage=USAGE)],
            "have not ended before",
        ),
        ({}, lambda: [{"id": "chatcmpl-1"}], "answered a dict, and ChatCompletionChunk is declared"),
    ],
)
def test_wrong_streams(asked: dict[str, Any], chunks: Callable[[], list[Any]], told: str) -> None:
    with pytest.raises(Broken, match=told):
        read(chat(True, **asked), *chunks())


def test_what_is_wrong_is_told_before_it_is_handed_on() -> None:
    looks = chat(True, stop="bc")
    for right in (chunk(ROLE), chunk(new(content="ab"))):
        looks.event(right)
    with pytest.raises(Broken):
        looks.event(chunk(new(content="c")))
