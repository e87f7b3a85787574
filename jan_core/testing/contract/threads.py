"""The contract of `threads`. The prose is in `docs/contract/threads.md`."""

from __future__ import annotations

import re
from typing import Any

from jan_core.errors import Conflict, InvalidRequest
from jan_core.schemas.messages import MessageRequest
from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.objects_storing import (
    an_update_leaves_the_time,
    hostile_ids_do_nothing,
    large_ones,
    look_alikes,
    texts_come_back,
)
from jan_core.testing.contract.threads_case import FULL, ThreadsCase
from jan_core.testing.contract.threads_listing import ThreadsListing
from jan_core.testing.contract.threads_storing import SAID, ThreadsStoring


class ThreadsContract(ThreadsListing, ThreadsStoring):
    """What every implementation of `threads` keeps."""

    @clause
    async def test_01_a_created_thread_is_complete(self, case: ThreadsCase) -> None:
        """The reply to a creation is the whole thread: an id of assistant, seconds and salt, its time, its fields."""
        asked: list[tuple[dict[str, Any], str]] = [
            ({}, "jan"),
            ({"assistants": []}, "jan"),
            ({"assistants": [{"assistant_id": "zoe"}, {"assistant_id": "jan"}]}, "zoe"),
            ({"assistants": [{"assistant_id": "a" * 128}]}, "a"),
        ]
        for fields, first in asked:
            made = await case.create(**fields)
            at = made["created_at"]
            found = re.fullmatch(r"(.+)-([0-9]+)-[0-9A-Za-z]+", made["id"])
            holds(found is not None, f"the id {made['id']!r} is not made of assistant, Unix seconds and salt")
            assert found is not None
            same("the id's length, at most 128", len(made["id"]) <= 128, True)
            same("the seconds in the id", int(found[2]), at)
            same("the assistant in the id", found[1].strip("a") or "a", first)
            told: dict[str, Any] = {"object": "thread", "tool_resources": None, "metadata": {}}
            same("the new thread", made, {"id": made["id"], "created_at": at, **told, **fields})

    @clause
    async def test_02_what_is_stored_is_what_was_answered(self, case: ThreadsCase) -> None:
        """A thread is read as it was answered when it was made: every field, and none that it was not given."""
        search = {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}}
        made = []
        for fields in (FULL, FULL, {}, {}, search, dict.fromkeys(FULL), {"parameters": {}, "title": ""}):
            made.append(await case.create(**fields))
            given = {name: value for name, value in fields.items() if value is not None}
            same("what was asked for", {name: made[-1].get(name) for name in given}, given)
        for one in made:
            same("the thread read again", await case.read(one["id"]), one)
            same("the answer to a check", await case.ask("threads.check", one["id"]), None)
        listed = {one["id"]: one for one in await case.all()}
        same("all of them", listed, {one["id"]: one for one in made})
        bare = ["created_at", "id", "metadata", "object", "tool_resources"]
        same("the fields of one that was given null", sorted(made[5]), bare)
        await large_ones(case)

    @clause
    async def test_03_texts_come_back_as_they_were(self, case: ThreadsCase) -> None:
        """Titles and metadata come back character by character, whatever scripts, controls or marks they hold."""
        await texts_come_back(case, {"title": 512})

    @clause
    async def test_04_ids_sort_by_when_they_were_made(self, case: ThreadsCase) -> None:
        """Every thread has an id of its own, and ids of threads of one assistant sort by when they were made."""
        made = [(await case.create())["id"] for _ in range(20)]
        same("the ids, sorted", sorted(made), made)
        same("the order of the listing", await case.ids(), made)
        async with case.again() as other:
            at_once = await settled([(case, other)[number % 2].create() for number in range(40)])
        same("different ids", len({*made, *(one["id"] for one in at_once)}), 60)

    @clause
    async def test_13_an_update_changes_what_it_has(self, case: ThreadsCase) -> None:
        """An update changes the fields that it has, each as a whole; null removes a value; the rest stays."""
        one, other = await case.create(**FULL), await case.create(**FULL)
        for body in (
            {"title": "new"},
            {"metadata": {"b": "3"}},
            {},
            {"parameters": {"top_p": 0.5}},
            {"assistants": [{"assistant_id": "jan"}]},
            {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}},
            {"model": "another", "metadata": {}},
            {"metadata": {"ü": "ß"}, "parameters": {}, "assistants": [], "title": ""},
        ):
            for again in (False, True):
                changed = await case.update(one["id"], **body)
                one |= body
                same(f"the answer to {body}{' again' if again else ''}", changed, one)
                same(f"what is stored after {body}", await case.read(one["id"]), one)
        for name in FULL:
            changed = await case.update(one["id"], **{name: None})
            one[name] = {} if name == "metadata" else None
            wanted = {key: value for key, value in one.items() if value is not None or key == "tool_resources"}
            same(f"the answer to {name}: null", changed, wanted)
            same(f"what is stored after {name}: null", await case.read(one["id"]), wanted)
        same("the other thread", await case.read(other["id"]), other)
        await an_update_leaves_the_time(case)

    @clause
    async def test_14_a_deleted_thread_is_gone_and_no_other(self, case: ThreadsCase) -> None:
        """What was deleted is found no more, by no operation, nor its messages; the others stay as they are."""
        made = [await case.create(title=f"{number}", messages=[SAID]) for number in range(4)]
        async with case.unfinished():
            for number in (1, 2):
                gone = made[number]["id"]
                same("the answer", await case.delete(gone), {"id": gone, "object": "thread.deleted", "deleted": True})
                await case.is_nowhere(gone)
            same("what is left", await case.all(), [made[0], made[3]])
        await case.finished()
        same("what is left when all is removed", await case.all(), [made[0], made[3]])
        for number in (1, 2):
            await case.is_nowhere(made[number]["id"])
        for number in (0, 3):
            same("the messages of another thread", await case.texts(made[number]["id"]), ["hello"])
        await look_alikes(case)

    @clause
    async def test_15_hostile_ids_find_nothing(self, case: ThreadsCase) -> None:
        """Ids that are paths, devices, commands or too long find nothing and do nothing: 400 or 404."""
        await hostile_ids_do_nothing(case)
        before = await case.all()
        for id in case.hostile_ids():
            await case.ask("threads.forget", id)
        same("what is there after they were forgotten", await case.all(), before)
        same("files outside of the root", case.escaped(), [])

    @clause
    async def test_16_an_assistant_that_no_id_can_begin_with(self, case: ThreadsCase) -> None:
        """An assistant whose id cannot begin a thread's is refused, 400, `assistants[0]…`, and nothing is made."""
        for id in case.hostile_ids():
            if id in ("none", "-rf") or len(id) > 128 or not id:
                continue
            body = ThreadsCase.new.model_validate({"assistants": [{"assistant_id": "x"}]})
            body.assistants[0].assistant_id = id
            error = await case.refused(InvalidRequest, "threads.create", body, status=400)
            holds(str(error.param).startswith("assistants[0]"), f"for {id!a} the parameter is {error.param!r}")
        for id in ("", "x" * 129):
            status, _ = await case.send("POST", "/threads", {"assistants": [{"assistant_id": id}]})
            same("the status over HTTP", status, 400)
        same("what is there", await case.all(), [])
        same("files outside of the root", case.escaped(), [])

    @clause
    async def test_26_layers_tell_what_the_thread_sets(self, case: ThreadsCase) -> None:
        """`layers` tells the model and the parameters that the thread itself sets, and nothing where it sets none."""
        bare = await case.create(title="x", metadata={"model": "m"}, assistants=[{"assistant_id": "jan", "model": "a"}])
        same("what a bare thread sets", await case.settings(bare["id"]), {})
        made = await case.create(**FULL)
        wanted = {**FULL["parameters"], "model": "scripted"}
        same("what a thread sets", await case.settings(made["id"]), wanted)
        for layer in await case.ask("threads.layers", made["id"]):
            holds(made["id"] in layer.origin, f"the origin {layer.origin!r} does not lead to the thread")
        await case.update(made["id"], parameters={"temperature": 0, "stop": "x"}, model=None)
        same("after an update", await case.settings(made["id"]), {"temperature": 0, "stop": "x"})

    @clause
    async def test_27_put_keeps_what_it_is_given(self, case: ThreadsCase) -> None:
        """`put` stores a thread as it is, in place of one of the same id; one that is being deleted is a conflict."""
        first = await case.create(title="first")
        own = await case.put("own", 5, **FULL)
        same("the thread that was put", await case.read("own"), own)
        again = await case.put("own", 6, title="again")
        same("the one put in its place", await case.read("own"), again)
        same("all of them", await case.all(), [again, first])
        same("what it sets", await case.settings("own"), {})
        await case.ask("messages.create", "own", body_of(MessageRequest, SAID))
        given = case.schema.model_validate(own)
        async with case.unfinished():
            await case.delete("own")
            await case.refused(Conflict, "threads.put", given)
            await case.is_nowhere("own")
        await case.finished()
        await case.ask("threads.put", given)
        same("the thread put after its deletion", await case.read("own"), written(given))
        same("its messages", await case.texts("own"), [])
