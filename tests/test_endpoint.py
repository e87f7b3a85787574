from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.endpoints.chat import Chat
from jan_core.endpoints.models import Models
from jan_core.endpoints.runs import Runs
from jan_core.errors import NotSupported
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.pages import Page, PageQuery
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from tests.notes import Note, NoteEvent, NoteRequest, Notes, NotesInMemory


def test_python_refuses_an_implementation_that_lacks_required_operations_and_names_them() -> None:
    class Half(Notes):
        async def create(self, body: NoteRequest) -> Note:
            raise AssertionError

    with pytest.raises(TypeError, match="Half") as caught:
        Half()  # type: ignore[abstract]
    for name in ("create_stream", "erase", "list", "retrieve"):
        assert name in str(caught.value)
    assert "delete" not in str(caught.value)  # optional


def test_operations_are_in_the_order_of_declaration_with_route_parameters_and_arguments() -> None:
    told = [(one.name, one.method, one.path, one.parameters, one.arguments) for one in Notes.operations().values()]
    assert told == [
        ("create", "POST", "/v1/notes", (), ("body",)),
        ("create_stream", "POST", "/v1/notes", (), ("body",)),
        ("list", "GET", "/v1/notes", (), ("query",)),
        ("retrieve", "GET", "/v1/notes/{note_id}", ("note_id",), ("note_id",)),
        ("delete", "DELETE", "/v1/notes/{note_id}", ("note_id",), ("note_id",)),
        ("erase", None, None, (), ("prefix", "keep")),
    ]
    assert [one.name for one in Notes.operations().values() if one.stream] == ["create_stream"]
    assert [one.name for one in Notes.operations().values() if one.optional] == ["delete"]
    assert Models.operations()["retrieve"].parameters == ("model",)  # `{model:path}`
    assert Notes.operations()["create"].qualified == "notes.create"
    assert {one.name for one in Runs.operations().values() if one.headers is not None} == {
        "create",
        "create_thread",
        "retrieve",
        "cancel",
        "submit_tool_outputs",
    }
    assert Notes.operations()["create"].doc == "Make a note."


def test_types_come_from_the_annotations() -> None:
    create, stream = Chat.operations()["create"].types(), Chat.operations()["create_stream"].types()
    assert (create.body, create.query, create.reply, create.item) == (ChatCompletionRequest, None, ChatCompletion, None)
    assert (stream.body, stream.reply, stream.item) == (ChatCompletionRequest, None, ChatCompletionChunk)
    listing = Notes.operations()["list"].types()
    assert (listing.query, listing.reply) == (PageQuery, Page[Note])
    assert Notes.operations()["create_stream"].types().item is NoteEvent
    assert Notes.operations()["erase"].types().reply is int


@pytest.mark.parametrize("endpoint", [Chat, Models, Notes])
def test_every_operation_resolves_and_is_described(endpoint: type[Endpoint]) -> None:
    assert endpoint.operations()
    for one in endpoint.operations().values():
        types = one.types()
        assert one.doc, one.qualified
        assert (types.item if one.stream else types.reply) is not None, one.qualified
        assert set(one.parameters) <= set(one.arguments), one.qualified
        assert set(one.arguments) == {*one.parameters, *(n for n in one.arguments if n in ("body", "query"))} or (
            one.path is None
        )


def test_supports_says_what_is_overridden() -> None:
    chat, models, notes = ScriptedChat(), ModelsInMemory(), NotesInMemory()
    assert chat.supports("create")
    assert chat.supports("create_stream")
    assert not chat.supports("list")
    assert not chat.supports("count_tokens")
    assert models.supports("delete")
    assert not notes.supports("delete")
    with pytest.raises(KeyError):
        notes.supports("no_such_operation")


@pytest.mark.anyio
async def test_an_optional_operation_left_alone_raises_not_supported() -> None:
    optional = [one for one in Chat.operations().values() if one.optional]
    assert len(optional) >= 6
    chat = ScriptedChat()
    for one in optional:
        with pytest.raises(NotSupported):
            await getattr(chat, one.name)(**dict.fromkeys(one.arguments))


def test_a_stream_declared_with_async_and_a_plain_operation_without_are_refused() -> None:
    class Streams(Endpoint):
        name: ClassVar[str] = "streams"
        schemas: ClassVar[str] = __name__

        @operation("POST /v1/streams")
        async def plain(self, body: Any) -> Any:
            """Plain."""

        @operation("POST /v1/streams", stream=True)
        async def wrong(self, body: Any) -> Any:
            """Streams."""

    class Plain(Endpoint):
        name: ClassVar[str] = "plain"
        schemas: ClassVar[str] = __name__

        @operation("GET /v1/plain")
        def wrong(self) -> Any:
            """Plain."""

    with pytest.raises(TypeError, match=r"Streams.wrong streams: declare it without `async`"):
        Streams.operations()
    with pytest.raises(TypeError, match=r"Plain.wrong does not stream: declare it `async`"):
        Plain.operations()


def test_a_stream_alone_on_its_route_is_refused() -> None:
    class Alone(Endpoint):
        name: ClassVar[str] = "alone"
        schemas: ClassVar[str] = __name__

        @operation("POST /v1/alone", stream=True)
        def wrong(self, body: Any) -> AsyncIterator[Any]:
            """Stream."""
            raise NotImplementedError

    with pytest.raises(TypeError, match=r"Alone.wrong has no plain operation beside it at POST /v1/alone"):
        Alone.operations()


def test_a_class_that_derives_from_no_endpoint_class_is_told_so() -> None:
    class Lost(Endpoint):
        pass

    with pytest.raises(TypeError, match="Lost derives from no endpoint class"):
        Lost.operations()


def test_an_endpoint_that_extends_another_has_the_operations_of_both() -> None:
    class More(Notes):
        schemas: ClassVar[str] = "tests.notes"

        @internal
        @abstractmethod
        async def count(self) -> int:
            """Count."""

    assert [*More.operations()] == [*Notes.operations(), "count"]
    assert More.operations()["create"].endpoint is More
    assert NotesInMemory.declared() is Notes
