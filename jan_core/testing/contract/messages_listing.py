"""The clauses of `messages` about listing."""

from __future__ import annotations

import itertools
import random
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.pages import cut
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.testing.contract.case import holds, same, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.messages_case import MessagesCase, OfMessages

MANY = 300
"""Messages of a long thread."""


class MessagesListing(OfMessages):
    """Order, pages, cursors."""

    @clause
    async def test_05_the_order_is_that_of_storing(self, case: MessagesCase) -> None:
        """Messages are listed in the order in which they were stored, whatever their times say; the newest first."""
        thread = await case.thread()
        ids = [(await case.say(thread, f"{number}"))["id"] for number in range(4)]
        template = await case.ask("messages.retrieve", thread, ids[0])
        for number, at in enumerate((5, 5, 1, 2_000_000_000, 5)):
            # Ids of a falling order, so that neither ids nor times can stand for it.
            id = f"msg_{9 - number}"
            await case.ask("messages.put", template.model_copy(update={"id": id, "created_at": at}))
            ids.append(id)
        ids.append((await case.say(thread))["id"])
        same("the order by default", [one["id"] for one in (await case.page(thread))["data"]], ids[::-1])
        for order, wanted in (("asc", ids), ("desc", ids[::-1])):
            same(f"the order {order}", [one["id"] for one in (await case.page(thread, order=order))["data"]], wanted)

    @clause
    async def test_06_a_page_has_its_limit(self, case: MessagesCase) -> None:
        """A page holds `limit` messages, 20 where none is given; `has_more` tells whether others follow."""
        thread = await case.thread()
        ids = [(await case.say(thread))["id"] for _ in range(22)][::-1]
        for limit in (None, 1, 2, 21, 22, 23, 100):
            page = await case.page(thread, limit=limit)
            wanted = ids[: limit or 20]
            same(f"the page of {limit or 'default'}", [one["id"] for one in page["data"]], wanted)
            told = (page["object"], page["first_id"], page["last_id"], page["has_more"])
            same("what it says of itself", told, ("list", wanted[0], wanted[-1], len(wanted) < 22))
        for wrong in (0, 101, -1, "x"):
            status, _ = await case.send("GET", f"/threads/{thread}/messages", query={"limit": wrong})
            same(f"the status for limit={wrong}", status, 400)

    @clause
    async def test_07_a_thread_without_messages_has_an_empty_page(self, case: MessagesCase) -> None:
        """The page of a thread without messages is empty, not missing: no ids, nothing more."""
        empty: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        same("the page", await case.page(await case.thread()), empty)

    @clause
    async def test_08_after_leads_through_all_of_them(self, case: MessagesCase) -> None:
        """`after` begins behind the message it names: pages one after the other give each message once."""
        thread = await case.thread()
        ids = [(await case.say(thread))["id"] for _ in range(7)]
        for order, wanted in (("asc", ids), ("desc", ids[::-1])):
            for limit in range(1, 9):
                found: list[str] = []
                more, after = True, None
                while more:
                    page = await case.page(thread, order=order, limit=limit, after=after)
                    found += [one["id"] for one in page["data"]]
                    more, after = page["has_more"], page["last_id"]
                    holds(len(found) <= len(ids), f"pages of {limit} go on after {len(found)} of {len(ids)} messages")
                same(f"pages of {limit}, {order}, put together", found, wanted)
        long = await case.thread()
        bodies = [MessageRequest(role="user", content=f"{number}") for number in range(MANY)]
        ids = [one.id for one in await case.ask("messages.start", long, bodies)]
        ids += [(await case.say(long))["id"] for _ in range(2)]
        same(f"the messages of a thread of {len(ids)}", [one["id"] for one in await case.all(long)], ids)

    @clause
    async def test_09_every_pair_of_cursors_cuts_the_same_page(self, case: MessagesCase) -> None:
        """`before` ends in front of the message it names; alone, it gives the page right in front of it."""
        thread = await case.thread()
        made = [Message.model_validate(await case.say(thread, f"{number}")) for number in range(6)]
        cursors = [None, *(one.id for one in made)]
        chance = random.Random(1)
        asked = list(itertools.product(cursors, cursors, ("asc", "desc"), (1, 2, 20)))
        for after, before, order, limit in chance.sample(asked, 120):
            query = {"after": after, "before": before, "order": order, "limit": limit}
            wanted = written(cut(made, MessagesQuery.model_validate(query)))
            same(f"the page of {query}", await case.page(thread, **query), wanted)

    @clause
    async def test_10_a_cursor_stays_good(self, case: MessagesCase) -> None:
        """A cursor stays where it is while messages are added and deleted: none is skipped or comes twice."""
        thread = await case.thread()
        ids = [(await case.say(thread))["id"] for _ in range(6)]
        first = await case.page(thread, limit=2)
        for text in ("new", "newer"):
            await case.say(thread, text)
        await case.ask("messages.delete", thread, ids[5])
        await case.ask("messages.delete", thread, ids[2])
        second = await case.page(thread, limit=2, after=first["last_id"])
        same("the second page", [one["id"] for one in second["data"]], [ids[3], ids[1]])

    @clause
    async def test_11_a_cursor_of_nothing_is_refused(self, case: MessagesCase) -> None:
        """A cursor that names no message of the thread is refused, 400, with the parameter's name."""
        thread, other = await case.thread(), await case.thread()
        elsewhere = (await case.say(other))["id"]
        gone = (await case.say(thread))["id"]
        await case.say(thread)
        await case.ask("messages.delete", thread, gone)
        for id in (elsewhere, gone, "msg_none", "../x", "a\0b", "\ud800", "x" * 5000):
            for param in ("after", "before"):
                query = MessagesQuery.model_validate({param: id})
                await case.refused(InvalidRequest, "messages.list", thread, query, param=param)

    @clause
    async def test_12_the_messages_of_a_run(self, case: MessagesCase) -> None:
        """`run_id` leaves only the messages of that run; cursors may name any message of the thread."""
        thread = await case.thread()
        made = []
        for number in range(10):
            one = Message.model_validate(await case.say(thread, f"about run_1 {number}"))
            one = one.model_copy(update={"run_id": [None, "run_1", 'run_"ä', "run-1", "RUN_1"][number % 5]})
            await case.ask("messages.put", one)
            made.append(one)
        for run_id, after, order, limit in itertools.product(
            ("run_1", 'run_"ä', "run-1", "run_%", "run_none"),
            (None, made[0].id, made[4].id),
            ("asc", "desc"),
            (1, 2, 20),
        ):
            query = {"run_id": run_id, "after": after, "order": order, "limit": limit}
            page = cut(made, MessagesQuery.model_validate(query), keep=lambda one, wanted=run_id: one.run_id == wanted)  # type: ignore[misc]
            same(f"the page of {query}", await case.page(thread, **query), written(page))
