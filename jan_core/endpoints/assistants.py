"""`/v1/assistants`: who answers: a model, its instructions, its tools.

Source of the shapes: OpenAI's API reference, resource "Assistants" (v2); the pages on Jan's folder add `avatar` and
`thread_location`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.assistants import (
        Assistant,
        AssistantDeleted,
        AssistantPage,
        AssistantRequest,
        AssistantUpdate,
    )
    from jan_core.schemas.pages import PageQuery
    from jan_core.schemas.settings import SettingsLayer


class Assistants(Endpoint):
    """The assistants.

    There is always one of the id `jan`: it exists from the first start, may be modified, and cannot be deleted.
    What a request leaves out takes its default; what an update leaves out stays as it is; `metadata` is replaced as a
    whole. Two assistants made in one second are ordered by id.

    A store that has no model for an assistant replies with the one that would answer now: its own, else the first
    installed, else an empty string.
    """

    name: ClassVar[str] = "assistants"
    schemas: ClassVar[str] = "jan_core.schemas.assistants"

    @operation("POST /v1/assistants")
    @abstractmethod
    async def create(self, body: AssistantRequest) -> Assistant:
        """Make an assistant; its id begins with `asst_`.

        With an `Idempotency-Key` a repeated request makes nothing and gets the reply of the first.

        Raises:
            Conflict: the `Idempotency-Key` came before with another body.
            InvalidRequest: the store cannot keep threads where `thread_location` says, with code `invalid_location`.
        """

    @operation("GET /v1/assistants")
    @abstractmethod
    async def list(self, query: PageQuery) -> AssistantPage:
        """List assistants, page by page, as the store is now. One that is damaged hides no other.

        Raises:
            InvalidRequest: `after` or `before` names no assistant.
        """

    @operation("GET /v1/assistants/{assistant_id}")
    @abstractmethod
    async def retrieve(self, assistant_id: str) -> Assistant:
        """Return one assistant.

        Raises:
            NotFound: there is none of this id.
            InvalidRequest: the id cannot be one, or the stored assistant is damaged; the message says where.
        """

    @operation("POST /v1/assistants/{assistant_id}")
    @abstractmethod
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        """Change the fields that the body has.

        Raises:
            NotFound: there is none of this id.
            InvalidRequest: as `retrieve`, or `create`.
        """

    @operation("DELETE /v1/assistants/{assistant_id}")
    @abstractmethod
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        """Delete an assistant. Threads that it took part in stay, wherever they lie.

        Raises:
            NotFound: there is none of this id.
            InvalidRequest: it is `jan`, with code `protected_assistant`.
            Conflict: the store keeps threads inside of it, with code `assistant_has_threads`.
        """

    @internal
    @abstractmethod
    async def put(self, assistant: Assistant) -> None:
        """Store an assistant with the id and times it has, in place of one of the same id.

        For copying and importing.

        Raises:
            InvalidRequest: the id cannot be one.
        """

    @internal(optional=True)
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        """Return some assistants, those that are there, as lines with all that is stored, in the order asked for.

        For copying: what `jan_core.lines.line_of` makes of an assistant, so with the fields that the API does not know.
        Two stores that have the same return the same bytes. Missing and damaged ones are left out.

        The model of one that names none is an empty string.

        Raises:
            NotSupported: this store has no such lines.
        """
        raise NotSupported("The chosen assistants module cannot export assistants.")

    @internal(optional=True)
    async def restore(self, lines: Sequence[bytes]) -> None:
        """Store assistants that were exported with all that the lines have, each in place of one of the same id.

        Raises:
            InvalidRequest: a line is no assistant, an id is there twice or cannot be one; nothing was stored.
            NotSupported: this store cannot do it.
        """
        raise NotSupported("The chosen assistants module cannot restore assistants.")

    @internal
    @abstractmethod
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        """Say what the assistant itself sets, and where each of it stands, the stronger first.

        Unlike `retrieve` it gives no defaults: a field that nothing sets is in no layer.

        Raises:
            NotFound: there is none of this id.
        """
