"""The clauses of `threads` about listing."""

from __future__ import annotations

from typing import Any

from jan_core.testing.contract import objects_listing as listing
from jan_core.testing.contract.case import same
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_listing import AT
from jan_core.testing.contract.threads_case import OfThreads, ThreadsCase


class ThreadsListing(OfThreads):
    """Order, pages, cursors, filters."""

    @clause
    async def test_05_the_order_is_that_of_time_and_id(self, case: ThreadsCase) -> None:
        """Threads are listed by `(created_at, id)`; the newest first, unless told otherwise."""
        await listing.listed_by_time(case)

    @clause
    async def test_06_a_page_has_its_limit(self, case: ThreadsCase) -> None:
        """A page holds `limit` threads, 20 where none is given; `has_more` tells whether others follow."""
        await listing.pages_of_limits(case)

    @clause
    async def test_07_no_threads_are_an_empty_page(self, case: ThreadsCase) -> None:
        """Without any thread the page is empty: no ids, nothing more, with a filter or without."""
        empty: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        for _ in range(2):
            for query in ({}, {"order": "asc", "limit": 1}, {"metadata": {"a": "b"}}, {"assistant_id": "jan"}):
                same(f"the page of {query}", await case.page(**query), empty)
            await case.delete((await case.create())["id"])

    @clause
    async def test_08_after_leads_through_all_of_them(self, case: ThreadsCase) -> None:
        """`after` begins behind the thread it names: pages one after the other give each thread once."""
        await listing.after_leads_through(case)
        await listing.many_are_kept(case)

    @clause
    async def test_09_every_pair_of_cursors_cuts_the_same_page(self, case: ThreadsCase) -> None:
        """`before` ends in front of the thread it names; alone, it gives the page right in front of it."""
        await listing.pairs_of_cursors(case)

    @clause
    async def test_10_a_cursor_stays_good(self, case: ThreadsCase) -> None:
        """A cursor stays where it is while threads are added and deleted: none is skipped or comes twice."""
        await listing.a_cursor_stays(case)

    @clause
    async def test_11_a_cursor_of_nothing_is_refused(self, case: ThreadsCase) -> None:
        """A cursor that names no thread, or a deleted one, is refused, 400, with the parameter's name."""
        await listing.cursors_of_nothing(case)

    @clause
    async def test_12_filters_find_what_fits(self, case: ThreadsCase) -> None:
        """`assistant_id` and `metadata` leave the threads that fit, all of them; a page may end early, and leads on."""
        made = []
        for number in range(12):
            fields: dict[str, Any] = {
                "metadata": {"third": f"{number % 3}", "all": "x", 'ü"': "ß"},
                "assistants": [{"assistant_id": one} for one in ("jan", "b_1", f"a{number % 2}", "last")],
                "title": "third 1, a0",
            }
            made.append(await case.put(f"jan-{AT + number // 2}-{number:02}", AT + number // 2, **fields))
        made.append(await case.put(f"jan-{AT + 9}-bare", AT + 9))
        for assistant, pairs in (
            (None, {"third": "1"}),
            (None, {"third": "1", "all": "x", 'ü"': "ß"}),
            (None, {"all": "x"}),
            (None, {"third": "9"}),
            (None, {"third": ""}),
            (None, {"x": "all"}),
            (None, {"all": "X"}),
            (None, {"all": "_"}),
            (None, {"all": "%"}),
            ("a0", {}),
            ("jan", {"third": "2"}),
            ("a1", {"third": "0"}),
            ("last", {"third": "1"}),
            ("b-1", {}),
            ("a_", {}),
            ("nobody", {}),
            ("nobody", {"all": "x"}),
        ):
            wanted = [
                one["id"]
                for one in made
                if pairs.items() <= one["metadata"].items()
                and assistant in (None, *(who["assistant_id"] for who in one.get("assistants", ())))
            ]
            for order, right in (("asc", wanted), ("desc", wanted[::-1])):
                for limit in (1, 2, 20):
                    found = await case.ids(order=order, limit=limit, assistant_id=assistant, metadata=pairs)
                    same(f"those of {assistant} with {pairs}, {order}, by {limit}", found, right)
        behind = await case.page(assistant_id="a0", after=made[7]["id"], limit=2)
        same(
            "those behind one that does not fit", [one["id"] for one in behind["data"]], [made[6]["id"], made[4]["id"]]
        )
