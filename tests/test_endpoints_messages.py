from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.schemas.messages import Message, MessagePage
from tests.conversations import KINDS, app, changed_message, messages_query, new_thread, said, under, written

pytestmark = pytest.mark.anyio

IDS = ["nope", "..", "../x", "a/b", "", "\0", "CON", "é", "x" * 500]
"""Ids of nothing, or of nothing that there can be."""


@pytest.fixture(params=KINDS)
async def jan(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Jan]:
    async with app(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def thread(jan: Jan) -> str:
    return str((await jan.threads.create(new_thread())).id)


async def fill(jan: Jan, thread: str, number: int) -> list[str]:
    return [(await jan.messages.create(thread, said(f"m{index}"))).id for index in range(number)]


def texts(page: MessagePage) -> list[str]:
    return [str(written(one)["content"][0]["text"]["value"]) for one in page.data]


async def test_what_was_said_is_kept(jan: Jan, thread: str) -> None:
    body = said(
        role="assistant",
        content=[{"type": "text", "text": "a"}, {"type": "image_file", "image_file": {"file_id": "file-1"}}],
        attachments=[{"file_id": "file-1", "tools": [{"type": "code_interpreter"}]}],
        metadata={"a": "b"},
    )
    made = await jan.messages.create(thread, body)
    assert made.id.startswith("msg_")
    assert (made.thread_id, made.status, made.completed_at) == (thread, "completed", made.created_at)
    assert written(made)["content"][1] == {"type": "image_file", "image_file": {"file_id": "file-1"}}
    assert await jan.messages.retrieve(thread, made.id) == made
    assert (await jan.messages.list(thread, messages_query())).data == [made]


async def test_the_order_is_that_of_storing_newest_first_unless_told_otherwise(jan: Jan, thread: str) -> None:
    await fill(jan, thread, 25)
    page = await jan.messages.list(thread, messages_query())
    assert texts(page) == [f"m{index}" for index in range(24, 4, -1)]
    assert page.has_more
    page = await jan.messages.list(thread, messages_query(after=page.last_id))
    assert texts(page) == ["m4", "m3", "m2", "m1", "m0"]
    assert not page.has_more
    assert texts(await jan.messages.list(thread, messages_query(order="asc", limit=2))) == ["m0", "m1"]


async def test_cursors_lead_both_ways(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 6)
    ask = jan.messages.list
    assert texts(await ask(thread, messages_query(before=ids[3], limit=1))) == ["m4"]
    assert texts(await ask(thread, messages_query(before=ids[3], order="asc"))) == ["m0", "m1", "m2"]
    assert texts(await ask(thread, messages_query(after=ids[3], before=ids[0]))) == ["m2", "m1"]
    empty = await ask(thread, messages_query(after=ids[0]))
    assert (empty.data, empty.first_id, empty.last_id, empty.has_more) == ([], None, None, False)
    for name in ("after", "before"):
        with pytest.raises(InvalidRequest) as caught:
            await ask(thread, messages_query(**{name: "msg_nope"}))
        assert caught.value.param == name


async def test_a_cursor_stays_good_while_messages_come(jan: Jan, thread: str) -> None:
    await fill(jan, thread, 4)
    first = await jan.messages.list(thread, messages_query(limit=2))
    await jan.messages.create(thread, said("new"))
    second = await jan.messages.list(thread, messages_query(limit=2, after=first.last_id))
    assert texts(first) + texts(second) == ["m3", "m2", "m1", "m0"]


async def test_only_the_messages_of_a_run(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 3)
    answer = (await jan.messages.retrieve(thread, ids[1])).model_copy(update={"run_id": "run_1"})
    await jan.messages.put(answer)
    page = await jan.messages.list(thread, messages_query(run_id="run_1"))
    assert (page.data, page.has_more) == ([answer], False)
    assert (await jan.messages.list(thread, messages_query(run_id="run_1", after=ids[2]))).data == [answer]
    assert (await jan.messages.list(thread, messages_query(run_id="run_1", after=ids[0]))).data == []
    assert (await jan.messages.list(thread, messages_query(run_id="run_2"))).data == []


async def test_an_update_replaces_the_pairs(jan: Jan, thread: str) -> None:
    first, second = await fill(jan, thread, 2)
    before = await jan.messages.retrieve(thread, first)
    changed = await jan.messages.update(thread, first, changed_message(metadata={"a": "1"}))
    assert changed == before.model_copy(update={"metadata": {"a": "1"}})
    assert await jan.messages.update(thread, first, changed_message()) == changed
    assert await jan.messages.retrieve(thread, first) == changed
    assert (await jan.messages.update(thread, first, changed_message(metadata=None))).metadata == {}
    assert [one.id for one in (await jan.messages.list(thread, messages_query())).data] == [second, first]


async def test_a_deleted_message_is_gone_and_no_other(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 3)
    told = await jan.messages.delete(thread, ids[1])
    assert written(told) == {"id": ids[1], "object": "thread.message.deleted", "deleted": True}
    assert texts(await jan.messages.list(thread, messages_query())) == ["m2", "m0"]
    for ask in (jan.messages.retrieve(thread, ids[1]), jan.messages.delete(thread, ids[1])):
        with pytest.raises(NotFound) as caught:
            await ask
        assert (caught.value.code, caught.value.param) == ("message_not_found", "message_id")
    with pytest.raises(InvalidRequest):
        await jan.messages.list(thread, messages_query(after=ids[1]))


@pytest.mark.parametrize("name", IDS)
async def test_ids_of_nothing_are_not_found_or_refused(jan: Jan, thread: str, name: str) -> None:
    ids = await fill(jan, thread, 1)
    for param, asks in {
        "message_id": (
            jan.messages.retrieve(thread, name),
            jan.messages.update(thread, name, changed_message(metadata={})),
            jan.messages.delete(thread, name),
        ),
        "thread_id": (
            jan.messages.create(name, said()),
            jan.messages.list(name, messages_query()),
            jan.messages.retrieve(name, ids[0]),
            jan.messages.update(name, ids[0], changed_message()),
            jan.messages.delete(name, ids[0]),
        ),
    }.items():
        for ask in asks:
            with pytest.raises((NotFound, InvalidRequest)) as caught:
                await ask
            assert caught.value.param == param
            assert caught.value.code in ("invalid_id", "thread_not_found", "message_not_found")
    assert texts(await jan.messages.list(thread, messages_query())) == ["m0"]


async def test_a_message_belongs_to_its_thread_alone(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 1)
    other = str((await jan.threads.create(new_thread())).id)
    with pytest.raises(NotFound):
        await jan.messages.retrieve(other, ids[0])
    with pytest.raises(InvalidRequest):
        await jan.messages.list(other, messages_query(after=ids[0]))


async def test_a_deleted_thread_has_no_messages(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 2)
    await jan.threads.delete(thread)
    for ask in (
        jan.messages.create(thread, said()),
        jan.messages.list(thread, messages_query()),
        jan.messages.retrieve(thread, ids[0]),
    ):
        with pytest.raises(NotFound) as caught:
            await ask
        assert caught.value.code == "thread_not_found"
    await jan.reconciler.settled()
    await jan.messages.clear(thread)  # nothing is left, and that is no error


async def test_a_repeated_request_adds_nothing_and_gets_the_first_reply(jan: Jan, thread: str) -> None:
    first = await under("k", lambda: jan.messages.create(thread, said("once")))
    await jan.messages.update(thread, first.id, changed_message(metadata={"later": "yes"}))
    again = await under("k", lambda: jan.messages.create(thread, said("once")))
    assert written(again) == written(first)
    other = await under("l", lambda: jan.messages.create(thread, said("once")))
    assert other.id != first.id
    assert texts(await jan.messages.list(thread, messages_query())) == ["once", "once"]
    shown = written(await jan.messages.retrieve(thread, first.id))
    assert shown == {**written(first), "metadata": {"later": "yes"}}


async def test_a_key_that_came_with_another_body_is_a_conflict(jan: Jan, thread: str) -> None:
    await under("k", lambda: jan.messages.create(thread, said("one")))
    with pytest.raises(Conflict) as caught:
        await under("k", lambda: jan.messages.create(thread, said("two")))
    assert (caught.value.code, caught.value.param) == ("idempotency_conflict", None)
    assert texts(await jan.messages.list(thread, messages_query())) == ["one"]


async def test_a_key_counts_in_its_thread(jan: Jan, thread: str) -> None:
    other = str((await jan.threads.create(new_thread())).id)
    first = await under("k", lambda: jan.messages.create(thread, said("one")))
    second = await under("k", lambda: jan.messages.create(other, said("two")))
    assert first.id != second.id


async def test_requests_with_one_key_at_one_time_make_one_message(jan: Jan, thread: str) -> None:
    made = await asyncio.gather(
        *(under("k", lambda: jan.messages.create(thread, said("once"))) for _ in range(8)),
    )
    assert len({one.id for one in made}) == 1
    assert len((await jan.messages.list(thread, messages_query())).data) == 1


async def test_many_writers_lose_nothing_and_keep_their_order(jan: Jan, thread: str) -> None:
    async def write(who: int) -> None:
        for index in range(10):
            await jan.messages.create(thread, said(f"{who}-{index}"))

    await asyncio.gather(*(write(who) for who in range(4)))
    listed = texts(await jan.messages.list(thread, messages_query(order="asc", limit=100)))
    assert len(listed) == 40
    for who in range(4):
        assert [text for text in listed if text.startswith(f"{who}-")] == [f"{who}-{index}" for index in range(10)]


async def test_first_messages_are_there_in_order_and_again_when_the_attempt_is_repeated(jan: Jan) -> None:
    thread = "jan-1700000000-aaaaaaaaaaaaaa"
    await jan.messages.start(thread, [said("lost")])
    started = await jan.messages.start(thread, [said("a"), said("b", role="assistant", metadata={"x": "y"})])
    await jan.threads.put((await jan.threads.create(new_thread())).model_copy(update={"id": thread}))
    page = await jan.messages.list(thread, messages_query(order="asc"))
    assert page.data == [*started]
    assert texts(page) == ["a", "b"]


async def test_put_keeps_ids_and_times_and_replaces_in_place(jan: Jan, thread: str) -> None:
    ids = await fill(jan, thread, 2)
    body = {"id": "msg_own", "thread_id": thread, "created_at": 5, "role": "assistant", "content": []}
    own = Message.model_validate({**body, "status": "incomplete", "incomplete_at": 6, "run_id": "run_1"})
    await jan.messages.put(own)
    assert await jan.messages.retrieve(thread, "msg_own") == own
    newest: dict[str, Any] = {"update": {"metadata": {"a": "b"}}}
    await jan.messages.put((await jan.messages.retrieve(thread, ids[0])).model_copy(**newest))
    page = await jan.messages.list(thread, messages_query(order="asc"))
    assert [one.id for one in page.data] == [*ids, "msg_own"]
    assert page.data[0].metadata == {"a": "b"}


async def test_a_caller_may_change_what_it_was_given(jan: Jan, thread: str) -> None:
    made = await under("k", lambda: jan.messages.create(thread, said(metadata={"a": "b"})))
    kept = written(made)
    for one in (
        made,
        await jan.messages.retrieve(thread, made.id),
        await jan.messages.update(thread, made.id, changed_message()),
    ):
        one.metadata["a"] = "c"
        one.content.clear()
    page = await jan.messages.list(thread, messages_query())
    page.data[0].content.clear()
    page.data.clear()
    assert written(await jan.messages.retrieve(thread, made.id)) == kept
    assert written(await under("k", lambda: jan.messages.create(thread, said(metadata={"a": "b"})))) == kept
