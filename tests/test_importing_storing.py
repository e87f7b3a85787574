from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.importing.report import Item
from jan_core.importing.storing import store_assistant, store_conversation
from jan_core.importing.threads import Conversation
from jan_core.schemas.assistants import Assistant, AssistantUpdate
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.schemas.threads import Thread, ThreadsQuery, ThreadUpdate
from jan_core.testing.wired import CONVERSATIONS, SCRIPTED, wired

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Jan]:
    async with wired(tmp_path / "root", modules={**SCRIPTED, **CONVERSATIONS}) as jan:
        yield jan


def talk(*ids: str, **more: Any) -> Conversation:
    messages = [
        Message.model_validate(
            {
                "id": one,
                "thread_id": "t",
                "created_at": 5,
                "completed_at": 5,
                "role": "user",
                "content": [{"type": "text", "text": {"value": f"said {one}", "annotations": []}}],
            }
        )
        for one in ids
    ]
    return Conversation(Thread(id="t", created_at=5, title="T", **more), messages, None, [], [])


async def bring(jan: Jan, found: Conversation, *, dry_run: bool = False) -> Item:
    item = Item("thread", "t", "skipped", Path("x"))
    await store_conversation(jan, found, item, dry_run)
    return item


async def ids(jan: Jan) -> list[str]:
    return [one.id for one in (await jan.messages.list("t", MessagesQuery(order="asc", limit=100))).data]


async def test_a_thread_and_its_messages(app: Jan) -> None:
    item = await bring(app, talk("a", "b"))
    assert (item.outcome, item.messages) == ("imported", 2)
    assert (await app.threads.retrieve("t")).title == "T"
    assert await ids(app) == ["a", "b"]
    again = await bring(app, talk("a", "b"))
    assert (again.outcome, again.messages, again.notes) == ("present", 0, [])


async def test_a_dry_run_only_looks(app: Jan) -> None:
    item = await bring(app, talk("a", "b"), dry_run=True)
    assert (item.outcome, item.messages) == ("imported", 2)
    assert (await app.threads.list(ThreadsQuery())).data == []


async def test_what_was_said_since_is_added(app: Jan) -> None:
    many = [f"m{number:03}" for number in range(250)]
    await bring(app, talk(*many[:201]))
    item = await bring(app, talk(*many), dry_run=True)
    assert (item.outcome, item.messages) == ("imported", 49)
    item = await bring(app, talk(*many))
    assert (item.outcome, item.messages) == ("imported", 49)
    assert (await bring(app, talk(*many))).outcome == "present"


async def test_messages_of_an_attempt_that_broke_off(app: Jan) -> None:
    for message in talk("a", "b").messages[:1]:
        await app.messages.put(message)
    assert (await bring(app, talk("a", "b"))).outcome == "imported"
    assert await ids(app) == ["a", "b"]


async def test_a_thread_that_went_on_here_is_left_alone(app: Jan) -> None:
    await bring(app, talk("a", "b"))
    await app.messages.create("t", MessageRequest(role="user", content="mine"))
    assert (await bring(app, talk("a", "b"))).outcome == "present"
    item = await bring(app, talk("a", "b", "c"))
    assert (item.outcome, item.messages) == ("skipped", 0)
    assert item.why == "the thread went on here: 1 more would come between others, or after them"
    assert len(await ids(app)) == 3


async def test_a_message_between_others_is_not_squeezed_in(app: Jan) -> None:
    await bring(app, talk("a", "c"))
    assert (await bring(app, talk("a", "b", "c"))).outcome == "skipped"


async def test_what_was_changed_here_stays(app: Jan) -> None:
    await bring(app, talk("a"))
    await app.threads.update("t", ThreadUpdate(title="Mine"))
    changed = talk("a").messages[0].model_copy(update={"content": []})
    await app.messages.put(changed)
    item = await bring(app, talk("a"))
    assert item.outcome == "present"
    assert item.notes == [
        "the thread is here already, and its title differs: left as it is here",
        "messages differ from those here: left as they are here",
    ]
    assert (await app.threads.retrieve("t")).title == "Mine"


async def test_another_thread_of_the_same_id(app: Jan) -> None:
    await bring(app, talk("a"))
    other = talk("x", model="m")
    assert (await bring(app, other)).why == "another thread 't' is here"


async def test_a_deleted_thread_is_not_brought_while_it_is_being_removed(app: Jan) -> None:
    await bring(app, talk("a"))
    await app.threads.delete("t")
    item = await bring(app, talk("a"))
    assert (item.outcome, item.why) == ("skipped", "a thread of this id was deleted here, and is being removed")
    await app.reconciler.settled()
    assert (await bring(app, talk("a"))).outcome == "imported"


def assistant(**more: Any) -> Assistant:
    return Assistant.model_validate({"id": "x", "created_at": 5, "name": "X", "model": "", **more})


async def bring_assistant(jan: Jan, found: Assistant, *, dry_run: bool = False) -> Item:
    item = Item("assistant", found.id, "skipped", Path("x"))
    await store_assistant(jan, found, item, dry_run)
    return item


async def test_an_assistant(app: Jan) -> None:
    assert (await bring_assistant(app, assistant(), dry_run=True)).outcome == "imported"
    assert (await bring_assistant(app, assistant())).outcome == "imported"
    assert (await bring_assistant(app, assistant())).outcome == "present"
    await app.assistants.update("x", AssistantUpdate(instructions="Mine"))
    assert (await bring_assistant(app, assistant())).outcome == "present"
    item = await bring_assistant(app, assistant(name="Y", instructions="Theirs", model="m"))
    assert (item.outcome, item.why) == (
        "skipped",
        "an assistant 'x' is here already, and its name, model, instructions differ",
    )
    assert (await app.assistants.retrieve("x")).name == "X"


async def test_jan_takes_its_place_only_where_it_sets_nothing(app: Jan) -> None:
    theirs = assistant(id="jan", name="Jan", instructions="Be kind.", description="Mine")
    assert (await bring_assistant(app, theirs)).outcome == "imported"
    assert (await app.assistants.retrieve("jan")).instructions == "Be kind."
    assert (await bring_assistant(app, theirs)).outcome == "present"
    item = await bring_assistant(app, assistant(id="jan", name="Jan", instructions="Be brief."))
    assert (item.outcome, item.notes) == ("present", ["it was left as it is here"])
    assert (await app.assistants.retrieve("jan")).instructions == "Be kind."
