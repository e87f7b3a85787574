"""Keeps messages and runs apart: the layer of the kernel around `messages` and `runs`, where both are served.

While a thread has a run that has not ended, nobody adds a message, and the answer that the run is saying can be read
and listed as the newest message, `in_progress`. It is stored when it is whole; until then it exists in the run alone.

A run begins when every message that was taken is stored, and while it begins none is taken: so it has read whatever
stands before its answer. That holds among the requests of one process. Of two processes, one may take a message in the
moment in which the other begins a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jan_core.errors import InvalidRequest, NotFound
from jan_core.folder.turns import Turns

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message, MessagePage, MessageRequest, MessagesQuery
    from jan_core.schemas.runs import Run, RunEvent, RunRequest, Unfinished

Proceed = Callable[..., Awaitable[Any]]


class Answers:
    """The layer of one app.

    Args:
        jan: gives `runs`, `messages` and `threads`, wrapped.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._turns = Turns()
        self._adding: dict[str, set[asyncio.Event]] = {}

    def wrappers(self, endpoint: str) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What goes around the operations of `messages`, or of `runs`, by name."""
        if endpoint == "runs":
            return {"create": self._begin, "create_stream": self._begin_stream}
        return {
            "create": self._create,
            "retrieve": self._retrieve,
            "update": self._change,
            "delete": self._change,
            "list": self._list,
        }

    async def _begin(self, proceed: Proceed, thread_id: str, body: RunRequest) -> Run:
        async with self._alone(thread_id):
            run: Run = await proceed(thread_id, body)
            return run

    async def _begin_stream(self, proceed: Proceed, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        events: AsyncIterator[RunEvent] = await proceed(thread_id, body)
        return self._begun(thread_id, events)

    async def _begun(self, thread_id: str, events: AsyncIterator[RunEvent]) -> AsyncIterator[RunEvent]:
        async with self._alone(thread_id):
            first = await anext(events, None)  # it has begun when it tells something
        if first is not None:
            yield first
        async for event in events:
            yield event

    @asynccontextmanager
    async def _alone(self, thread_id: str) -> AsyncIterator[None]:
        """Nobody adds a message to the thread while the block runs, and nobody else begins a run in it."""
        async with self._turns.of(thread_id):
            for stored in [*self._adding.get(thread_id, ())]:
                await stored.wait()
            yield

    async def _create(self, proceed: Proceed, thread_id: str, body: MessageRequest) -> Message:
        stored = asyncio.Event()
        async with self._turns.of(thread_id):
            unfinished = await self._jan.runs.unfinished(thread_id)
            if unfinished is None:
                self._adding.setdefault(thread_id, set()).add(stored)
        if unfinished is None:
            try:
                message: Message = await proceed(thread_id, body)
                return message
            finally:
                stored.set()
                self._adding[thread_id].remove(stored)
                if not self._adding[thread_id]:
                    del self._adding[thread_id]
        await self._jan.threads.check(thread_id)  # that of a deleted thread says nothing
        messages = self._jan.messages
        first: Message | None = await messages.repeated(thread_id, body) if messages.supports("repeated") else None
        if first is not None:
            return first
        raise InvalidRequest(
            f"The thread {thread_id!r} takes no message while its run {unfinished.run.id!r} is "
            f"{unfinished.run.status}; wait for its end, or cancel it.",
            param="thread_id",
            code="run_active",
        )

    async def _retrieve(self, proceed: Proceed, thread_id: str, message_id: str) -> Message:
        found: Message
        try:
            found = await proceed(thread_id, message_id)
        except NotFound as error:
            unfinished = await self._saying(error, thread_id, message_id)
            # Where nobody is saying it, it may have been stored between the two looks.
            if unfinished is None:
                found = await proceed(thread_id, message_id)
            else:
                assert unfinished.message is not None
                found = unfinished.message
        return found

    async def _change(self, proceed: Proceed, thread_id: str, message_id: str, *rest: Any) -> Any:
        try:
            return await proceed(thread_id, message_id, *rest)
        except NotFound as error:
            unfinished = await self._saying(error, thread_id, message_id)
        if unfinished is None:
            return await proceed(thread_id, message_id, *rest)
        raise InvalidRequest(
            f"The message {message_id!r} cannot be changed while the run {unfinished.run.id!r} is saying it; wait for "
            "its end, or cancel it.",
            param="message_id",
            code="run_active",
        )

    async def _saying(self, error: NotFound, thread_id: str, message_id: str) -> Unfinished | None:
        """The run that is saying a message which is not stored; None where none is.

        Raises:
            NotFound: `error`, where it is not about the message.
        """
        if error.code != "message_not_found":
            raise error
        unfinished: Unfinished | None = await self._jan.runs.unfinished(thread_id)
        if unfinished is None or unfinished.message is None or unfinished.message.id != message_id:
            return None
        return unfinished

    async def _list(self, proceed: Proceed, thread_id: str, query: MessagesQuery) -> MessagePage:
        unfinished = await self._jan.runs.unfinished(thread_id)
        page: MessagePage
        if unfinished is not None and (said := unfinished.message) is not None:
            newest: MessagePage = await proceed(thread_id, _asked(query, order="desc", limit=1))
            if newest.first_id != said.id:
                return await _Listing(proceed, thread_id, query, said, newest).page()
        page = await proceed(thread_id, query)
        return page


class _Listing:
    """A page of a thread whose newest message is still being said: as if it were stored.

    Args:
        proceed: lists what is stored.
        thread_id: the thread.
        query: what was asked for.
        said: the message.
        newest: the newest one that is stored, as a page.
    """

    def __init__(
        self, proceed: Proceed, thread_id: str, query: MessagesQuery, said: Message, newest: MessagePage
    ) -> None:
        self._proceed, self._thread, self._query = proceed, thread_id, query
        self._said, self._newest = said, newest

    async def page(self) -> MessagePage:
        """The page."""
        query, here = self._query, self._said.id
        if here in (query.after, query.before):
            return await self._from_here()
        found: MessagePage = await self._proceed(self._thread, query)
        behind = query.before if query.order == "asc" else query.after  # beyond either, nothing newer is asked for
        if behind is not None or not self._fits():
            return found
        if query.order == "asc":
            return found if found.has_more else _joined(found, [], [self._said], query.limit)
        if query.before is not None:  # the page right in front of a message: its end stays
            return found if found.has_more else _joined(found, [self._said], [], query.limit, end=True)
        return _joined(found, [self._said], [], query.limit)

    async def _from_here(self) -> MessagePage:
        """The page where a cursor names the message."""
        query, here = self._query, self._said.id
        older, other = ("before", query.after) if query.order == "asc" else ("after", query.before)
        if other == here or getattr(query, older) != here:
            for cursor in {query.after, query.before} - {None, here}:  # refused where it names nothing
                await self._proceed(self._thread, _asked(query, after=cursor))
            return _joined(None, [], [], query.limit)
        if query.order == "asc":
            if other is not None:
                return await self._stored(_asked(query, after=other))
            found = await self._stored(_asked(query, order="desc"))
            found.data.reverse()
            return _joined(found, [], [], query.limit)
        if other is None:
            return await self._stored(_asked(query))
        # From the newest one on, up to another: the newest one itself, and what lies between the two.
        first = self._newest.data[0] if self._newest.data else None
        if first is None or first.id == other:
            return await self._stored(_asked(query, after=other)) if first is None else _joined(None, [], [], 1)
        found = await self._stored(_asked(query, after=first.id, before=other))
        fitting = [first] if query.run_id in (None, first.run_id) else []
        return _joined(found, fitting, [], query.limit)

    async def _stored(self, query: MessagesQuery) -> MessagePage:
        found: MessagePage = await self._proceed(self._thread, query)
        return found

    def _fits(self) -> bool:
        return self._query.run_id in (None, self._said.run_id)


def _asked(query: MessagesQuery, **changed: Any) -> MessagesQuery:
    """The query without its cursors but those given."""
    return query.model_copy(update={"after": None, "before": None, **changed})


def _joined(
    found: MessagePage | None, front: list[Message], back: list[Message], limit: int, *, end: bool = False
) -> MessagePage:
    """A page with messages in front of it and behind it that it does not have; cut to the limit, at `end` in front."""
    from jan_core.schemas.messages import MessagePage

    there = found.data if found is not None else []
    ids = {one.id for one in there}
    data = [
        *(one for one in front if one.id not in ids),
        *there,
        *(one for one in back if one.id not in ids),
    ]
    shown = data[-limit:] if end else data[:limit]
    return MessagePage(
        data=shown,
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
        has_more=(found is not None and found.has_more) or len(data) > limit,
    )
