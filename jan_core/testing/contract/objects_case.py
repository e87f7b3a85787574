"""An app with an endpoint of objects under test that are listed by `(created_at, id)`, and short names for its clauses.

Threads and assistants are such objects: made, read, changed, deleted, and put as they are.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.base import Reply, Request
from jan_core.schemas.pages import PageQuery
from jan_core.testing.contract.case import Broken, Case, same, segment, written
from jan_core.validation import parse, parse_query


class ObjectsCase(Case):
    """An app with objects under test.

    Attributes:
        kind: what one of them is called, such as `thread`.
        schema: its class.
        new: of the body that makes one.
        change: of the body that changes one.
        query: of the query of a listing.
        required: fields that every body has that makes one.
        named: a field with a text that people give to it.
    """

    kind: ClassVar[str]
    schema: ClassVar[type[Reply]]
    new: ClassVar[type[Request]]
    change: ClassVar[type[Request]]
    query: ClassVar[type[PageQuery]]
    required: ClassVar[Mapping[str, Any]] = {}
    named: ClassVar[str]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directly = itertools.cycle((True, False))

    async def create(self, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Make one, by turns directly and over HTTP."""
        body = {**self.required, **fields}
        if next(self._directly):
            return dict(written(await self.ask(f"{self._name}.create", body_of(self.new, body), key=key)))
        return await self.sent("POST", body=body, key=key)

    async def update(self, id: str, **fields: Any) -> dict[str, Any]:
        """Change one, by turns directly and over HTTP."""
        if next(self._directly):
            return dict(written(await self.ask(f"{self._name}.update", id, body_of(self.change, fields))))
        return await self.sent("POST", id, body=fields)

    async def delete(self, id: str) -> dict[str, Any]:
        """Delete one, by turns directly and over HTTP."""
        if next(self._directly):
            return dict(written(await self.ask(f"{self._name}.delete", id)))
        return await self.sent("DELETE", id)

    async def put(self, id: str, at: int, **fields: Any) -> dict[str, Any]:
        """Store one of this id and time."""
        given = self.schema.model_validate({"id": id, "created_at": at, **self.required, **fields})
        await self.ask(f"{self._name}.put", given)
        return dict(written(given))

    async def sent(self, method: str, id: str | None = None, **how: Any) -> dict[str, Any]:
        """A request that is answered; see `Case.send`."""
        path = f"/{self._name}" + (f"/{segment(id)}" if id is not None else "")
        status, told = await self.send(method, path, **how)
        if status != 200:
            raise Broken(f"{method} {path[:200]} answered {status}: {told}")
        return dict(told)

    async def read(self, id: str) -> dict[str, Any]:
        """One of them, read both ways."""
        found = written(await self.ask(f"{self._name}.retrieve", id))
        over_http = await self.sent("GET", id)
        same(f"the {self.kind} over HTTP, against the one that other modules get", over_http, found)
        return dict(found)

    async def page(self, **query: Any) -> dict[str, Any]:
        """A page, read both ways. `metadata` is a dictionary."""
        pairs = {f"metadata[{name}]": value for name, value in (query.pop("metadata", None) or {}).items()}
        given = {name: str(value) for name, value in query.items() if value is not None} | pairs
        found = written(await self.ask(f"{self._name}.list", parse_query(self.query, given)))
        over_http = await self.sent("GET", query=given)
        same(f"the page {given} over HTTP, against the one that other modules get", over_http, found)
        return dict(found)

    async def all(self, limit: int = 100, order: str = "asc", **query: Any) -> list[dict[str, Any]]:
        """All of them, oldest first unless told otherwise, by pages and cursors."""
        found: list[dict[str, Any]] = []
        after, pages = None, 0
        while True:
            page = await self.page(order=order, limit=limit, after=after, **query)
            found += page["data"]
            pages += 1
            if not page["has_more"]:
                return found
            if page["last_id"] in (None, after) or pages > 1000:
                raise Broken(f"the page behind {after!r} says that there are more, and does not lead to them: {page}")
            after = page["last_id"]

    async def ids(self, **query: Any) -> list[str]:
        """The ids of all of them; see `all`."""
        return [one["id"] for one in await self.all(**query)]

    async def is_nowhere(self, id: str) -> None:
        """Look that no operation finds one, nor a cursor."""
        expected = {"code": f"{self.kind}_not_found", "param": f"{self.kind}_id", "status": 404}
        for name, arguments in self.asking(id):
            await self.refused(NotFound, f"{self._name}.{name}", *arguments, **expected)
        status, _ = await self.send("GET", f"/{self._name}/{segment(id)}")
        same("the status over HTTP", status, 404)
        await self.refused(InvalidRequest, f"{self._name}.list", self.query(after=id), param="after")

    def asking(self, id: str) -> list[tuple[str, tuple[Any, ...]]]:
        """The operations that ask for one of them, and arguments for each."""
        change = body_of(self.change, {self.named: "changed"})
        return [("retrieve", (id,)), ("update", (id, change)), ("delete", (id,)), ("layers", (id,))]


def body_of(schema: type[Request], fields: Mapping[str, Any]) -> BaseModel:
    """A body, checked as if it came over HTTP."""
    return parse(schema, json.dumps(fields).encode())


def by_time(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects in the order in which they are listed, oldest first."""
    return sorted(made, key=lambda one: (one["created_at"], one["id"]))
