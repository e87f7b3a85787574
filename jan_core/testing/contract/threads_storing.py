"""The clauses of `threads` about storing: for good, at once, once only, and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from jan_core.errors import Conflict, NotFound, Unavailable
from jan_core.lines import line_of
from jan_core.schemas.threads import Thread
from jan_core.testing.contract import objects_storing as storing
from jan_core.testing.contract.case import holds, same
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.threads_case import FULL, OfThreads, ThreadsCase

SAID = {"role": "user", "content": "hello"}
"""A message."""


class ThreadsStoring(OfThreads):
    """Processes, writers, keys, first messages, deletions."""

    @clause
    async def test_17_what_was_answered_is_kept(self, case: ThreadsCase) -> None:
        """What was answered is there for whoever opens the same storage afterwards, or has it open."""
        await storing.kept_for_others(case)

    @clause
    async def test_18_a_thread_begins_with_its_messages(self, case: ThreadsCase) -> None:
        """The first messages are stored in their order before the thread: whoever sees it sees all of them."""
        seen: list[Any] = []

        async def look(proceed: Callable[..., Any], thread_id: str, bodies: Any) -> Any:
            seen.append(await case.ids())
            await case.refused(NotFound, "threads.check", thread_id, code="thread_not_found")
            reply = await proceed(thread_id, bodies)
            seen.append(await case.ids())
            await case.refused(NotFound, "threads.check", thread_id, code="thread_not_found")
            return reply

        first = [{**SAID, "metadata": {"a": "b"}}, {"role": "assistant", "content": "Hi."}, SAID]
        with case.around("messages.start", look):
            for number in (1, 2):
                made = await case.create(messages=first, title="with messages")
                holds("messages" not in made, "the reply has the messages")
                same("the thread", await case.read(made["id"]), made)
                same("its messages", await case.texts(made["id"]), ["hello", "Hi.", "hello"])
                same("how often they were stored", len(seen), 2 * number)
            same("who saw the first thread too early", seen[:2], [[], []])
            empty = await case.create(messages=[])
        same("the messages of one that begins with none", await case.texts(empty["id"]), [])
        same("how many threads there are", len(await case.all()), 3)

    @clause
    async def test_19_no_messages_no_thread(self, case: ThreadsCase) -> None:
        """Where the first messages cannot be stored, the error is told, no thread is made, and a repetition works."""

        async def fails(proceed: Callable[..., Any], *arguments: Any) -> Any:
            raise Unavailable("The disk is full.")

        body = body_of(case.new, {"messages": [SAID], "title": "A"})
        with case.around("messages.start", fails):
            for key in (None, "k", "k"):
                await case.refused(Unavailable, "threads.create", body, key=key)
                same("what is there", await case.all(), [])
        made = await case.create(key="k", messages=[SAID], title="A")
        same("the thread", await case.all(), [made])
        same("its messages", await case.texts(made["id"]), ["hello"])
        same("the answer to a repetition", await case.create(key="k", messages=[SAID], title="A"), made)

    @clause
    async def test_20_writers_at_once_lose_nothing(self, case: ThreadsCase) -> None:
        """Writers in two apps at once lose and double nothing, and readers see all that was answered."""
        await storing.writers_at_once(case)

    @clause
    async def test_21_changes_at_once_are_all_made(self, case: ThreadsCase) -> None:
        """Changes at once are all made, also those of different fields of one thread; a deletion undoes them all."""
        changes: list[dict[str, Any]] = [
            {"title": "changed"},
            {"metadata": {"changed": "yes"}},
            {"model": "another"},
            {"parameters": {"seed": 5}},
            {"assistants": [{"assistant_id": "zoe"}]},
            {"tool_resources": {"code_interpreter": {"file_ids": ["file-5"]}}},
        ]
        await storing.changes_at_once(case, changes)
        await storing.deletions_at_once(case)

    @clause
    async def test_22_a_key_makes_one_thread(self, case: ThreadsCase) -> None:
        """Under one `Idempotency-Key` a thread is made once, and every request gets the first one's answer."""
        await storing.a_key_makes_one(case, title="once", messages=[SAID])
        for id in await case.ids():
            same("the messages of each", await case.texts(id), ["hello"])

    @clause
    async def test_23_a_key_with_another_body_is_a_conflict(self, case: ThreadsCase) -> None:
        """A key that came with another body is refused, 409, `idempotency_conflict`, and nothing is stored."""
        await storing.a_key_with_another_body(case)

    @clause
    async def test_24_answers_are_the_callers_own(self, case: ThreadsCase) -> None:
        """Whoever changes what they got, or gave, changes nothing of what is stored."""
        fields = {
            "parameters": {"stop": ["x"], "mirostat": {"tau": [1]}},
            "assistants": [{"assistant_id": "jan"}],
            "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
        }
        await storing.answers_are_the_callers(case, **fields)

    @clause
    async def test_25_a_deletion_is_noted_until_it_is_finished(self, case: ThreadsCase) -> None:
        """A deletion stays noted in `deleted` until `forget`, for every process, so that any of them finishes it."""
        made = [(await case.create(messages=[SAID]))["id"] for _ in range(8)]
        *gone, kept = made
        await case.ask("threads.forget", kept)
        same("the deletions that are noted", list(await case.ask("threads.deleted")), [])
        async with case.unfinished():
            for id in gone:
                await case.delete(id)
                holds(id in await case.ask("threads.deleted"), f"the deletion of {id} is not noted")
            same("the deletions that are noted", sorted(await case.ask("threads.deleted")), sorted(gone))
            await case.ask("threads.forget", gone[0])
            noted = sorted(await case.ask("threads.deleted"))
            same("the deletions that are noted, when one was forgotten", noted, sorted(gone[1:]))
            async with case.again() as other:
                # It does at its start what this one does not come to.
                await other.finished()
                for id in gone:
                    await other.is_nowhere(id)
            same("the deletions that are noted, here", list(await case.ask("threads.deleted")), [])
        for id in (*gone, *gone, "jan-1700000000-none"):
            await case.ask("threads.forget", id)
        same("what is there", await case.ids(), [kept])
        same("the messages of the one that is there", await case.texts(kept), ["hello"])

    @clause
    async def test_28_a_caller_that_gives_up_breaks_nothing(self, case: ThreadsCase) -> None:
        """What is cancelled at any moment has happened as a whole or not at all, and the next call works."""
        await storing.giving_up(case)

    @clause(optional="restore")
    async def test_29_what_is_exported_is_restored_with_all_that_it_has(self, case: ThreadsCase) -> None:
        """`export` gives lines that `restore` stores, in place of the same ids, with fields the API does not know."""
        assistants = [{**FULL["assistants"][0], "nick": "Z"}, FULL["assistants"][1]]
        by_hand = {
            "own": {"b": [1, None, {"c": 0.5}], "a": "\0"},
            "model.json": {"note": "x"},
            "assistants": assistants,
        }
        await storing.lines_come_back(case, FULL, by_hand, {"title": "changed", "metadata": {"later": "yes"}})
        gone, good = await case.create(), await case.create()
        lines = list(await case.ask("threads.export", [good["id"], gone["id"]]))
        lines[0] = lines[0].replace(good["id"].encode(), b"another")
        async with case.unfinished():
            await case.delete(gone["id"])
            await case.refused(Conflict, "threads.restore", lines, status=409)
            same("what came with one that is being deleted", list(await case.ask("threads.export", ["another"])), [])
        await case.finished()
        await case.ask("threads.restore", lines)
        same("the one that was deleted", await case.read(gone["id"]), gone)
        found = await case.ask("threads.list", case.query(metadata={"later": "yes"}))
        same("those with metadata that only a restored one had", [one.id for one in found.data], [])
        labelled = _with_metadata(lines[0])
        await case.ask("threads.restore", [labelled])
        found = await case.ask("threads.list", case.query(metadata={"restored": "yes"}))
        same("those with the metadata of a restored one", [one.id for one in found.data], ["another"])


def _with_metadata(line: bytes) -> bytes:
    return line_of(Thread, {**from_json(line), "metadata": {"restored": "yes"}})
