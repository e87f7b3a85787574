"""A page of a thread's messages, cut out of its file without reading more than the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from jan_core.errors import InvalidRequest
from jan_core.folder.views import Element, Holding, ListView
from jan_core.schemas.messages import Message, MessagePage, MessagesQuery
from jan_messages_json.stored import messages_in, messages_of


def page(view: ListView, thread_id: str, query: MessagesQuery) -> MessagePage:
    """The page that a query asks for; see `jan_core.pages.cut`, which says the same of a list in memory.

    Where a person made several messages of one id, only the first of them in the listing's order counts: it is the one
    that is shown, and the one that a cursor means. So the pages that follow one another show every id once, and come to
    an end. What counts needs no look at the whole file on a first page, and no page of a file without such messages
    is the slower for it.

    Raises:
        InvalidRequest: `after` or `before` names no message of the thread.
        Astray: see `ListView`.
    """
    if query.order == "desc" and query.after is query.before is query.run_id is None:
        text, whole = view.newest(query.limit + 1) or (b"", False)
        newest = messages_in(text, thread_id)
        if (
            newest is not None
            and (whole or len(newest) > query.limit)
            and len({one.id for one in newest}) == len(newest)
        ):
            newest.reverse()
            return _paged(newest, query.limit)
    listing = _Listing(view, thread_id, query.run_id, query.order == "desc")
    after, before = listing.cursor("after", query.after), listing.cursor("before", query.before)
    backwards = before is not None and after is None
    begin, end = (before, None) if backwards else (after, before)
    holding: Holding = ()
    if query.run_id is not None:
        # As it may stand there, with characters of other scripts written out or as numbers.
        written = [json.dumps(query.run_id, ensure_ascii=ascii).encode() for ascii in (True, False)]
        holding = tuple(dict.fromkeys(written))
    elements = _between(view, begin, end, listing.newest_first is not backwards, holding)
    found: dict[str, Message] = {}
    while len(found) <= query.limit:
        some = list(islice(elements, query.limit + 1 - len(found)))
        if not some:
            break
        for one in listing.shown(some, doubtful=begin is not None):
            found.setdefault(one.id, one)
    return _paged([*found.values()], query.limit, backwards=backwards)


def _paged(found: list[Message], limit: int, *, backwards: bool = False) -> MessagePage:
    """A page of what was found, which is cut to the limit first and turned round then."""
    more = len(found) > limit
    del found[limit:]
    if backwards:
        found.reverse()
    return MessagePage(
        data=found, first_id=found[0].id if found else None, last_id=found[-1].id if found else None, has_more=more
    )


class _Listing:
    """All that a query may show, before it is cut into pages.

    Args:
        view: the list.
        thread_id: whose messages they are.
        run_id: show only those of this run.
        newest_first: its order.
    """

    def __init__(self, view: ListView, thread_id: str, run_id: str | None, newest_first: bool) -> None:
        self._view = view
        self._thread_id = thread_id
        self._run_id = run_id
        self.newest_first = newest_first

    def cursor(self, param: str, id: str | None) -> Element | None:
        """The element that a cursor names; None where there is no cursor.

        Raises:
            InvalidRequest: it names no message of the thread.
        """
        if id is None:
            return None
        found = self._first_of(id)
        if found is None:
            raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
        return found

    def shown(self, elements: Sequence[Element], *, doubtful: bool) -> list[Message]:
        """The messages of elements that follow one another.

        Args:
            elements: some of the view.
            doubtful: leave out those that do not count; `cursor` has found something before.
        """
        messages = messages_of(self._view, elements, self._thread_id)
        if doubtful and any(self._view.is_doubled(one.id) for one in messages):
            found = [(one, messages_of(self._view, [one], self._thread_id)) for one in elements]
            messages = [message for one, some in found for message in some if self._counts(one, message)]
        return [one for one in messages if self._run_id in (None, one.run_id)]

    def _counts(self, element: Element, message: Message) -> bool:
        if not self._view.is_doubled(message.id):
            return True
        first = self._first_of(message.id)
        return first is None or first.place == element.place

    def _first_of(self, id: str) -> Element | None:
        """Of the elements of an id, the first that the listing shows; where it shows none, the first."""
        found = self._view.find(id)
        if found is None or not self._view.is_doubled(id):
            return found
        every = self._view.all_of(id)[:: -1 if self.newest_first else 1]
        return next((one for one in every if self.shown([one], doubtful=False)), every[0] if every else found)


def _between(
    view: ListView, begin: Element | None, end: Element | None, newest_first: bool, holding: Holding
) -> Iterator[Element]:
    elements = (view.newest_first if newest_first else view.oldest_first)(begin, holding=holding)
    if end is None:
        return elements
    if newest_first:
        return takewhile(lambda one: one.place > end.place, elements)
    return takewhile(lambda one: one.place < end.place, elements)
