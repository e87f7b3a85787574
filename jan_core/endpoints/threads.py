"""`/v1/threads`: conversations, without their messages.

Source of the shapes: OpenAI's API reference, resource "Threads" (Assistants v2). Beyond it: threads can be listed, and
have a `title`, `assistants`, and a `model` and `parameters` of their own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.settings import SettingsLayer
    from jan_core.schemas.threads import (
        Thread,
        ThreadDeleted,
        ThreadPage,
        ThreadRequest,
        ThreadsQuery,
        ThreadUpdate,
    )


class Threads(Endpoint):
    """The threads.

    A thread's id is `<assistant>-<Unix seconds>-<salt>`: the id of its first assistant, or `jan`; ids of threads of
    one assistant sort by when they were made. What an update leaves out stays as it is; `metadata` and `parameters`
    are replaced as a whole. `runs` is no thread's id over HTTP: that path belongs to runs.

    **Deleting** hides a thread at once and durably; what other endpoints hold of it is removed afterwards. The kernel
    does that, in any process that serves the store, also after a crash: for every id of `deleted` it calls `clear` of
    the endpoints that have one (`messages`, …), then `forget`. An implementation only keeps the note.
    """

    name: ClassVar[str] = "threads"
    schemas: ClassVar[str] = "jan_core.schemas.threads"
    # POST /v1/threads/runs makes a thread and runs it; without runs it must not be the update of a thread.
    reserved: ClassVar[frozenset[str]] = frozenset({"runs"})

    @operation("POST /v1/threads")
    @abstractmethod
    async def create(self, body: ThreadRequest) -> Thread:
        """Make a thread, with its first messages where the body has some.

        The messages are stored first (`messages.start`), so that whoever sees the thread sees all of them. With an
        `Idempotency-Key` a repeated request makes nothing and gets the reply of the first.

        Raises:
            Conflict: the `Idempotency-Key` came before with another body.
            InvalidRequest: the body has messages, and no messages module is chosen; or no id can begin with the first
                assistant's.
        """

    @operation("GET /v1/threads")
    @abstractmethod
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        """List threads by `(created_at, id)`, newest first unless told otherwise, page by page.

        A filter on metadata may end a page early, even an empty one, with `has_more` true; `last_id` is then where it
        stopped looking, and leads on.

        Raises:
            InvalidRequest: `after` or `before` names no thread.
        """

    @operation("GET /v1/threads/{thread_id}")
    @abstractmethod
    async def retrieve(self, thread_id: str) -> Thread:
        """Return one thread.

        Raises:
            NotFound: there is none of this id, or it was deleted.
            InvalidRequest: the id cannot be one, or the stored thread is damaged; the message says where.
        """

    @operation("POST /v1/threads/{thread_id}")
    @abstractmethod
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        """Change the fields that the body has.

        Raises:
            NotFound, InvalidRequest: as `retrieve`.
        """

    @operation("DELETE /v1/threads/{thread_id}")
    @abstractmethod
    async def delete(self, thread_id: str) -> ThreadDeleted:
        """Delete a thread and all that belongs to it.

        When it returns, no operation finds the thread, and none will after a crash.

        Raises:
            NotFound: there is none of this id.
        """

    @internal
    @abstractmethod
    async def check(self, thread_id: str) -> None:
        """Return where the thread exists. Other endpoints ask before everything they do in it, so it must be cheap.

        Raises:
            NotFound, InvalidRequest: as `retrieve`.
        """

    @internal
    @abstractmethod
    async def put(self, thread: Thread) -> None:
        """Store a thread with the id and times it has, in place of one of the same id. For copying and importing.

        Raises:
            Conflict: a thread of this id was deleted, and `forget` was not called for it yet.
            InvalidRequest: the id cannot be one.
        """

    @internal(optional=True)
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        """Return some threads, those that are there, as lines with all that is stored, in the order asked for.

        For copying: what `jan_core.lines.line_of` makes of a thread, so with the fields that the API does not know.
        Two stores that have the same return the same bytes. Missing and damaged ones are left out.

        Raises:
            NotSupported: this store has no such lines.
        """
        raise NotSupported("The chosen threads module cannot export threads.")

    @internal(optional=True)
    async def restore(self, lines: Sequence[bytes]) -> None:
        """Store threads that were exported with all that the lines have, each in place of one of the same id.

        Raises:
            Conflict: a thread of such an id was deleted, and `forget` was not called for it yet; nothing was stored.
            InvalidRequest: a line is no thread, an id is there twice or cannot be one; nothing was stored.
            NotSupported: this store cannot do it.
        """
        raise NotSupported("The chosen threads module cannot restore threads.")

    @internal
    @abstractmethod
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        """Say what the thread itself sets (`model`, `parameters`), and where that stands, the stronger first.

        Raises:
            NotFound: there is none of this id.
        """

    @internal
    @abstractmethod
    async def deleted(self) -> Sequence[str]:
        """The ids of deleted threads that `forget` was not called for yet."""

    @internal
    @abstractmethod
    async def forget(self, thread_id: str) -> None:
        """Remove what is left of a deleted thread, and the note that it was deleted. Nothing where there is none."""
