from __future__ import annotations

import asyncio

import pytest

from jan_core import call
from jan_core.call import Call


@pytest.mark.anyio
async def test_a_call_is_seen_by_the_tasks_it_starts_and_by_no_other() -> None:
    async def seen() -> str | None:
        await asyncio.sleep(0)
        context = call.current()
        return context.request_id if context else None

    async def request(name: str) -> tuple[str | None, str | None]:
        call.enter(Call(name))
        return await asyncio.create_task(seen()), await seen()

    assert await asyncio.gather(asyncio.create_task(request("a")), asyncio.create_task(request("b"))) == [
        ("a", "a"),
        ("b", "b"),
    ]
    assert call.current() is None


def test_a_call_knows_nothing_it_was_not_told() -> None:
    context = Call("req_1")
    assert (context.request_id, context.key_name, context.idempotency_key) == ("req_1", None, None)
    assert (context.model, context.prompt_tokens, context.completion_tokens) == (None, None, None)
    with pytest.raises(AttributeError):
        context.anything_else = 1  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_whoever_wants_to_know_is_told_that_the_engine_begins() -> None:
    call.begun()  # nobody is asking
    call.enter(Call("req_1"))
    call.begun()  # nobody wants to know
    told: list[str] = []
    call.enter(Call("req_2", on_begun=lambda: told.append("begun")))
    call.begun()
    assert told == ["begun"]


def test_only_a_mark_that_the_server_made_says_that_a_request_comes_from_within() -> None:
    mark = call.Inside("laptop")
    assert call.inside({"state": {"inside": mark}}) is mark
    for scope in ({}, {"state": {}}, {"state": {"inside": "laptop"}}, {"state": {"inside": {"key_name": "laptop"}}}):
        assert call.inside(scope) is None
