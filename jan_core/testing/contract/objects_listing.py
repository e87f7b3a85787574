"""What the clauses of several endpoints share about listing objects by `(created_at, id)`."""

from __future__ import annotations

import itertools
import random
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.pages import cut
from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.objects_case import ObjectsCase, by_time

AT = 4_000_000_000
"""A time that nothing has that is made now: what is put with it is newer."""
BEFORE = 1_500_000_000
"""A time long ago."""
MANY = 160
"""How many a full store has."""


async def listed_by_time(case: ObjectsCase) -> None:
    """Look at the order, by default and asked for; also when an object gets another time."""
    there = await case.all()
    made = [
        await case.put(f"jan-{at}-{salt}", at)
        for at, salt in ((AT, "c"), (BEFORE, "b"), (AT + 2, "a"), (AT, "a"), (BEFORE, "c"), (AT, "b"))
    ]
    made.append(await case.create())
    wanted = by_time(there + made)
    same("the newest first", (await case.page())["data"], wanted[::-1])
    for order, right in (("asc", wanted), ("desc", wanted[::-1])):
        same(f"the order {order}", (await case.page(order=order))["data"], right)
    again = await case.put(f"jan-{AT}-b", BEFORE - 1)
    wanted = by_time([one for one in wanted if one["id"] != again["id"]] + [again])
    same("the order after one got an older time", (await case.page(order="asc"))["data"], wanted)


async def pages_of_limits(case: ObjectsCase) -> None:
    """Look at how many a page holds, and what it says of itself."""
    for number in range(22):
        await case.put(f"jan-{AT + number}-a", AT + number)
    ids = (await case.ids())[::-1]
    for limit in (None, 1, 2, 21, 22, 23, 100):
        page = await case.page(limit=limit)
        wanted = ids[: limit or 20]
        same(f"the page of {limit or 'default'}", [one["id"] for one in page["data"]], wanted)
        told = (page["object"], page["first_id"], page["last_id"], page["has_more"])
        same("what it says of itself", told, ("list", wanted[0], wanted[-1], len(wanted) < len(ids)))
    end = await case.page(after=ids[-1])
    empty: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    same("the page behind the last one", end, empty)
    for wrong in (0, 101, -1, "x"):
        status, _ = await case.send("GET", f"/{case.tested.name}", query={"limit": wrong})
        same(f"the status for limit={wrong}", status, 400)


async def after_leads_through(case: ObjectsCase) -> None:
    """Put pages of each size together, in both orders."""
    made = [await case.put(f"jan-{AT + number // 3}-{number}", AT + number // 3) for number in range(7)]
    ids = [one["id"] for one in by_time(await case.all())]
    holds(len(ids) >= len(made), f"{len(made)} were put, and {len(ids)} are listed")
    for order, wanted in (("asc", ids), ("desc", ids[::-1])):
        for limit in range(1, len(ids) + 2):
            found = await case.ids(limit=limit, order=order)
            same(f"pages of {limit}, {order}, put together", found, wanted)


async def many_are_kept(case: ObjectsCase) -> None:
    """Put many, make one more, and go through them all."""
    await settled([case.put(f"jan-{BEFORE + number}-a", BEFORE + number) for number in range(MANY)])
    ids = {f"jan-{BEFORE + number}-a" for number in range(MANY)} | {(await case.create())["id"] for _ in range(2)}
    found = await case.ids()
    same("those of many that are not listed", ids - {*found}, set())
    same("how often each is listed", len(found), len({*found}))
    oldest = f"jan-{BEFORE}-a"
    same("the oldest of many", (await case.read(oldest))["created_at"], BEFORE)


async def pairs_of_cursors(case: ObjectsCase) -> None:
    """Compare pages with those that `jan_core.pages.cut` cuts, for combinations drawn at random."""
    for number in range(6):
        await case.put(f"jan-{AT + number // 2}-{number}", AT + number // 2)
    made = [case.schema.model_validate(one) for one in by_time(await case.all())]
    cursors = [None, *(str(one.model_dump()["id"]) for one in made)]
    asked = list(itertools.product(cursors, cursors, ("asc", "desc"), (1, 2, 20)))
    for after, before, order, limit in random.Random(1).sample(asked, 120):
        query = {"after": after, "before": before, "order": order, "limit": limit}
        wanted = written(cut(made, case.query.model_validate(query)))
        same(f"the page of {query}", await case.page(**query), wanted)


async def a_cursor_stays(case: ObjectsCase) -> None:
    """Go on from a cursor after objects were added in front of it, and deleted behind it."""
    ids = [(await case.put(f"jan-{AT + number}-a", AT + number))["id"] for number in range(6)]
    first = await case.page(limit=2)
    same("the first page", [one["id"] for one in first["data"]], [ids[5], ids[4]])
    for number in (6, 7):
        await case.put(f"jan-{AT + number}-a", AT + number)
    await case.delete(ids[5])
    await case.delete(ids[2])
    second = await case.page(limit=2, after=first["last_id"])
    same("the second page", [one["id"] for one in second["data"]], [ids[3], ids[1]])


async def cursors_of_nothing(case: ObjectsCase) -> None:
    """Ask with cursors that name nothing."""
    gone = (await case.create())["id"]
    await case.put(f"jan-{AT}-a", AT)
    await case.delete(gone)
    for id in (gone, "none", "", f"jan-{AT}-b", "../x", "a\0b", "\ud800", "x" * 5000):
        for param in ("after", "before"):
            query = case.query.model_construct(None, **{param: id})
            await case.refused(InvalidRequest, f"{case.tested.name}.list", query, param=param)
    status, told = await case.send("GET", f"/{case.tested.name}", query={"after": gone})
    same("over HTTP", (status, told["error"]["param"]), (400, "after"))
