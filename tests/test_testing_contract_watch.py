from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from jan_core.endpoint import Endpoint
from jan_core.endpoints.messages import Messages
from jan_core.endpoints.models import Models
from jan_core.endpoints.threads import Threads
from jan_core.errors import JanError, NotFound
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from jan_core.schemas.models import ModelDeleted
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.watch import CODE, Watch, hints

HELLO = MessageRequest(role="user", content="hello")


def message(id: str, **fields: Any) -> Message:
    values = {"id": id, "created_at": 5, "thread_id": "t", "role": "user", "content": [], "metadata": {}}
    return Message.model_validate({**values, **fields})


def page(*ids: str, more: bool = False, **fields: Any) -> MessagePage:
    first, last = (ids[0], ids[-1]) if ids else (None, None)
    told = {"first_id": first, "last_id": last, "has_more": more, **fields}
    return MessagePage(data=[message(id) for id in ids], **told)


def watch(endpoint: type[Endpoint], name: str, *arguments: Any) -> Watch:
    operation = endpoint.operations()[name]
    return Watch(operation, dict(zip(operation.arguments, arguments, strict=True)))


def test_the_declared_types_of_arguments() -> None:
    assert hints(Messages.operations()["start"]) == {"thread_id": str, "bodies": Sequence[MessageRequest]}


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("create", (5, HELLO), "'thread_id' as int, and str is declared"),
        ("create", ("t", {"role": "user"}), "'body' as dict, and MessageRequest is declared"),
        ("start", ("t", [HELLO, 5]), r"'bodies' as list.*\(1,\)"),
        ("put", (HELLO,), "'message' as MessageRequest, and Message is declared"),
        (
            "list",
            ("t", MessagesQuery.model_construct(limit=1000)),
            "'query' as MessagesQuery .*'limit'.*less than or equal to 100",
        ),
        ("create", ("t", HELLO.model_copy(update={"role": "nobody"})), "'body' .*'role'"),
    ],
)
def test_wrong_arguments(name: str, arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(Broken, match=f"its caller gave the argument {told}"):
        watch(Messages, name, *arguments).asked()


def test_right_arguments() -> None:
    for name, arguments in (
        ("create", ("../x", HELLO)),
        ("create", ("t", HELLO.model_copy(update={"metadata": None}))),
        ("start", ("t", (HELLO, HELLO))),
        ("put", (message("m"),)),
        ("list", ("t", MessagesQuery(after="m"))),
    ):
        watch(Messages, name, *arguments).asked()


@pytest.mark.parametrize(
    ("query", "found", "told"),
    [
        ({"limit": 1}, page("a", "b"), "2 objects, and the limit is 1"),
        ({}, page("a", "a"), "different ids"),
        ({"after": "a"}, page("a", "b"), "that are its cursor"),
        ({"before": "b"}, page("a", "b"), "that are its cursor"),
        ({}, page("a", "b", first_id="b"), "first_id and last_id"),
        ({}, page("a", "b", last_id="c"), "first_id and last_id"),
        ({}, page("a", last_id=None), "first_id and last_id"),
        ({}, page(first_id=""), "first_id and last_id"),
        ({"limit": 2}, page("a", "b", more=True, last_id="c"), "first_id and last_id"),
        ({}, page(more=True), "is empty, says that there are more, and does not lead to them"),
    ],
)
def test_wrong_pages(query: dict[str, Any], found: MessagePage, told: str) -> None:
    with pytest.raises(Broken, match=told):
        watch(Messages, "list", "t", MessagesQuery(**query)).answered(found)


def test_right_pages() -> None:
    for query, found in (
        ({}, page()),
        ({"limit": 2}, page("a", "b", more=True)),
        ({"after": "c"}, page("a")),
        # A listing that is filtered may stop early, and says where.
        ({"limit": 2}, page("a", more=True, last_id="x")),
        ({}, page(more=True, last_id="x")),
    ):
        watch(Messages, "list", "t", MessagesQuery(**query)).answered(found)


@pytest.mark.parametrize(
    ("endpoint", "name", "arguments", "reply", "told"),
    [
        (Messages, "retrieve", ("t", "m"), message("n"), "the id that messages.retrieve answers with, asked for 'm'"),
        (Messages, "retrieve", ("u", "m"), message("m"), "thread_id of 'm'"),
        (Messages, "update", ("t", "m", MessageUpdate()), message("n"), "asked for 'm'"),
        (Messages, "create", ("u", HELLO), message("m"), "thread_id of 'm'"),
        (Messages, "list", ("u", MessagesQuery()), page("m"), "thread_id of 'm'"),
        (Messages, "delete", ("t", "m"), MessageDeleted(id="n", deleted=True), "asked for 'm'"),
        (Messages, "delete", ("t", "m"), MessageDeleted(id="m", deleted=False), "deleted, in the answer"),
        (Models, "delete", ("a/b",), ModelDeleted(id="b", deleted=True), "asked for 'a/b'"),
        (Messages, "retrieve", ("t", "m"), {"id": "m"}, "answered a dict, and Message is declared"),
        (Messages, "retrieve", ("t", "m"), message("m").model_copy(update={"role": 5}), "what its schema does not"),
        (Threads, "check", ("t",), message("m"), "which is not the declared"),
        (Threads, "deleted", (), [5], "which is not the declared"),
    ],
)
def test_wrong_replies(endpoint: type[Endpoint], name: str, arguments: Any, reply: Any, told: str) -> None:
    with pytest.raises(Broken, match=told):
        watch(endpoint, name, *arguments).answered(reply)


def test_right_replies() -> None:
    part = {"type": "text", "text": {"value": "a", "annotations": []}}
    watch(Messages, "retrieve", "t", "m").answered(message("m", content=[part]))
    watch(Messages, "delete", "t", "m").answered(MessageDeleted(id="m", deleted=True))
    watch(Messages, "start", "t", [HELLO]).answered([message("m")])
    watch(Threads, "check", "t").answered(None)


def test_arguments_that_are_changed() -> None:
    for change in (lambda body: setattr(body, "content", "bye"), lambda body: body.metadata.update(c="d")):
        body: BaseModel = MessageRequest(role="user", content="hello", metadata={"a": "b"})
        looks = watch(Messages, "create", "t", body)
        change(body)
        with pytest.raises(Broken, match="it changed the argument 'body' of its caller: (content|metadata)"):
            looks.answered(message("m"))
    bodies = [HELLO]
    looks = watch(Messages, "start", "t", bodies)
    bodies.clear()
    with pytest.raises(Broken, match="it changed the argument 'bodies'"):
        looks.ended()


def test_errors_that_are_no_answers() -> None:
    looks = watch(Messages, "retrieve", "t", "m")
    for right in (NotFound("There is none."), JanError("It broke its contract.", code=CODE), NotImplementedError()):
        looks.refused(right)
    for wrong, told in ((KeyError("m"), "it raised KeyError"), (JanError("Hm."), "refused with the status 500")):
        with pytest.raises(Broken, match=told):
            looks.refused(wrong)
