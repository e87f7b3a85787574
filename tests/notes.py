"""An endpoint that the kernel does not know, as a stranger would write it in a package of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import EngineError, NotFound, NotSupported
from jan_core.hookspecs import Wrapper, hookspec
from jan_core.pages import cut
from jan_core.schemas.base import NamedEvent, Reply, Request
from jan_core.schemas.pages import Page, PageQuery

if TYPE_CHECKING:
    from jan_core.app import Jan


class Note(Reply):
    """A note."""

    id: str
    """Its id."""
    text: str
    """What it says."""


class NoteRequest(Request):
    """A note to be made."""

    text: str = Field(min_length=1)
    """What it says; `fail` fails after the first event."""
    stream: bool = False
    """Whether the making is told as events."""


class NoteDeleted(Reply):
    """A note that is gone."""

    id: str
    """Its id."""
    object: Literal["note.deleted"] = "note.deleted"
    """Always `note.deleted`."""


class NoteEvent(NamedEvent):
    """What happens while a note is made."""

    data: Note
    """The note as it is by then."""


class Notes(Endpoint):
    """Short notes."""

    name: ClassVar[str] = "notes"
    schemas: ClassVar[str] = __name__

    @operation("POST /v1/notes")
    @abstractmethod
    async def create(self, body: NoteRequest) -> Note:
        """Make a note."""

    @operation("POST /v1/notes", stream=True)
    @abstractmethod
    def create_stream(self, body: NoteRequest) -> AsyncIterator[NoteEvent]:
        """Make a note, and tell about it."""

    @operation("GET /v1/notes")
    @abstractmethod
    async def list(self, query: PageQuery) -> Page[Note]:
        """List the notes, page by page."""

    @operation("GET /v1/notes/{note_id}")
    @abstractmethod
    async def retrieve(self, note_id: str) -> Note:
        """Return a note."""

    @operation("DELETE /v1/notes/{note_id}", optional=True)
    async def delete(self, note_id: str) -> NoteDeleted:
        """Remove a note."""
        raise NotSupported("These notes are kept for ever.")

    @internal
    @abstractmethod
    async def erase(self, prefix: str, keep: int = 0) -> int:
        """Remove the notes whose text begins so, but for the first `keep`; return how many went."""


@hookspec(firstresult=True)
def provide_notes(settings: Any, jan: Jan) -> Notes:
    """Return the object that answers `notes`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_notes(settings: Any, jan: Jan) -> Mapping[str, Wrapper]:
    """Return wrappers for operations of `notes`."""
    raise NotImplementedError


class NotesInMemory(Notes):
    """Notes in a list. `open` counts streams under way."""

    def __init__(self) -> None:
        self.kept: list[Note] = []
        self.open = 0

    async def create(self, body: NoteRequest) -> Note:
        """See `Notes`."""
        note = Note(id=f"note_{len(self.kept)}", text=body.text)
        self.kept.append(note)
        return note

    async def create_stream(self, body: NoteRequest) -> AsyncIterator[NoteEvent]:
        """See `Notes`."""
        self.open += 1
        try:
            yield NoteEvent(event="note.begun", data=Note(id="", text=""))
            if body.text == "fail":
                raise EngineError("The pencil broke.")
            yield NoteEvent(event="note.made", data=await self.create(body))
        finally:
            self.open -= 1

    async def list(self, query: PageQuery) -> Page[Note]:
        """See `Notes`."""
        return cut(self.kept, query)

    async def retrieve(self, note_id: str) -> Note:
        """See `Notes`."""
        for note in self.kept:
            if note.id == note_id:
                return note
        raise NotFound(f"There is no note {note_id!r}.", param="note_id")

    async def erase(self, prefix: str, keep: int = 0) -> int:
        """See `Notes`."""
        gone = [note for note in self.kept if note.text.startswith(prefix)][keep:]
        self.kept = [note for note in self.kept if note not in gone]
        return len(gone)
