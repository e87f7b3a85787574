"""Cursor pages: what a listing is asked for, and the list object that answers.

Source: the pagination parameters of OpenAI's API reference.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import Field

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
