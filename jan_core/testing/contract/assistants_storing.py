"""The clauses of `assistants` about storing: for good, at once, and once only."""

from __future__ import annotations

from typing import Any

from jan_core.testing.contract import objects_storing as storing
from jan_core.testing.contract.assistants_case import FULL, AssistantsCase, OfAssistants
from jan_core.testing.contract.clauses import clause


class AssistantsStoring(OfAssistants):
    """Processes, writers, keys."""

    @clause
    async def test_17_what_was_answered_is_kept(self, case: AssistantsCase) -> None:
        """What was answered is there for whoever opens the same storage afterwards, or has it open."""
        await storing.kept_for_others(case)

    @clause
    async def test_18_writers_at_once_lose_nothing(self, case: AssistantsCase) -> None:
        """Writers in two apps at once lose and double nothing, and readers see all that was answered."""
        await storing.writers_at_once(case)

    @clause
    async def test_19_changes_at_once_are_all_made(self, case: AssistantsCase) -> None:
        """Changes at once are all made, also those of different fields of one assistant; a deletion undoes them all."""
        changes: list[dict[str, Any]] = [
            {"name": "changed"},
            {"metadata": {"changed": "yes"}},
            {"model": "another"},
            {"temperature": 1.5},
            {"tools": [{"type": "file_search"}]},
            {"instructions": "Be kind."},
        ]
        await storing.changes_at_once(case, changes)
        await storing.deletions_at_once(case)

    @clause
    async def test_20_a_key_makes_one_assistant(self, case: AssistantsCase) -> None:
        """Under one `Idempotency-Key` an assistant is made once, and every request gets the first one's answer."""
        await storing.a_key_makes_one(case, name="once", instructions="i")

    @clause
    async def test_21_a_key_with_another_body_is_a_conflict(self, case: AssistantsCase) -> None:
        """A key that came with another body is refused, 409, `idempotency_conflict`, and nothing is stored."""
        await storing.a_key_with_another_body(case)

    @clause
    async def test_22_answers_are_the_callers_own(self, case: AssistantsCase) -> None:
        """Whoever changes what they got, or gave, changes nothing of what is stored."""
        fields = {name: FULL[name] for name in ("tools", "tool_resources", "response_format")}
        await storing.answers_are_the_callers(case, **fields)

    @clause
    async def test_25_a_caller_that_gives_up_breaks_nothing(self, case: AssistantsCase) -> None:
        """What is cancelled at any moment has happened as a whole or not at all, and the next call works."""
        await storing.giving_up(case)

    @clause(optional="restore")
    async def test_26_what_is_exported_is_restored_with_all_that_it_has(self, case: AssistantsCase) -> None:
        """`export` gives lines that `restore` stores, in place of the same ids, with fields the API does not know."""
        by_hand = {"own": {"b": [1, None, {"c": 0.5}], "a": "\0"}, "model.json": {"note": "x"}, "z": "\U0001f600"}
        await storing.lines_come_back(case, FULL, by_hand, {"name": "changed", "metadata": {"later": "yes"}})
