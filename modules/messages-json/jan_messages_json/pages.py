"""A page of a thread's messages, cut out of its file without reading more than the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, takewhile

from jan_core.errors import InvalidRequest
from jan_core.folder.views import Element, Holding, ListView
from jan_core.schemas.messages import Message, MessagePage, MessagesQuery
from jan_messages_json.stored import messages_in, messages_of


def page(view: ListView, thread_id: str, query: MessagesQuery) -> MessagePage:
    """The page that a query asks for; see `jan_core.pages.cut`, which says the same of a list in memory.

    Raises:
        InvalidRequest: `after` or `before` names no message of the thread.
        Astray: see `ListView`.
    """
    if query.order == "desc" and query.after is query.before is query.run_id is None:
        text, whole = view.newest(query.limit + 1) or (b"", False)
        newest = messages_in(text, thread_id)
        if newest is not None and (whole or len(newest) > query.limit):
            newest.reverse()
            return _paged(newest, query.limit)
    after, before = _cursor(view, "after", query.after), _cursor(view, "before", query.before)
    backwards = before is not None and after is None
    begin, end = (before, None) if backwards else (after, before)
    holding: Holding = ()
    if query.run_id is not None:
        # As it may stand there, with characters of other scripts written out or as numbers.
        written = [json.dumps(query.run_id, ensure_ascii=ascii).encode() for ascii in (True, False)]
        holding = tuple(dict.fromkeys(written))
    elements = _between(view, begin, end, (query.order == "desc") is not backwards, holding)
    found: list[Message] = []
    while len(found) <= query.limit:
        some = list(islice(elements, query.limit + 1 - len(found)))
        if not some:
            break
        messages = messages_of(view, some, thread_id)
        found += messages if query.run_id is None else [one for one in messages if one.run_id == query.run_id]
    return _paged(found, query.limit, backwards=backwards)


def _paged(found: list[Message], limit: int, *, backwards: bool = False) -> MessagePage:
    """A page of what was found, which is cut to the limit first and turned round then."""
    more = len(found) > limit
    del found[limit:]
    if backwards:
        found.reverse()
    return MessagePage(
        data=found, first_id=found[0].id if found else None, last_id=found[-1].id if found else None, has_more=more
    )


def _cursor(view: ListView, param: str, id: str | None) -> Element | None:
    if id is None:
        return None
    found = view.find(id)
    if found is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return found


def _between(
    view: ListView, begin: Element | None, end: Element | None, newest_first: bool, holding: Holding
) -> Iterator[Element]:
    elements = (view.newest_first if newest_first else view.oldest_first)(begin, holding=holding)
    if end is None:
        return elements
    if newest_first:
        return takewhile(lambda one: one.place > end.place, elements)
    return takewhile(lambda one: one.place < end.place, elements)
