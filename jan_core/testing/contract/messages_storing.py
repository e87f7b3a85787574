"""The clauses of `messages` about storing: for good, at once, once only, and for other modules."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from pydantic_core import from_json

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.lines import line_of
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery, MessageUpdate
from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.messages_case import MessagesCase, OfMessages

WRITERS, EACH = 6, 8
NOTE = {
    "type": "file_citation",
    "text": "[1]",
    "start_index": 0,
    "end_index": 3,
    "file_citation": {"file_id": "file-1"},
}
"""An annotation."""


class MessagesStoring(OfMessages):
    """Processes, writers, keys, internal operations."""

    @clause
    async def test_18_what_was_answered_is_kept(self, case: MessagesCase) -> None:
        """What was answered is there for whoever opens the same storage afterwards, or has it open."""
        thread = await case.thread()
        made = [await case.say(thread, f"{number}", metadata={"n": f"{number}"}) for number in range(3)]
        async with case.again() as other:
            same("the messages, elsewhere", await other.all(thread), made)
            made.append(await other.say(thread, "from there"))
            same("the messages, here", await case.all(thread), made)
            await other.ask("messages.delete", thread, made.pop(0)["id"])
            changed = MessageUpdate(metadata={"x": "y"})
            made[0] = written(await other.ask("messages.update", thread, made[0]["id"], changed))
            same("after changes there", await case.all(thread), made)
        async with case.again() as other:
            same("opened once more", await other.all(thread), made)

    @clause(stored=True)
    async def test_30_another_process_reads_it(self, case: MessagesCase) -> None:
        """What was answered is read by a process of its own, while this one has it open, and when it is closed."""
        thread = await case.thread()
        made = [await case.say(thread, f"{number}", metadata={"n": f"{number}"}) for number in range(2)]
        same("the messages, in another process", await case.in_another_process(thread), made)
        async with case.again() as other:
            made.append(await other.say(thread, "from an app that is closed then"))
            changed = MessageUpdate(metadata={"x": "y"})
            made[0] = written(await other.ask("messages.update", thread, made[0]["id"], changed))
            await other.ask("messages.delete", thread, made.pop(1)["id"])
        same("after changes, in another process", await case.in_another_process(thread), made)

    @clause
    async def test_19_writers_at_once_lose_nothing(self, case: MessagesCase) -> None:
        """Writers at once lose and double nothing, each one's order is kept, and readers see all that was answered."""
        thread = await case.thread()
        answered: list[str] = []

        async def write(writer: int) -> None:
            for number in range(EACH):
                one = await case.say(thread, f"{writer}-{number}")
                answered.append(one["id"])

        async def read() -> None:
            for _ in range(8):
                before = set(answered)
                found = await case.ask("messages.list", thread, MessagesQuery(limit=100))
                lost = before - {one.id for one in found.data}
                same("answered messages that a reader does not see", lost, set())

        await settled([*(write(writer) for writer in range(WRITERS)), read()])
        self._in_order(await case.texts(thread))

    @clause
    async def test_20_processes_at_once_lose_nothing(self, case: MessagesCase) -> None:
        """The same holds for writers in two apps on one storage."""
        thread = await case.thread()
        async with case.again() as other:

            async def write(writer: int) -> None:
                for number in range(EACH):
                    await (case, other)[writer % 2].say(thread, f"{writer}-{number}")

            # The first of each come at once, to a storage that nobody opened before: neither is told that it is busy.
            await settled([write(writer) for writer in range(WRITERS)])
            self._in_order(await other.texts(thread))
        self._in_order(await case.texts(thread))

    @clause
    async def test_21_changes_at_once_are_all_made(self, case: MessagesCase) -> None:
        """Changes and deletions of different messages at once are all made, beside creations."""
        thread = await case.thread()
        made = [await case.say(thread, f"{number}") for number in range(12)]
        await settled(
            [
                *(
                    case.ask("messages.update", thread, one["id"], MessageUpdate(metadata={"seen": one["id"]}))
                    for one in made[:6]
                ),
                *(case.ask("messages.delete", thread, one["id"]) for one in made[6:]),
                *(case.say(thread, "new") for _ in range(4)),
            ]
        )
        found = await case.all(thread)
        same("those that were changed", found[:6], [{**one, "metadata": {"seen": one["id"]}} for one in made[:6]])
        same("how many there are", len(found), 10)

    @clause
    async def test_22_a_key_makes_one_message(self, case: MessagesCase) -> None:
        """Under one `Idempotency-Key` a message is made once, and every request gets the first one's answer."""
        thread, other = await case.thread(), await case.thread()
        first = await case.say(thread, "once", key="k")
        same("the answer to a repetition", await case.say(thread, "once", key="k"), first)
        at_once = await settled([case.say(thread, "at once", key="l") for _ in range(6)])
        same("different messages of six requests at once", len({one["id"] for one in at_once}), 1)
        await case.ask("messages.update", thread, first["id"], MessageUpdate(metadata={"later": "yes"}))
        async with case.again() as elsewhere:
            same("the answer elsewhere, after a change", await elsewhere.say(thread, "once", key="k"), first)
        same("the texts", await case.texts(thread), ["once", "at once"])
        holds((await case.say(other, "once", key="k"))["id"] != first["id"], "a key counts in its thread only")
        holds((await case.say(thread, "once", key="m"))["id"] != first["id"], "another key is another message")
        await case.ask("messages.delete", thread, first["id"])
        for number in range(25):
            await case.say(other, "many", key=f"{number}")
        same("the answer after its deletion", await case.say(thread, "once", key="k"), first)
        again = await case.say(other, "many", key="0")
        holds(again in await case.all(other), "the oldest of many keys is remembered no more")
        same("how many there are under many keys", len(await case.all(other)), 26)
        upper = await case.say(thread, "once", key="K")
        holds(upper["id"] != first["id"], "a key that differs by case is another key")

    @clause
    async def test_23_a_key_with_another_body_is_a_conflict(self, case: MessagesCase) -> None:
        """A key that came with another body is refused, 409, `idempotency_conflict`, and nothing is stored."""
        thread = await case.thread()
        one = await case.say(thread, "one", key="k")
        body = MessageRequest(role="user", content="two")
        expected = {"code": "idempotency_conflict", "status": 409, "key": "k"}
        await case.refused(Conflict, "messages.create", thread, body, **expected)
        path = f"/threads/{thread}/messages"
        status, _ = await case.send("POST", path, {"role": "user", "content": "three"}, key="k")
        same("the status over HTTP", status, 409)
        same("the messages", await case.all(thread), [one])

    @clause
    async def test_24_answers_are_the_callers_own(self, case: MessagesCase) -> None:
        """Whoever changes what they got, or gave, changes nothing of what is stored."""
        thread = await case.thread()
        body = MessageRequest(role="user", content="a", metadata={"a": "b"})
        made = await case.ask("messages.create", thread, body)
        kept = written(made)
        page = await case.ask("messages.list", thread, MessagesQuery())
        given = made.model_copy(deep=True, update={"id": "msg_given"})
        await case.ask("messages.put", given)
        for one in (made, page.data[0], given, await case.ask("messages.retrieve", thread, made.id)):
            one.metadata["a"] = "c"
            one.content.clear()
        (body.metadata or {})["a"] = "c"
        page.data.clear()
        same("what is stored", await case.all(thread), [kept, {**kept, "id": "msg_given"}])

    @clause
    async def test_25_the_first_messages_of_a_thread(self, case: MessagesCase) -> None:
        """`start` stores a thread's first messages in their order; repeated, it replaces what it stored."""
        thread = await case.thread()
        bodies = [MessageRequest(role="user", content=f"{number}", metadata={"n": f"{number}"}) for number in range(3)]
        await case.ask("messages.start", thread, [MessageRequest(role="user", content="lost")])
        started = [written(one) for one in await case.ask("messages.start", thread, bodies)]
        same("the messages", await case.all(thread), started)
        same("their texts", await case.texts(thread), ["0", "1", "2"])
        added = await case.say(thread, "later")
        same("with a later one", await case.all(thread), [*started, added])
        other = await case.thread()
        same("the answer to no messages", list(await case.ask("messages.start", other, [])), [])
        same("a thread that begins with none", await case.all(other), [])

    @clause
    async def test_26_put_keeps_what_it_is_given(self, case: MessagesCase) -> None:
        """`put` stores a message as it is: in the place of one of the same id, else at the end."""
        thread = await case.thread()
        first, second = await case.say(thread, "first"), await case.say(thread, "second")
        own = Message.model_validate(
            {
                **first,
                "id": "msg_own",
                "created_at": 5,
                "completed_at": None,
                "status": "incomplete",
                "incomplete_at": 6,
                "incomplete_details": {"reason": "run_cancelled"},
                "role": "assistant",
                "assistant_id": "jan",
                "run_id": "run_1",
                "content": [{"type": "text", "text": {"value": "[1]", "annotations": [NOTE]}}],
            }
        )
        await case.ask("messages.put", own)
        same("the message that was put", await case.read(thread, "msg_own"), written(own))
        await case.ask("messages.put", Message.model_validate({**first, "metadata": {"put": "again"}}))
        same("all of them", await case.all(thread), [{**first, "metadata": {"put": "again"}}, second, written(own)])
        late = own.model_copy(update={"id": "msg_late", "created_at": 2**31 + 5, "completed_at": 2**33})
        await case.ask("messages.put", late)
        same("one of a late time", await case.read(thread, "msg_late"), written(late))
        await case.ask("messages.put", own.model_copy(update={"run_id": "run_2"}))
        for run_id, wanted in (("run_1", ["msg_late"]), ("run_2", ["msg_own"])):
            page = await case.page(thread, run_id=run_id)
            same(f"those of {run_id}, when one was put as another run's", [one["id"] for one in page["data"]], wanted)
        await case.ask("messages.put", own.model_copy(update={"thread_id": "jan-1700000000-bbbbbbbbbbbbbb"}))

    @clause
    async def test_27_clearing_leaves_nothing(self, case: MessagesCase) -> None:
        """`clear` removes all messages of a thread, and is content where there are none."""
        thread = await case.thread()
        for _ in range(2):
            one = await case.say(thread, "secret")
            await case.ask("messages.clear", thread)
            await case.ask("messages.clear", thread)
            same("what is left", await case.all(thread), [])
            await case.is_nowhere(thread, one["id"])

    @clause
    async def test_28_a_caller_that_gives_up_breaks_nothing(self, case: MessagesCase) -> None:
        """A creation that is cancelled at any moment has happened as a whole or not at all, and the next one works."""
        thread = await case.thread()
        chance = random.Random(3)
        answered = 0
        for number in range(40):
            task = asyncio.ensure_future(case.say(thread, f"{number}"))
            done, _ = await asyncio.wait({task}, timeout=chance.choice([0, 0, 0.0002, 0.001, 0.003]))
            answered += len(done)
            task.cancel()
            await asyncio.wait({task})
        last = await case.say(thread, "last")
        before, listed = -2, -1
        while listed != before:  # what nobody waits for any more may still be under way
            before = listed
            await asyncio.sleep(0.02)
            listed = len((await case.ask("messages.list", thread, MessagesQuery(limit=100))).data)
        found = await case.all(thread)
        holds(answered < len(found) <= 41, f"{answered} were answered, and {len(found)} are there")
        holds(last in found, "what was answered last is not there")
        texts = await case.texts(thread)
        same("messages that are there twice", len(texts) - len(set(texts)), 0)
        holds(set(texts) <= {"last", *map(str, range(40))}, f"there is what nobody said: {texts}")
        await self._under_keys(case)

    @clause(optional="repeated")
    async def test_29_what_was_answered_before_is_found(self, case: MessagesCase) -> None:
        """`repeated` gives what `create` answered under the key before, and stores nothing; None where it did not."""
        thread, other = await case.thread(), await case.thread()
        first = await case.say(thread, "once", key="k")
        await case.say(thread, "without a key")
        once = MessageRequest(role="user", content="once")
        for id in (thread, other):
            same("what is found without a key", await case.ask("messages.repeated", id, once), None)
            same("what is found of a new key", await case.ask("messages.repeated", id, once, key="l"), None)
        same("what is found elsewhere", await case.ask("messages.repeated", other, once, key="k"), None)
        await case.ask("messages.update", thread, first["id"], MessageUpdate(metadata={"later": "yes"}))
        async with case.again() as elsewhere:
            for one in (case, elsewhere):
                same("what is found, after a change", await _repeated(one, thread, once), first)
        await case.ask("messages.delete", thread, first["id"])
        same("what is found, after its deletion", await _repeated(case, thread, once), first)
        expected = {"code": "idempotency_conflict", "status": 409, "key": "k"}
        body = MessageRequest(role="user", content="another")
        await case.refused(Conflict, "messages.repeated", thread, body, **expected)
        same("the messages", await case.texts(thread), ["without a key"])
        same("the messages elsewhere", await case.texts(other), [])
        await case.ask("threads.delete", thread)
        expected = {"code": "thread_not_found", "status": 404, "key": "k"}
        await case.refused(NotFound, "messages.repeated", thread, once, **expected)

    @clause(optional="restore")
    async def test_31_what_is_exported_is_restored_with_all_that_it_has(self, case: MessagesCase) -> None:
        """`export` gives lines that `restore` stores elsewhere, in order, also fields that the API does not know."""
        thread, other = await case.thread(), await case.thread()
        for number in range(5):
            await case.say(thread, f"{number}\0\U0001f600", metadata={"n": f"{number}"})
        lines = list(await case.ask("messages.export", thread, None, 100))
        listed = await case.all(thread)
        same("the lines", [_shown(one) for one in lines], listed)
        some = await case.ask("messages.export", thread, listed[1]["id"], 2)
        same("the lines behind a message", list(some), lines[2:4])
        same(
            "what is exported of a thread without messages", list(await case.ask("messages.export", other, None, 9)), []
        )
        lines = [_elsewhere(one, other) for one in lines]
        await case.ask("messages.restore", other, lines[:3])
        await case.ask("messages.restore", other, lines[3:])
        again = list(await case.ask("messages.export", other, None, 100))
        same("the lines, after restoring them", again, lines)
        same("the messages", await case.all(other), [{**one, "thread_id": other} for one in listed])
        await case.refused(Conflict, "messages.restore", other, [_renamed(lines[0]), lines[1]], status=409)
        for wrong in (b"{}", b"[]", b"{", lines[0].replace(other.encode(), b"another")):
            await case.refused(InvalidRequest, "messages.restore", other, [_renamed(lines[0]), wrong], status=400)
        await case.refused(InvalidRequest, "messages.export", other, "msg_nothing", 9, status=400)
        await case.ask("messages.update", other, listed[0]["id"], MessageUpdate(metadata={"later": "yes"}))
        after = list(await case.ask("messages.export", other, None, 100))
        expected = line_of(Message, {**from_json(lines[0]), "metadata": {"later": "yes"}})
        same("the lines, after a change", after, [expected, *lines[1:]])

    async def _under_keys(self, case: MessagesCase) -> None:
        """Give up creations that have a key, and repeat them."""
        thread = await case.thread()
        chance = random.Random(5)
        for number in range(20):
            task = asyncio.ensure_future(case.say(thread, f"{number}", key=f"k{number}"))
            await asyncio.wait({task}, timeout=chance.choice([0, 0.0002, 0.0005, 0.001, 0.002]))
            task.cancel()
            await asyncio.wait({task})
            made = await case.say(thread, f"{number}", key=f"k{number}")
            if number % 2:  # so that either way of asking is given up
                made = await case.say(thread, f"{number}", key=f"k{number}")
            same("what a repetition was answered", await case.read(thread, made["id"]), made)
        same("what is there under keys", await case.texts(thread), [f"{number}" for number in range(20)])

    def _in_order(self, texts: list[str]) -> None:
        for writer in range(WRITERS):
            own = [text for text in texts if text.startswith(f"{writer}-")]
            same(f"what the writer {writer} stored", own, [f"{writer}-{number}" for number in range(EACH)])
        same("how many there are", len(texts), WRITERS * EACH)


def _shown(line: bytes) -> dict[str, Any]:
    return dict(written(Message.model_validate_json(line)))


def _elsewhere(line: bytes, thread: str) -> bytes:
    """The same in another thread, with more than the API knows of."""
    values = from_json(line)
    values["content"][0]["text"]["own"] = [None, 1.5]
    return line_of(Message, {**values, "thread_id": thread, "others": 7, "by_hand": {"a": ["\0", {}]}})


def _renamed(line: bytes) -> bytes:
    return line_of(Message, {**from_json(line), "id": "msg_renamed"})


async def _repeated(case: MessagesCase, thread: str, body: MessageRequest) -> dict[str, Any] | None:
    found = await case.ask("messages.repeated", thread, body, key="k")
    return None if found is None else dict(written(found))
