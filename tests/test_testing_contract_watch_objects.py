from __future__ import annotations

import time
from typing import Any

import pytest

from jan_core.endpoint import Endpoint
from jan_core.endpoints.assistants import Assistants
from jan_core.endpoints.messages import Messages
from jan_core.endpoints.models import Models
from jan_core.endpoints.threads import Threads
from jan_core.schemas.assistants import Assistant, AssistantRequest, AssistantUpdate
from jan_core.schemas.messages import Message, MessagePage, MessagesQuery
from jan_core.schemas.models import Model, ModelList
from jan_core.schemas.threads import Thread, ThreadPage, ThreadRequest, ThreadsQuery, ThreadUpdate
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import (
    AssistantWatch,
    ListByTimeWatch,
    MessagesWatch,
    ModelsWatch,
    ThreadsWatch,
    ThreadWatch,
)


def watch(kind: type[Watch], endpoint: type[Endpoint], name: str, *arguments: Any) -> Watch:
    operation = endpoint.operations()[name]
    return kind(operation, dict(zip(operation.arguments, arguments, strict=True)))


def assistant(id: str = "asst_1", at: int = 5, **metadata: str) -> Assistant:
    return Assistant.model_validate({"id": id, "created_at": at, "model": "m", "metadata": metadata})


def thread(id: str = "jan-5-a", at: int = 5, who: str | None = None, **metadata: str) -> Thread:
    assistants = [{"assistant_id": who}] if who else None
    return Thread.model_validate({"id": id, "created_at": at, "metadata": metadata, "assistants": assistants})


def test_what_is_made() -> None:
    def made(reply: Assistant, **metadata: str) -> None:
        body = AssistantRequest(model="m", metadata=metadata or None)
        watch(AssistantWatch, Assistants, "create", body).answered(reply)

    made(assistant())
    made(assistant(a="b"), a="b")
    for wrong, told in (
        (assistant("1"), "the id '1' does not begin with asst_"),
        (assistant(a="b"), "the metadata of 'asst_1'"),
        (assistant(at=int(time.time()) + 60), "which is to come"),
        (assistant().model_copy(update={"created_at": int(time.time()) * 1000}), "which is to come"),
    ):
        with pytest.raises(Broken, match=told):
            made(wrong)


def test_what_is_changed() -> None:
    def changed(reply: Assistant, **fields: Any) -> None:
        body = AssistantUpdate.model_validate(fields)
        watch(AssistantWatch, Assistants, "update", reply.id, body).answered(reply)

    changed(assistant("jan", a="b"), name="x")
    changed(assistant("jan", a="b"), metadata={"a": "b"})
    changed(assistant("jan"), metadata=None)
    with pytest.raises(Broken, match="the metadata of 'jan'"):
        changed(assistant("jan", a="b", c="d"), metadata={"a": "b"})


def test_ids_of_threads() -> None:
    def made(id: str, *assistants: str) -> None:
        body = ThreadRequest.model_validate({"assistants": [{"assistant_id": one} for one in assistants] or None})
        watch(ThreadWatch, Threads, "create", body).answered(thread(id))

    made("jan-5-a")
    made("my-own-5-a", "my-own", "jan")
    made(f"{'x' * 110}-5-a", "x" * 128)
    for wrong in (("thread_1",), ("5-a",), ("jan-5-a", "zoe", "jan"), ("zoe-5-a",)):
        with pytest.raises(Broken, match="does not begin with"):
            made(*wrong)
    watch(ThreadWatch, Threads, "update", "any", ThreadUpdate()).answered(thread("any"))


def listed(*data: Thread, **query: Any) -> None:
    asked = ThreadsQuery(**query)
    found = ThreadPage(data=list(data), first_id=data[0].id, last_id=data[-1].id, has_more=False)
    watch(ThreadsWatch, Threads, "list", asked).answered(found)


def test_threads_that_are_listed() -> None:
    old, new, twin = thread("jan-5-a", a="b"), thread("jan-6-a", 6, "zoe"), thread("jan-6-b", 6)
    listed(twin, new, old)
    listed(old, new, twin, order="asc")
    listed(old, metadata={"a": "b"})
    listed(new, assistant_id="zoe")
    for wrong, query, told in (
        ((new, twin, old), {}, "the wrong order"),
        ((twin, new), {"order": "asc"}, "the wrong order"),
        ((new,), {"metadata": {"a": "b"}}, "'jan-6-a' does not have the metadata"),
        ((old,), {"assistant_id": "zoe"}, "takes no part in 'jan-5-a'"),
    ):
        with pytest.raises(Broken, match=told):
            listed(*wrong, **query)


def test_orders_are_not_for_all() -> None:
    """Messages are listed as they were stored, whatever their times say."""
    values = {"thread_id": "t", "role": "user", "content": [], "metadata": {}, "run_id": "run_1"}
    data = [Message.model_validate({**values, "id": f"msg_{at}", "created_at": at}) for at in (5, 7, 6)]
    found = MessagePage(data=data, first_id="msg_5", last_id="msg_6", has_more=False)
    watch(MessagesWatch, Messages, "list", "t", MessagesQuery(run_id="run_1")).answered(found)
    with pytest.raises(Broken, match="'msg_5' is of the run 'run_1', and 'run_2' was asked for"):
        watch(MessagesWatch, Messages, "list", "t", MessagesQuery(run_id="run_2")).answered(found)
    assert issubclass(ThreadsWatch, ListByTimeWatch)
    assert not issubclass(MessagesWatch, ListByTimeWatch)


def test_models_are_listed_by_id_each_once() -> None:
    def models(*ids: str) -> None:
        data = [Model(id=id, created=5, owned_by="me") for id in ids]
        watch(ModelsWatch, Models, "list").answered(ModelList(data=data))

    models()
    models("B", "a")
    for wrong in (("a", "B"), ("a", "a")):
        with pytest.raises(Broken, match="the ids of the models"):
            models(*wrong)
