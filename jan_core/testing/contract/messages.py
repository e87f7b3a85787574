"""The contract of `messages`. The prose is in `docs/contract/messages.md`."""

from __future__ import annotations

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery, MessageUpdate
from jan_core.testing.contract import hostile
from jan_core.testing.contract.case import holds, same, segment, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.messages_case import MessagesCase
from jan_core.testing.contract.messages_listing import MessagesListing
from jan_core.testing.contract.messages_storing import MessagesStoring

LARGE = {"metadata": (16, 1), "content": (0, 10)}
"""How many pairs and parts a message has that is as large as it may be, in one of them."""


class MessagesContract(MessagesListing, MessagesStoring):
    """What every implementation of `messages` keeps."""

    @clause
    async def test_01_a_created_message_is_complete(self, case: MessagesCase) -> None:
        """The reply to a creation is the whole message: an id that begins with `msg_`, thread, times and parts."""
        thread = await case.thread()
        for made in (await case.say(thread, "a"), await case.say(thread, "b", role="assistant")):
            holds(made["id"].startswith("msg_"), f"the id {made['id']!r} does not begin with msg_")
            at = made["created_at"]
            wanted = {
                "object": "thread.message",
                "thread_id": thread,
                "status": "completed",
                "completed_at": at,
                "incomplete_at": None,
                "incomplete_details": None,
                "assistant_id": None,
                "run_id": None,
                "metadata": {},
            }
            same("the new message", {name: made[name] for name in wanted}, wanted)
        same("the role", made["role"], "assistant")
        part = {"type": "text", "text": {"value": "b", "annotations": []}}
        same("a text as content", made["content"], [part])

    @clause
    async def test_02_what_is_stored_is_what_was_answered(self, case: MessagesCase) -> None:
        """A message is read as it was answered when it was made: every field and every kind of part."""
        thread = await case.thread()
        made = [
            await case.say(
                thread,
                [
                    {"type": "text", "text": "a"},
                    {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {"type": "text", "text": "b"},
                ],
                attachments=[{"file_id": "file-2", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}],
                metadata={"k" * 64: "v" * 512, "": ""},
            )
            for _ in range(2)
        ]
        for one in made:
            same("the message read again", await case.read(thread, one["id"]), one)
        same("all of them", await case.all(thread), made)
        full = {f"{number:02}": f"{number:02}" * 256 for number in range(16)}
        parts = [{"type": "text", "text": "x" * 256_000} for _ in range(10)]
        for fields in ({"metadata": full}, {"content": parts}):
            one = await case.say(thread, **fields)
            same("a large one read again", written(await case.ask("messages.retrieve", thread, one["id"])), one)
            same("how much of it there is", (len(one["metadata"]), len(one["content"])), LARGE[next(iter(fields))])

    @clause
    async def test_03_texts_come_back_as_they_were(self, case: MessagesCase) -> None:
        """Every text comes back character by character, whatever scripts, controls or marks it holds, up to 256,000."""
        thread = await case.thread()
        for text in hostile.TEXTS:
            pairs = {"key": text[:512]}
            one = await case.say(thread, text, metadata=pairs)
            found = await case.read(thread, one["id"])
            same("the text", found["content"][0]["text"]["value"], text)
            same("the metadata", found["metadata"], pairs)
        same("the texts of all", await case.texts(thread), [*hostile.TEXTS])

    @clause
    async def test_04_no_id_comes_twice(self, case: MessagesCase) -> None:
        """Every message has an id of its own, in whatever thread and however quickly they are made."""
        threads = [await case.thread(), await case.thread()]
        made = await settled([case.say(threads[number % 2]) for number in range(60)])
        ids = {one["id"] for one in made}
        same("different ids", len(ids), 60)
        for _ in range(3):
            # The newest one, which what counts from the largest would give out again.
            last = (await case.say(threads[0]))["id"]
            holds(last not in ids, f"the id {last!r} of a message that was deleted is given out again")
            ids.add(last)
            await case.ask("messages.delete", threads[0], last)

    @clause
    async def test_13_metadata_is_replaced(self, case: MessagesCase) -> None:
        """An update replaces the metadata as a whole, null empties it, and a body without it changes nothing."""
        thread = await case.thread()
        one, other = await case.say(thread, "a", metadata={"a": "1", "b": "2"}), await case.say(thread, "b")
        for body, wanted in (
            ({"metadata": {"b": "3"}}, {"b": "3"}),
            ({}, {"b": "3"}),
            ({"metadata": {}}, {}),
            ({"metadata": {"ü": "ß"}}, {"ü": "ß"}),
            ({"metadata": None}, {}),
        ):
            changed = written(await case.ask("messages.update", thread, one["id"], MessageUpdate.model_validate(body)))
            same(f"the answer to {body}", changed, {**one, "metadata": wanted})
            same(f"what is stored after {body}", await case.read(thread, one["id"]), changed)
        over_http = await case.sent("POST", thread, one["id"], body={"metadata": {"z": "z"}})
        same("all of them", await case.all(thread), [over_http, other])
        of_run = Message.model_validate({**other, "id": "msg_of_run", "run_id": "run_1", "created_at": 5})
        await case.ask("messages.put", of_run)
        changed = written(await case.ask("messages.update", thread, of_run.id, MessageUpdate(metadata={"a": "b"})))
        same("one of a run, after an update", changed, {**written(of_run), "metadata": {"a": "b"}})
        same("those of the run", (await case.page(thread, run_id="run_1"))["data"], [changed])

    @clause
    async def test_14_a_deleted_message_is_gone_and_no_other(self, case: MessagesCase) -> None:
        """What was deleted is found no more, by no operation, and the others stay as they are."""
        thread = await case.thread()
        made = [await case.say(thread, f"{number}") for number in range(4)]
        deleted = {"object": "thread.message.deleted", "deleted": True}
        told = written(await case.ask("messages.delete", thread, made[1]["id"]))
        same("the answer", told, {"id": made[1]["id"], **deleted})
        same("over HTTP", await case.sent("DELETE", thread, made[3]["id"]), {"id": made[3]["id"], **deleted})
        same("what is left", await case.all(thread), [made[0], made[2]])
        for one in (made[1]["id"], made[3]["id"]):
            await case.is_nowhere(thread, one)

    @clause
    async def test_15_a_message_belongs_to_its_thread(self, case: MessagesCase) -> None:
        """A message is found in its own thread only, and what happens to it touches no other thread."""
        thread, other = await case.thread(), await case.thread()
        one, two = await case.say(thread, "one"), await case.say(other, "two")
        await case.is_nowhere(other, one["id"])
        same("the one thread", await case.all(thread), [one])
        same("the other", await case.all(other), [two])
        await case.ask("messages.clear", other)
        same("the one, after the other was cleared", await case.all(thread), [one])
        copied = Message.model_validate({**one, "thread_id": other})
        await case.ask("messages.put", copied)
        same("the one, after it was copied", await case.all(thread), [one])
        same("the copy, of the same id", await case.all(other), [written(copied)])
        changed = await case.sent("POST", other, one["id"], body={"metadata": {"a": "b"}})
        same("the one, after its copy was changed", await case.all(thread), [one])
        same("the copy, changed", await case.all(other), [changed])
        await case.ask("messages.delete", thread, one["id"])
        same("the copy, after the one was deleted", await case.all(other), [changed])
        same("the thread of the one that was deleted", await case.all(thread), [])
        await self._look_alikes(case)

    async def _look_alikes(self, case: MessagesCase) -> None:
        """Look at ids that a pattern or a careless comparison takes for each other."""
        threads = ["jan_1_x", "jan-1-x", "jan11-x"]
        ids = ["msg_a_1", "msg_a-1", "msg_a11", "msg_A_1"]
        for thread in threads:
            await case.named(thread)
            for id in ids:
                given = MessageRequest(role="user", content=f"{id} in {thread}")
                await case.ask("messages.put", Message.of(given, id=id, thread_id=thread, created_at=5))
        for thread in threads:
            wanted = [f"{id} in {thread}" for id in ids]
            same(f"the messages of {thread}", await case.texts(thread), wanted)
        for id in ("msg_b_1", "msg_a_", "MSG_A-1", "msg__-1"):
            await case.is_nowhere(threads[1], id)
        await case.refused(InvalidRequest, "messages.retrieve", threads[1], "msg_%", status=400)
        first, *others = ids
        await case.ask("messages.update", threads[1], first, MessageUpdate(metadata={"a": "b"}))
        found = {one["id"] for one in await case.all(threads[1]) if one["metadata"]}
        same(f"those that were changed with {first}", found, {first})
        await case.ask("messages.delete", threads[1], first)
        same(f"the ids after {first} was deleted", [one["id"] for one in await case.all(threads[1])], others)
        await case.ask("messages.clear", threads[0])
        left = [len(await case.all(thread)) for thread in threads]
        same(f"how many are there after {threads[0]} was cleared", left, [0, 3, 4])

    @clause
    async def test_16_no_thread_no_messages(self, case: MessagesCase) -> None:
        """In a thread that does not exist, or was deleted, every operation is refused: 404, `thread_not_found`."""
        gone = await case.thread()
        one = await case.say(gone)
        await case.ask("threads.delete", gone)
        update, query = MessageUpdate(metadata={}), MessagesQuery()
        for thread in (gone, "jan-1700000000-aaaaaaaaaaaaaa"):
            for operation, arguments in (
                ("create", (MessageRequest(role="user", content="x"),)),
                ("list", (query,)),
                ("retrieve", (one["id"],)),
                ("update", (one["id"], update)),
                ("delete", (one["id"],)),
            ):
                expected = {"code": "thread_not_found", "param": "thread_id", "status": 404}
                await case.refused(NotFound, f"messages.{operation}", thread, *arguments, **expected)
            status, _ = await case.send("GET", f"/threads/{thread}/messages")
            same("the status over HTTP", status, 404)

    @clause
    async def test_17_hostile_ids_find_nothing(self, case: MessagesCase) -> None:
        """Ids that are paths, devices, commands or too long find nothing and do nothing: 400 or 404."""
        thread = await case.thread()
        one = await case.say(thread)
        body = MessageRequest(role="user", content="x")
        for id in case.hostile_ids():
            for operation, arguments in (
                ("messages.create", (id, body)),
                ("messages.list", (id, MessagesQuery())),
                ("messages.retrieve", (id, one["id"])),
                ("messages.retrieve", (thread, id)),
                ("messages.update", (thread, id, MessageUpdate(metadata={}))),
                ("messages.delete", (thread, id)),
                ("messages.delete", (id, one["id"])),
            ):
                refusal = await case.refused(JanError, operation, *arguments)
                same(f"4xx for {id[:50]!a}", refusal.status in (400, 404), True)
            for method in ("GET", "DELETE"):
                status, _ = await case.send(method, f"/threads/{thread}/messages/{segment(id)}x%2f..")
                holds(400 <= status < 500, f"{method} of {id[:50]!a} answered {status}")
        same("the one message", await case.all(thread), [one])
        same("files outside of the root", case.escaped(), [])
