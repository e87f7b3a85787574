"""The clauses of `assistants` about listing."""

from __future__ import annotations

from jan_core.testing.contract import objects_listing as listing
from jan_core.testing.contract.assistants_case import AssistantsCase, OfAssistants
from jan_core.testing.contract.clauses import clause


class AssistantsListing(OfAssistants):
    """Order, pages, cursors."""

    @clause
    async def test_08_the_order_is_that_of_time_and_id(self, case: AssistantsCase) -> None:
        """Assistants are listed by `(created_at, id)`; the newest first, unless told otherwise."""
        await listing.listed_by_time(case)

    @clause
    async def test_09_a_page_has_its_limit(self, case: AssistantsCase) -> None:
        """A page holds `limit` assistants, 20 where none is given; `has_more` tells whether others follow."""
        await listing.pages_of_limits(case)

    @clause
    async def test_10_after_leads_through_all_of_them(self, case: AssistantsCase) -> None:
        """`after` begins behind the assistant it names: pages one after the other give each assistant once."""
        await listing.after_leads_through(case)
        await listing.many_are_kept(case)

    @clause
    async def test_11_every_pair_of_cursors_cuts_the_same_page(self, case: AssistantsCase) -> None:
        """`before` ends in front of the assistant it names; alone, it gives the page right in front of it."""
        await listing.pairs_of_cursors(case)

    @clause
    async def test_12_a_cursor_stays_good(self, case: AssistantsCase) -> None:
        """A cursor stays where it is while assistants are added and deleted: none is skipped or comes twice."""
        await listing.a_cursor_stays(case)

    @clause
    async def test_13_a_cursor_of_nothing_is_refused(self, case: AssistantsCase) -> None:
        """A cursor that names no assistant, or a deleted one, is refused, 400, with the parameter's name."""
        await listing.cursors_of_nothing(case)
