"""The clauses of `chat` about what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jan_core.errors import ContextLengthExceeded, JanError, ModelNotFound, NotSupported
from jan_core.testing.contract.case import Broken, holds, same, written
from jan_core.testing.contract.chat_case import PATH, ChatCase, OfChat
from jan_core.testing.contract.clauses import clause

_FUNCTION = {"name": "add", "description": "Adds", "parameters": {"type": "object", "properties": {}}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": False}


def _first(reply: dict[str, Any]) -> Any:
    return reply["choices"][0]


def _is_json(reply: dict[str, Any]) -> bool:
    if _first(reply)["finish_reason"] == "length":
        return True
    try:
        return isinstance(json.loads(_first(reply)["message"]["content"]), dict)
    except ValueError:
        return False


FEATURES: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "logprobs": ({"logprobs": True, "max_tokens": 3}, lambda reply: _first(reply)["logprobs"]["content"]),
    "tools": (
        {"tools": [{"type": "function", "function": _FUNCTION}], "tool_choice": "required", "max_tokens": 60},
        lambda reply: _first(reply)["message"].get("tool_calls") or _first(reply)["finish_reason"] == "length",
    ),
    "functions": (
        {"functions": [_FUNCTION], "function_call": {"name": "add"}, "max_tokens": 60},
        lambda reply: _first(reply)["message"].get("function_call") or _first(reply)["finish_reason"] == "length",
    ),
    "response_format": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": _SCHEMA, "strict": True},
            },
            "max_tokens": 60,
        },
        _is_json,
    ),
    "audio": (
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        lambda reply: _first(reply)["message"].get("audio"),
    ),
    "prediction": (
        {"prediction": {"type": "content", "content": "Yes."}, "max_tokens": 3},
        lambda reply: "accepted_prediction_tokens" in (reply["usage"].get("completion_tokens_details") or {}),
    ),
    "web_search_options": ({"web_search_options": {}}, lambda reply: "annotations" in _first(reply)["message"]),
    "moderation": ({"moderation": {"model": "any"}}, lambda reply: reply.get("moderation")),
}
"""What not every implementation does: fields that ask for it, and whether an answer shows it."""
_IMAGE = (  # 64 by 64 points, all of them red
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAT0lEQVR42u3PQQkAAAgEsIty/dMYyQi+hcEKLNO+FgEBAQEBAQEB"
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQGBywI6LQEAwyG+sAAAAABJRU5ErkJggg=="
)
_SAID = {"type": "text", "text": "Say yes."}


def _with(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [_SAID, part]}]}


COMPARED: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[dict[str, Any], dict[str, Any]], Any]]] = {
    "logit_bias": (
        {"logit_bias": {"300": 100}, "max_tokens": 3},
        {"logit_bias": {"400": 100}, "max_tokens": 3},
        lambda one, other: _first(one)["message"]["content"] != _first(other)["message"]["content"],
    ),
    "image_url": (
        _with({"type": "image_url", "image_url": {"url": _IMAGE}}),
        _with({"type": "text", "text": ""}),
        lambda one, other: one["usage"]["prompt_tokens"] > other["usage"]["prompt_tokens"],
    ),
}
"""What shows in comparison only: the same, with what else to ask, and whether the two answers show it."""


class ChatRefusing(OfChat):
    """Models and fields that are refused."""

    @clause
    async def test_16_an_unknown_model_is_not_found(self, case: ChatCase) -> None:
        """A model that is not there is refused by every operation: 404, `model_not_found`, and the next one answers."""
        expected = {"code": "model_not_found", "param": "model", "status": 404}
        body = await case.body("hello", model="no-such-model")
        await case.refused(ModelNotFound, "chat.create", body, **expected)
        await self._stream_refused(case, ModelNotFound, {"model": "no-such-model"}, expected)
        for name in ("count_tokens", "context_length", "template"):
            if case.tested.supports(name):
                await case.refused(ModelNotFound, f"chat.{name}", body, **expected)
        status, told = await case.send("POST", PATH, await case.fields("hello", model="no-such-model"))
        same("over HTTP", (status, told["error"]["code"]), (404, "model_not_found"))
        await case.answer("hello", max_tokens=1)

    @clause
    async def test_17_hostile_models_find_nothing(self, case: ChatCase) -> None:
        """Models that are paths, devices or commands find nothing and do nothing: 400 or 404."""
        for id in case.hostile_ids():
            if not 0 < len(id) <= 256 or "\ud800" in id:
                continue  # no request has such a model
            refusal = await case.refused(JanError, "chat.create", await case.body("hello", model=id))
            holds(refusal.status in (400, 404), f"the model {id[:50]!a} is refused with {refusal.status}")
            status, _ = await case.send("POST", PATH, await case.fields("hello", model=id, stream=True))
            holds(status in (400, 404), f"the model {id[:50]!a}, over HTTP, is refused with {status}")
        same("files outside of the root", case.escaped(), [])

    @clause
    async def test_18_what_does_not_fit_is_refused(self, case: ChatCase) -> None:
        """A prompt that does not fit the context is refused, 400, `context_length_exceeded`; nothing is cut."""
        expected = {"code": "context_length_exceeded", "status": 400}
        messages = [{"role": "user", "content": self.too_long}]
        await case.refused(ContextLengthExceeded, "chat.create", await case.body(self.too_long), **expected)
        await self._stream_refused(case, ContextLengthExceeded, {"messages": messages}, expected)
        early = [{"role": "user", "content": self.too_long}, {"role": "user", "content": "hello"}]
        await case.refused(ContextLengthExceeded, "chat.create", await case.body(early), **expected)
        await case.answer("hello", max_tokens=1)

    @clause
    async def test_19_what_it_cannot_do_is_refused(self, case: ChatCase) -> None:
        """What an implementation does not do it refuses with `NotSupported`, naming the field; it ignores nothing."""
        keeps = case.tested.supports("retrieve")
        stored = {} if keeps else {"store": ({"store": True}, lambda reply: False)}
        for name, (asked, shows) in {**FEATURES, **stored}.items():
            made = await self._done(case, name, asked)
            holds(made is None or shows(made), f"{name} was asked for, and neither refused nor done: {made}")
        for name, (asked, beside, shown) in COMPARED.items():
            made = await self._done(case, name, asked)
            other = None if made is None else await case.answer("Say yes.", **beside)
            holds(other is None or shown(made, other), f"{name} was asked for, and neither refused nor done: {made}")

    async def _done(self, case: ChatCase, name: str, asked: dict[str, Any]) -> Any:
        """An answer to a request with these fields, or None where it is refused as what is not done."""
        try:
            return written(await case.ask("chat.create", await case.body("Say yes.", **asked)))
        except NotSupported as error:
            told = error.param or ""
            holds(told.split(".")[0].split("[")[0] in {name, *asked}, f"refusing {name} names {told!r}")
            return None
        except JanError as error:
            raise Broken(f"{name} is refused with {error!r}; what is not done is NotSupported") from error

    @clause
    async def test_20_an_error_is_no_stream(self, case: ChatCase) -> None:
        """What can be refused before the first chunk is: over HTTP it is an error with its status, and no stream."""
        for fields, wanted in (
            ({"model": "no-such-model"}, (404, "model_not_found")),
            ({"messages": [{"role": "user", "content": self.too_long}]}, (400, "context_length_exceeded")),
        ):
            status, told = await case.send("POST", PATH, await case.fields("hello", stream=True, **fields))
            same("status and code of the refusal", (status, told["error"]["code"]), wanted)

    async def _stream_refused(
        self, case: ChatCase, kind: type[JanError], fields: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        body = await case.body("hello", stream=True, **fields)
        events = case.tested.create_stream(body)  # type: ignore[attr-defined]
        try:
            first = await anext(events)
        except kind as error:
            same("the error of the stream", {name: getattr(error, name) for name in expected}, expected)
        except JanError as error:
            raise Broken(f"the stream is refused with {error!r}, and not with {kind.__name__}") from error
        except Exception as error:
            raise Broken(f"the stream raised {error!r}, and not {kind.__name__}") from error
        else:
            raise Broken(f"the stream began with {first!r} instead of refusing with {kind.__name__}")
        finally:
            await events.aclose()
