"""A page of a thread's messages, cut out of its file without reading more than the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from jan_core.errors import InvalidRequest
from jan_core.folder.views import Element, Holding, ListView
from jan_core.schemas.messages import Message, MessagePage, MessagesQuery
from jan_messages_json.stored import messages_of


def page(view: ListView, thread_id: str, query: MessagesQuery) -> MessagePage:
    """The page that a query asks for; see `jan_core.pages.cut`, which says the same of a list in memory.

    Raises:
        InvalidRequest: `after` or `before` names no message of the thread.
        Astray: see `ListView`.
    """
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
    more = len(found) > query.limit
    del found[query.limit :]
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
    in_order = view.newest_first if newest_first else view.oldest_first
    for one in in_order(begin, holding=holding):
        if end is not None and (one.place <= end.place if newest_first else one.place >= end.place):
            return
        yield one
