"""One page out of a listing: `limit`, `order`, `after`, `before`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jan_core.errors import InvalidRequest
from jan_core.schemas.pages import Page, PageQuery

T = TypeVar("T")


def cut(
    items: Sequence[T],
    query: PageQuery,
    key: Callable[[T], str] = lambda item: str(getattr(item, "id", "")),
    *,
    keep: Callable[[T], bool] = lambda item: True,
) -> Page[T]:
    """Cut one page out of a whole listing that is in memory.

    Args:
        items: all objects, oldest first.
        query: what was asked for.
        key: an object's id.
        keep: whether an object belongs into the listing; a cursor may name one that does not.

    Returns:
        The page. With `before` alone it is the page right in front of that object.

    Raises:
        InvalidRequest: `after` or `before` names none of the objects.
    """
    ordered = list(items) if query.order == "asc" else list(reversed(items))
    start, stop = 0, len(ordered)
    for name in ("after", "before"):
        cursor = getattr(query, name)
        if cursor is None:
            continue
        place = next((index for index, item in enumerate(ordered) if key(item) == cursor), None)
        if place is None:
            raise InvalidRequest(f"{name}: there is no object {cursor!r} in this listing.", param=name)
        if name == "after":
            start = place + 1
        else:
            stop = place
    found = [item for item in ordered[start:stop] if keep(item)]
    backwards = query.before is not None and query.after is None
    page = found[-query.limit :] if backwards else found[: query.limit]
    return Page(
        data=page,
        first_id=key(page[0]) if page else None,
        last_id=key(page[-1]) if page else None,
        has_more=len(found) > query.limit,
    )
