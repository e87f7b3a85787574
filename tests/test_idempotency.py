from __future__ import annotations

import asyncio
import contextvars
import json
from typing import Any

import pytest

from jan_core import call
from jan_core.errors import Conflict, InvalidRequest
from jan_core.idempotency import LONGEST, Once, once
from jan_core.schemas.messages import MessageRequest
from jan_core.validation import parse


def wish(key: str | None, raw: str = '{"role": "user", "content": "a"}', scope: str = "t", **facts: Any) -> Once | None:
    """What `once` gives for a request with this header and body."""

    def ask() -> Once | None:
        call.enter(call.Call("req_1", idempotency_key=key, **facts))
        return once("messages.create", parse(MessageRequest, raw.encode()), scope)

    return contextvars.copy_context().run(ask)


def test_without_the_header_or_a_request_nothing_is_wished() -> None:
    assert wish(None) is None
    assert once("messages.create", MessageRequest(role="user", content="a")) is None


def test_equal_bodies_have_one_fingerprint_however_they_are_written() -> None:
    first = wish("k", '{"role": "user", "content": "é", "metadata": {"a": "1", "b": "2"}}')
    second = wish("k", '{"metadata":{"b":"2","a":"1"},"content":"\\u00e9","role":"user"}')
    assert first == second
    assert first is not None
    assert {len(first.key), len(first.fingerprint)} == {32}
    assert first.key.isalnum()


def test_another_body_has_another_fingerprint_under_the_same_key() -> None:
    first, second = wish("k"), wish("k", '{"role": "user", "content": "b"}')
    assert first is not None
    assert second is not None
    assert first.key == second.key
    first.check(first.fingerprint)
    with pytest.raises(Conflict) as caught:
        second.check(first.fingerprint)
    assert (caught.value.code, caught.value.param, caught.value.status) == ("idempotency_conflict", None, 409)


def test_header_scope_and_caller_tell_keys_apart() -> None:
    keys = [wish("k"), wish("l"), wish("k", scope="u"), wish("k", key_name="ann"), wish("k", key_name="bob")]
    assert len({one.key for one in keys if one is not None}) == 5
    # The parts are not run together.
    assert wish("bc", scope="a") != wish("c", scope="ab")


@pytest.mark.parametrize("key", ["", "x" * (LONGEST + 1)])
def test_a_header_of_no_use_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key") as caught:
        wish(key)
    assert caught.value.code == "invalid_idempotency_key"


@pytest.mark.parametrize("key", ["x", "../..", "\x00", "ÿ" * LONGEST, " "])
def test_any_other_header_makes_a_harmless_name(key: str) -> None:
    found = wish(key)
    assert found is not None
    assert int(found.key, 16) >= 0


def test_it_works_in_a_task_of_the_request() -> None:
    async def run() -> str:
        call.enter(call.Call("req_1", idempotency_key="k"))
        body = MessageRequest(role="user", content="a")
        found = await asyncio.create_task(asyncio.to_thread(once, "messages.create", body, "t"))
        assert found is not None
        return found.key

    expected = wish("k")
    assert expected is not None
    assert contextvars.copy_context().run(asyncio.run, run()) == expected.key
    assert json.loads(json.dumps(expected.key)) == expected.key
