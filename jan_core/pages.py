"""Cursor pages: `limit`, `order`, `after`, `before`, and the list object that answers them.

Source: the pagination parameters of OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

from pydantic import Field

from jan_core.errors import InvalidRequest
from jan_core.schemas.base import Reply, Request

T = TypeVar("T")


class PageQuery(Request):
    """The query parameters of a listing."""

    limit: int = Field(default=20, ge=1, le=100)
    """How many objects to return, 1 to 100."""
    order: Literal["asc", "desc"] = "desc"
    """By time of creation: `asc` oldest first, `desc` newest first."""
    after: str | None = None
    """An object's id: the page begins behind it, in the direction of `order`."""
    before: str | None = None
    """An object's id: the page ends in front of it, in the direction of `order`."""


class Page(Reply, Generic[T]):
    """One page of a listing."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[T]
    """The objects of this page."""
    first_id: str | None
    """Id of the first object here; null on an empty page."""
    last_id: str | None
    """Id of the last object here; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further objects follow in this direction."""


def cut(
    items: Sequence[T], query: PageQuery, key: Callable[[T], str] = lambda item: str(getattr(item, "id", ""))
) -> Page[T]:
    """Cut one page out of a whole listing that is in memory.

    Args:
        items: all objects, oldest first.
        query: what was asked for.
        key: an object's id.

    Returns:
        The page. With `before` alone it is the page right in front of that object.

    Raises:
        InvalidRequest: `after` or `before` names no object of the listing.
    """
    ordered = list(items) if query.order == "asc" else list(reversed(items))
    ids = [key(item) for item in ordered]
    start, stop = 0, len(ordered)
    for name in ("after", "before"):
        cursor = getattr(query, name)
        if cursor is None:
            continue
        if cursor not in ids:
            raise InvalidRequest(f"{name}: there is no object {cursor!r} in this listing.", param=name)
        if name == "after":
            start = ids.index(cursor) + 1
        else:
            stop = ids.index(cursor)
    backwards = query.before is not None and query.after is None
    if backwards:
        page = ordered[max(start, stop - query.limit) : stop]
        more = stop - start > query.limit
    else:
        page = ordered[start : max(start, min(stop, start + query.limit))]
        more = stop - start > query.limit
    return Page(
        data=page,
        first_id=key(page[0]) if page else None,
        last_id=key(page[-1]) if page else None,
        has_more=more,
    )
