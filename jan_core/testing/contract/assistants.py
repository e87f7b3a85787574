"""The contract of `assistants`. The prose is in `docs/contract/assistants.md`."""

from __future__ import annotations

from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.contract.assistants_case import BARE, FULL, SETTINGS, AssistantsCase
from jan_core.testing.contract.assistants_listing import AssistantsListing
from jan_core.testing.contract.assistants_storing import AssistantsStoring
from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.objects_case import by_time
from jan_core.testing.contract.objects_storing import (
    an_update_leaves_the_time,
    hostile_ids_do_nothing,
    large_ones,
    look_alikes,
    texts_come_back,
)


class AssistantsContract(AssistantsListing, AssistantsStoring):
    """What every implementation of `assistants` keeps."""

    @clause
    async def test_01_a_created_assistant_is_complete(self, case: AssistantsCase) -> None:
        """The reply to a creation is the whole assistant: an id that begins with `asst_`, its time, every field."""
        for _ in range(2):
            made = await case.create()
            holds(made["id"].startswith("asst_"), f"the id {made['id']!r} does not begin with asst_")
            holds(len(made["id"]) <= 128, f"the id {made['id']!r} has more than 128 characters")
            told = {"id": made["id"], "created_at": made["created_at"], "model": "scripted"}
            same("the new assistant", made, {**BARE, **told})

    @clause
    async def test_02_what_is_stored_is_what_was_answered(self, case: AssistantsCase) -> None:
        """An assistant is read as it was answered when it was made: every field, and defaults for all others."""
        null = {name: None for name in FULL if name not in ("model", "tools")}
        made = []
        others: dict[str, Any] = {"response_format": "auto", "tools": [], "temperature": 0, "top_p": 1, "name": ""}
        for fields in (FULL, FULL, {}, {}, null, others):
            made.append(await case.create(**fields))
            given = {name: value for name, value in fields.items() if value is not None}
            same("what was asked for", {name: made[-1].get(name) for name in given}, given)
        for one in made:
            same("the assistant read again", await case.read(one["id"]), one)
        listed = {one["id"]: one for one in await case.all() if one["id"] != "jan"}
        same("all of them", listed, {one["id"]: one for one in made})
        same("the fields of one that was given null", {name: made[4].get(name) for name in BARE}, BARE)
        await large_ones(case)

    @clause
    async def test_03_texts_come_back_as_they_were(self, case: AssistantsCase) -> None:
        """Instructions of up to 256,000 characters come back character by character, and so do all other texts."""
        await texts_come_back(case, {"name": 256, "description": 512, "instructions": 256_000, "avatar": 2048})

    @clause
    async def test_04_no_id_comes_twice(self, case: AssistantsCase) -> None:
        """Every assistant has an id of its own, however quickly they are made, and by how many processes."""
        async with case.again() as other:
            made = await settled([(case, other)[number % 2].create() for number in range(40)])
        same("different ids", len({one["id"] for one in made}), 40)

    @clause
    async def test_05_jan_is_there(self, case: AssistantsCase) -> None:
        """An assistant of the id `jan`, named Jan, is there from the first start, and sets nothing by itself."""
        found = await case.read("jan")
        same("its name", found["name"], "Jan")
        same("the assistants of a new store", await case.all(), [found])
        same("what it sets", await case.settings("jan"), {})

    @clause
    async def test_06_jan_stays(self, case: AssistantsCase) -> None:
        """`jan` may be modified, which lasts, and cannot be deleted: 400, `protected_assistant`."""
        changed = await case.update("jan", name="Joan", instructions="Be kind.", metadata={"a": "b"})
        same("its name", (changed["name"], changed["instructions"]), ("Joan", "Be kind."))
        expected = {"code": "protected_assistant", "param": "assistant_id", "status": 400}
        await case.refused(InvalidRequest, "assistants.delete", "jan", **expected)
        status, _ = await case.send("DELETE", "/assistants/jan")
        same("the status over HTTP", status, 400)
        same("jan", await case.read("jan"), changed)
        async with case.again() as other:
            same("jan, elsewhere", await other.read("jan"), changed)
            await other.refused(InvalidRequest, "assistants.delete", "jan", **expected)
        same("all of them", await case.all(), [changed])

    @clause
    async def test_07_the_model_that_answers(self, case: AssistantsCase) -> None:
        """One that names no model replies with the first one installed, else an empty string; nothing is stored."""
        own = await case.create(model="not/installed")
        bare = await case.put("bare", 5, model="")
        for model in ("scripted", ""):
            same("the model of one that names it", await case.read(own["id"]), own)
            for id in ("jan", "bare"):
                same(f"the model of {id}", (await case.read(id))["model"], model)
            models = {one["id"]: one["model"] for one in await case.all()}
            same("the models in the listing", models, {own["id"]: "not/installed", "bare": model, "jan": model})
            changed = await case.update("bare", name="changed")
            same("the answer to a change", changed, {**bare, "name": "changed", "model": model})
            same("what it sets", await case.settings("bare"), {})
            if model:
                await case.ask("models.delete", model)

    @clause
    async def test_14_an_update_changes_what_it_has(self, case: AssistantsCase) -> None:
        """An update changes the fields that it has, each as a whole; null removes a value; the rest stays."""
        one, other = await case.create(**FULL), await case.create(**FULL)
        for body in (
            {"name": "new"},
            {"metadata": {"b": "3"}},
            {},
            {"tools": [{"type": "file_search"}], "model": "another"},
            {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}},
            {"response_format": {"type": "text"}, "temperature": 0, "top_p": 1},
            {"metadata": {"ü": "ß"}, "reasoning_effort": "high", "instructions": "", "tools": []},
        ):
            for again in (False, True):
                changed = await case.update(one["id"], **body)
                one |= body
                same(f"the answer to {body}{' again' if again else ''}", changed, one)
                same(f"what is stored after {body}", await case.read(one["id"]), one)
        for name in FULL.keys() - {"model", "tools"}:
            changed = await case.update(one["id"], **{name: None})
            one[name] = {} if name == "metadata" else None
            wanted = {key: value for key, value in one.items() if value is not None or key in BARE}
            same(f"the answer to {name}: null", changed, wanted)
            same(f"what is stored after {name}: null", await case.read(one["id"]), wanted)
        same("the other assistant", await case.read(other["id"]), other)
        await an_update_leaves_the_time(case)

    @clause
    async def test_15_a_deleted_assistant_is_gone_and_no_other(self, case: AssistantsCase) -> None:
        """What was deleted is found no more, by no operation; others stay, and so do threads that it took part in."""
        made = [await case.create(name=f"{number}") for number in range(4)]
        body = ThreadRequest.model_validate({"assistants": [{"assistant_id": made[1]["id"]}]})
        thread = await case.ask("threads.create", body)
        kept = [one for one in await case.all() if one not in (made[1], made[2])]
        for number in (1, 2):
            gone = made[number]["id"]
            same("the answer", await case.delete(gone), {"id": gone, "object": "assistant.deleted", "deleted": True})
            await case.is_nowhere(gone)
        same("what is left", await case.all(), kept)
        same("its thread", await case.ask("threads.retrieve", thread.id), thread)
        await look_alikes(case)

    @clause
    async def test_16_hostile_ids_find_nothing(self, case: AssistantsCase) -> None:
        """Ids that are paths, devices, commands or too long find nothing and do nothing: 400 or 404."""
        await hostile_ids_do_nothing(case)

    @clause
    async def test_23_put_keeps_what_it_is_given(self, case: AssistantsCase) -> None:
        """`put` stores an assistant as it is, with its id and time, in place of one of the same id."""
        there = [await case.create(name="first"), await case.read("jan")]
        own = await case.put("own", 5, **FULL)
        same("the assistant that was put", await case.read("own"), own)
        again = await case.put("own", 6, name="again")
        same("the one put in its place", await case.read("own"), again)
        same("what it sets", await case.settings("own"), {"model": "scripted"})
        same("all of them", await case.all(), [again, *by_time(there)])
        jan = await case.put("jan", 7, name="Joan", model="m")
        same("jan, put", await case.read("jan"), jan)
        await case.delete("own")
        given = case.schema.model_validate(own)
        await case.ask("assistants.put", given)
        same("one put after its deletion", await case.read("own"), written(given))

    @clause
    async def test_24_layers_tell_what_the_assistant_sets(self, case: AssistantsCase) -> None:
        """`layers` tells what the assistant itself sets of how a model answers, without defaults, and where."""
        made = await case.create(**FULL)
        wanted = {name: FULL[name] for name in SETTINGS}
        same("what it sets", await case.settings(made["id"]), wanted)
        for layer in await case.ask("assistants.layers", made["id"]):
            holds(made["id"] in layer.origin, f"the origin {layer.origin!r} does not lead to the assistant")
        bare = await case.create(name="x", metadata={"temperature": "1"})
        same("what a bare one sets", await case.settings(bare["id"]), {"model": "scripted"})
        await case.update(made["id"], temperature=0, top_p=None, tools=[], response_format=None)
        wanted = {name: FULL[name] for name in ("model", "instructions", "reasoning_effort")}
        same("after an update", await case.settings(made["id"]), {**wanted, "temperature": 0})
