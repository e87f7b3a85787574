"""`/v1/threads/{thread_id}/messages`: what was said in a thread.

Source of the shapes: OpenAI's API reference, resource "Messages" (Assistants v2).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.messages import (
        Message,
        MessageDeleted,
        MessagePage,
        MessageRequest,
        MessagesQuery,
        MessageUpdate,
    )


class Messages(Endpoint):
    """The messages of threads.

    The order of a thread's messages is the order in which they were stored, whatever their times say. A message whose
    creation was answered is there from then on, also after a power cut. Whoever asks sees at least what had been
    answered before.

    Every public operation asks `jan.threads.check` first, so a thread that is deleted has no messages.
    """

    name: ClassVar[str] = "messages"
    schemas: ClassVar[str] = "jan_core.schemas.messages"

    @operation("POST /v1/threads/{thread_id}/messages")
    @abstractmethod
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        """Add a message at the end; its id begins with `msg_`.

        With an `Idempotency-Key` a repeated request, in the same thread, adds nothing and gets the reply of the first;
        for a day at least also where that message was deleted meanwhile.

        Raises:
            NotFound: there is no such thread.
            Conflict: the `Idempotency-Key` came before with another body.
        """

    @operation("GET /v1/threads/{thread_id}/messages")
    @abstractmethod
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        """List messages, newest first unless told otherwise, page by page.

        Raises:
            NotFound: there is no such thread.
            InvalidRequest: `after` or `before` names no message of the thread.
        """

    @operation("GET /v1/threads/{thread_id}/messages/{message_id}")
    @abstractmethod
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        """Return one message.

        Raises:
            NotFound: there is no such thread, or no such message in it.
            InvalidRequest: an id cannot be one, or the stored message is damaged; the message says where.
        """

    @operation("POST /v1/threads/{thread_id}/messages/{message_id}")
    @abstractmethod
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        """Replace the metadata.

        Raises:
            NotFound, InvalidRequest: as `retrieve`.
        """

    @operation("DELETE /v1/threads/{thread_id}/messages/{message_id}")
    @abstractmethod
    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        """Delete one message.

        Raises:
            NotFound, InvalidRequest: as `retrieve`.
        """

    @internal(optional=True)
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        """Return what `create` answered to this request before, under its `Idempotency-Key`, and store nothing.

        It is asked while nothing may be added to the thread: a request that comes again then gets the first reply.

        Returns:
            None where the request has no key, or the key did not come before in this thread.

        Raises:
            NotFound, Conflict: as `create`.
            NotSupported: this store cannot tell.
        """
        raise NotSupported("The chosen messages module cannot look for the reply to a repeated request.")

    @internal
    @abstractmethod
    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        """Store the first messages of a thread that does not exist yet, in their order, all or none.

        Called again for the same thread, because an attempt to create it broke off, it replaces what it stored.
        """

    @internal
    @abstractmethod
    async def put(self, message: Message) -> None:
        """Store a message with the id and times it has: in place of one of the same id, else at the end.

        For answers of runs, for copying and importing. It does not ask whether the thread exists.
        """

    @internal(optional=True)
    async def export(self, thread_id: str, after: str | None, limit: int) -> Sequence[bytes]:
        """Return messages of a thread, the oldest first, each as a line of JSON with all that is stored of it.

        For copying: what `jan_core.lines.line_of` makes of a message, so with the fields that the API does not know.
        Two stores that have the same return the same bytes. Damaged messages are left out, and what is noted of an
        `Idempotency-Key` as well. It does not ask whether the thread exists.

        Args:
            thread_id: the thread; nothing is returned where nothing is stored of it.
            after: the id of a message behind which to begin; None begins with the oldest.
            limit: how many, at most.

        Raises:
            InvalidRequest: `after` names no message of the thread.
            NotSupported: this store has no such lines.
        """
        raise NotSupported("The chosen messages module cannot export messages.")

    @internal(optional=True)
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        """Store messages that were exported at the end of a thread, in their order, with all that the lines have.

        Where it breaks off, the first of them may be there, and no other.

        Raises:
            Conflict: a message of such an id is there; nothing was stored.
            InvalidRequest: a line is no message of this thread, or cannot be stored; nothing was stored.
            NotSupported: this store cannot do it.
        """
        raise NotSupported("The chosen messages module cannot restore messages.")

    @internal
    @abstractmethod
    async def clear(self, thread_id: str) -> None:
        """Remove all messages of a thread that was deleted. Nothing where there are none."""
