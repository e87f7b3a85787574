"""What the clauses of several endpoints share about storing objects: for good, at once, and once only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.lines import line_of
from jan_core.testing.contract import hostile
from jan_core.testing.contract.case import Broken, holds, same, segment, settled, written
from jan_core.testing.contract.objects_case import ObjectsCase, body_of, by_time

WRITERS, EACH = 6, 4


async def texts_come_back(case: ObjectsCase, lengths: dict[str, int]) -> None:
    """Store texts of every kind, and as metadata too.

    Args:
        case: the case.
        lengths: of each field with a text, the most characters.
    """
    made = []
    for text in hostile.TEXTS:
        fields: dict[str, Any] = {name: text[:length] for name, length in lengths.items()}
        fields["metadata"] = {"key": text[:512], text[:64]: "value"}
        one = await case.create(**fields)
        found = await case.read(one["id"])
        same("the texts", {name: found[name] for name in fields}, fields)
        made.append(one)
    listed = {one["id"]: one for one in await case.all()}
    same("those that are listed", [listed.get(one["id"]) for one in made], made)


async def hostile_ids_do_nothing(case: ObjectsCase) -> None:
    """Ask every operation for ids that are paths, devices, commands or too long."""
    await case.create()
    before = await case.all()
    for id in case.hostile_ids():
        for name, arguments in case.asking(id):
            refusal = await case.refused(JanError, f"{case.tested.name}.{name}", *arguments)
            told = (refusal.status in (400, 404), refusal.param)
            same(f"4xx and the parameter, of {name} for {id[:50]!a}", told, (True, f"{case.kind}_id"))
        for method in ("GET", "DELETE"):
            status, _ = await case.send(method, f"/{case.tested.name}/{segment(id)}x%2f..")
            holds(400 <= status < 500, f"{method} of {id[:50]!a} answered {status}")
    for id in ("../x", "a/b", "", "\ud800", "x" * 129):
        given = case.schema.model_construct(**{**before[0], "id": id})
        refusal = await case.refused(JanError, f"{case.tested.name}.put", given)
        same(f"the status of put for {id[:50]!a}", refusal.status, 400)
    same("what is there", await case.all(), before)
    same("files outside of the root", case.escaped(), [])


async def kept_for_others(case: ObjectsCase) -> None:
    """Look from another app at what the first one answered, and the other way round."""
    texts: list[dict[str, Any]] = [{case.named: f"{number}", "metadata": {"n": f"{number}"}} for number in range(3)]
    made = [await case.create(**one) for one in texts]
    there = await case.all()
    for one in made:
        same("one of them, here", await case.read(one["id"]), one)
    async with case.again() as other:
        same("all of them, elsewhere", await other.all(), there)
        made.append(await other.create(**{case.named: "from there"}))
        same("what was made there", await case.read(made[3]["id"]), made[3])
        await other.delete(made[0]["id"])
        await case.is_nowhere(made[0]["id"])
        changed = await other.update(made[1]["id"], metadata={"x": "y"})
        same("what was changed there", await case.read(made[1]["id"]), changed)
        same("the change", changed, {**made[1], "metadata": {"x": "y"}})
        here = await case.all()
        gone = made[0]["id"]
        wanted = [changed if one["id"] == changed["id"] else one for one in there if one["id"] != gone]
        same("all of them, here", here, by_time([*wanted, made[3]]))
    async with case.again() as other:
        same("opened once more", await other.all(), here)
        await other.is_nowhere(made[0]["id"])


async def writers_at_once(case: ObjectsCase) -> None:
    """Write by two apps at once, and read meanwhile."""
    answered: list[str] = []
    async with case.again() as other:

        async def write(writer: int) -> None:
            for number in range(EACH):
                one = await (case, other)[writer % 2].create(**{case.named: f"{writer}-{number}"})
                answered.append(one["id"])

        async def read(reader: ObjectsCase) -> None:
            for _ in range(6):
                before = set(answered)
                found = await reader.ask(f"{case.tested.name}.list", case.query(limit=100))
                same("what was answered and a reader does not see", before - {one.id for one in found.data}, set())
                await asyncio.sleep(0)

        await settled([*(write(writer) for writer in range(WRITERS)), read(case), read(other)])
        for reader in (case, other):
            names = [one[case.named] for one in await reader.all() if one["id"] in answered]
            wanted = sorted(f"{writer}-{number}" for writer in range(WRITERS) for number in range(EACH))
            same("what is there", sorted(names), wanted)


async def changes_at_once(case: ObjectsCase, fields: list[dict[str, Any]]) -> None:
    """Change one object by two apps at once, each time another field, beside others that are changed and made.

    Args:
        case: the case.
        fields: the changes, of different fields.
    """
    made = [await case.create() for _ in range(6)]
    kept = [await case.create() for _ in range(3)]
    async with case.again() as other:
        await settled(
            [
                *((case, other)[number % 2].update(made[0]["id"], **one) for number, one in enumerate(fields)),
                *(case.update(one["id"], metadata={"seen": one["id"]}) for one in made[1:4]),
                *(case.delete(one["id"]) for one in made[4:]),
                *(other.create() for _ in range(3)),
            ]
        )
    wanted = dict(made[0])
    for one in fields:
        wanted |= one
    same("one that was changed in several fields", await case.read(made[0]["id"]), wanted)
    for one in made[1:4]:
        same("one that was changed", await case.read(one["id"]), {**one, "metadata": {"seen": one["id"]}})
    for one in made[4:]:
        await case.is_nowhere(one["id"])
    for one in kept:
        same("one that nobody changed", await case.read(one["id"]), one)


async def deletions_at_once(case: ObjectsCase) -> None:
    """Delete what two apps change at once, and delete it twice."""
    made = [(await case.create())["id"] for _ in range(6)]
    async with case.again() as other:

        async def change(app: ObjectsCase, id: str) -> str | None:
            return await asked_for(app.update(id, **{case.named: "changed"}))

        async def delete(app: ObjectsCase, id: str) -> str | None:
            return await asked_for(app.delete(id))

        async def asked_for(asked: Awaitable[dict[str, Any]]) -> str | None:
            try:
                return str((await asked)["id"])
            except NotFound:
                return None
            except Broken as error:
                # Over HTTP the refusal is told in the reply.
                if " answered 404: " not in str(error):
                    raise
                return None

        for id in made:
            found = await settled([change(case, id), delete(case, id), change(other, id), delete(other, id)])
            same("how many of two deletions at once were answered", found[1::2].count(id), 1)
        for id in made:
            await case.is_nowhere(id)
            await other.is_nowhere(id)


async def a_key_makes_one(case: ObjectsCase, **fields: Any) -> None:
    """Repeat a request under its key: later, at once, elsewhere, after a change, and after the deletion."""
    before = len(await case.all())
    first = await case.create(key="k", **fields)
    same("the answer to a repetition", await case.create(key="k", **fields), first)
    at_once = await settled([case.create(key="l", **fields) for _ in range(6)])
    same("different objects of six requests at once", len({one["id"] for one in at_once}), 1)
    await case.update(first["id"], metadata={"later": "yes"})
    async with case.again() as other:
        same("the answer elsewhere, after a change", await other.create(key="k", **fields), first)
        both = await settled([(case, other)[number % 2].create(key="m", **fields) for number in range(6)])
        same("different objects of two apps at once", len({one["id"] for one in both}), 1)
    same("how many were made", len(await case.all()) - before, 3)
    holds((await case.create(key="n", **fields))["id"] != first["id"], "another key makes another one")
    holds((await case.create(**fields))["id"] != first["id"], "no key makes another one")
    holds((await case.create(key="K", **fields))["id"] != first["id"], "a key that differs by case makes another one")
    for number in range(25):
        await case.create(key=f"{number}", **fields)
    same("the answer after many other keys", await case.create(key="k", **fields), first)
    await case.delete(first["id"])
    same("the answer after its deletion", await case.create(key="k", **fields), first)
    holds(first["id"] not in await case.ids(), "a repetition brings back what was deleted")


async def an_update_leaves_the_time(case: ObjectsCase) -> None:
    """Change one that was made long ago, beside one that was made a second later."""
    first, second = await case.put("jan-1500000000-a", 1_500_000_000), await case.put("jan-1500000001-a", 1_500_000_001)
    same(
        "when it was made, after an update",
        (await case.update(first["id"], **{case.named: "a"}))["created_at"],
        1_500_000_000,
    )
    same("when it was made, read again", (await case.read(first["id"]))["created_at"], 1_500_000_000)
    same("the order after an update", (await case.ids())[:2], [first["id"], second["id"]])


async def look_alikes(case: ObjectsCase) -> None:
    """Look at ids that a pattern or a careless comparison takes for each other."""
    made = [await case.put(id, 1_500_000_000, **{case.named: id}) for id in ("a_1_x", "a-1-x", "a11-x")]
    for id in ("a_2_x", "a_1__", "a-1_x", "_-1-x"):
        await case.is_nowhere(id)
    for one in made:
        same("one of ids that look alike", await case.read(one["id"]), one)
    made[0] = await case.update("a_1_x", metadata={"a": "b"})
    for one in made:
        same("one of ids that look alike, after an update of one", await case.read(one["id"]), one)
    await case.delete("a_1_x")
    await case.is_nowhere("a_1_x")
    for one in made[1:]:
        same("one of ids that look alike, after another was deleted", await case.read(one["id"]), one)


async def large_ones(case: ObjectsCase) -> None:
    """Store as many pairs of metadata as there may be, and a time that 32 bits do not hold."""
    full = {f"{number:02}": f"{number:02}" * 256 for number in range(16)}
    one = await case.create(metadata=full)
    same("the pairs of one that is full", one["metadata"], full)
    same("one that is full, read again", await case.read(one["id"]), one)
    late = await case.put("late", 2**33, metadata=full)
    same("one of a late time", await case.read("late"), late)


async def a_key_with_another_body(case: ObjectsCase) -> None:
    """Use a key again for another body."""
    one = await case.create(key="k", **{case.named: "one"})
    before = await case.all()
    body = body_of(case.new, {**case.required, case.named: "two"})
    expected = {"code": "idempotency_conflict", "status": 409, "key": "k"}
    await case.refused(Conflict, f"{case.tested.name}.create", body, **expected)
    status, _ = await case.send("POST", f"/{case.tested.name}", {**case.required, case.named: "three"}, key="k")
    same("the status over HTTP", status, 409)
    same("what is there", await case.all(), before)
    same("the one that the key made", await case.read(one["id"]), one)


async def answers_are_the_callers(case: ObjectsCase, **fields: Any) -> None:
    """Change everything that was got or given, and look at what is stored."""
    name = case.tested.name

    def whole() -> BaseModel:
        return body_of(case.new, {**case.required, "metadata": {"a": "b"}, **fields})

    body = whole()
    made = await case.ask(f"{name}.create", body, key="k")
    kept = written(made)
    page = await case.ask(f"{name}.list", case.query())
    given = made.model_copy(deep=True, update={"id": "jan-1700000000-given"})
    await case.ask(f"{name}.put", given)
    spoil(body, page)
    change = body_of(case.change, {"metadata": {"a": "b"}, **fields})
    changed = await case.ask(f"{name}.update", made.id, change)
    again = await case.ask(
        f"{name}.create", body_of(case.new, {**case.required, "metadata": {"a": "b"}, **fields}), key="k"
    )
    layers = await case.ask(f"{name}.layers", made.id)
    spoil(made, given, change, changed, again, await case.ask(f"{name}.retrieve", made.id), *layers)
    same("what is stored", await case.read(kept["id"]), kept)
    same("what was put", await case.read("jan-1700000000-given"), {**kept, "id": "jan-1700000000-given"})
    repeated = await case.create(key="k", metadata={"a": "b"}, **fields)
    same("the answer to a repetition", repeated, kept)


def spoil(*found: Any) -> None:
    """Empty all lists and dictionaries in what was got or given."""
    for one in found:
        if isinstance(one, BaseModel):
            spoil(*vars(one).values(), *(one.model_extra or {}).values())
        elif isinstance(one, dict | list):
            spoil(*(one.values() if isinstance(one, dict) else one))
            one.clear()


async def giving_up(case: ObjectsCase) -> None:
    """Cancel creations and changes at any moment."""
    there = {one["id"] for one in await case.all()}
    kept = await case.create(metadata={"n": "first"}, **{case.named: "first"})
    there.add(kept["id"])
    chance = random.Random(3)
    answered: list[str] = []

    def is_whole(one: dict[str, Any]) -> None:
        same(f"what is there of {one['id']}, in its two fields", one.get(case.named), one["metadata"].get("n"))

    for number in range(40):
        fields: dict[str, Any] = {case.named: f"{number}", "metadata": {"n": f"{number}"}}
        change = number % 4 == 3
        task = asyncio.create_task(case.update(kept["id"], **fields) if change else case.create(**fields))
        done, _ = await asyncio.wait({task}, timeout=chance.choice([0, 0, 0.0002, 0.001, 0.003]))
        answered += [one.result()["id"] for one in done]
        task.cancel()
        await asyncio.wait({task})
        if change:
            # Not both ways: what was cancelled may still happen, and then in between.
            is_whole(written(await case.ask(f"{case.tested.name}.retrieve", kept["id"])))
    last = await case.create(metadata={"n": "last"}, **{case.named: "last"})
    page = written(await case.ask(f"{case.tested.name}.list", case.query(limit=100)))
    found = [one for one in page["data"] if one["id"] not in there]
    for one in found:
        is_whole(one)
    same("those that were answered, and are not there", {*answered} - there - {one["id"] for one in found}, set())
    same("the last one", await case.read(last["id"]), last)
    names = [one[case.named] for one in found]
    same("those that are there several times", sorted(names), sorted(set(names)))
    same("what was changed afterwards", (await case.update(kept["id"], metadata={}))["id"], kept["id"])
    await under_keys(case)


async def under_keys(case: ObjectsCase) -> None:
    """Cancel creations that have a key, and repeat them."""
    chance = random.Random(5)
    made = []
    for number in range(16):
        fields: dict[str, Any] = {case.named: f"under a key {number}"}
        task = asyncio.create_task(case.create(key=f"key-{number}", **fields))
        await asyncio.wait({task}, timeout=chance.choice([0, 0.0002, 0.0005, 0.001, 0.002]))
        task.cancel()
        await asyncio.wait({task})
        one = await case.create(key=f"key-{number}", **fields)
        if number % 2:  # so that either way of asking is given up
            one = await case.create(key=f"key-{number}", **fields)
        made.append(one)
        same("what a repetition was answered", await case.read(made[-1]["id"]), made[-1])
    found = [one["id"] for one in await case.all() if str(one.get(case.named)).startswith("under a key ")]
    same("those that are there under keys", sorted(found), sorted(one["id"] for one in made))


async def lines_come_back(case: ObjectsCase, fields: dict[str, Any], by_hand: dict[str, Any], update: Any) -> None:
    """Have objects exported and restored under other ids, with fields that the API does not know.

    Args:
        case: the case.
        fields: of an object, as many as it may have.
        by_hand: fields that are written into its line.
        update: what it is changed by then: fields and their values.
    """
    name = case.tested.name
    made = [await case.create(**fields), await case.create(**{case.named: "\0\U0001f600"})]
    ids = [one["id"] for one in made]
    lines = list(await case.ask(f"{name}.export", ids))
    same("the lines", [_shown(case, one) for one in lines], made)
    backwards = list(await case.ask(f"{name}.export", [ids[1], f"{ids[0]}-not", ids[0]]))
    same("the lines, asked for in another order, with one that is not there", backwards, lines[::-1])
    first, second = [f"{one}-again" for one in ids]
    moved = [
        _line(case, lines[0], {"id": first, **by_hand}),
        _line(case, lines[1], {"id": second, "created_at": made[1]["created_at"] - 1}),
    ]
    await case.ask(f"{name}.restore", moved)
    same("the lines, after restoring them", list(await case.ask(f"{name}.export", [first, second])), moved)
    same("what the API shows of it", await case.read(first), {**made[0], "id": first})
    there = by_time([*made, await case.read(first), await case.read(second)])
    listed = [one for one in await case.all() if one["id"] in {*ids, first, second}]
    same("those that are listed", [*map(_told, listed)], [*map(_told, there)])
    async with case.again() as other:
        same("the lines, elsewhere", list(await other.ask(f"{name}.export", [first, second])), moved)
    await case.update(first, **update)
    moved[0] = _line(case, moved[0], update)
    same("the lines, after a change", list(await case.ask(f"{name}.export", [first, second])), moved)
    replaced = _line(case, lines[1], {"id": first})
    await case.ask(f"{name}.restore", [replaced])
    same("the line in its place", list(await case.ask(f"{name}.export", [first])), [replaced])
    third = f"{ids[0]}-third"
    good = _line(case, lines[0], {"id": third})
    for wrong in (b"{}", b"[]", b"{", good, _line(case, good, {"id": "../x"}), _line(case, good, {"metadata": [1]})):
        await case.refused(InvalidRequest, f"{name}.restore", [good, wrong], status=400)
    same("what came with a wrong line", list(await case.ask(f"{name}.export", [third])), [])
    await case.ask(f"{name}.restore", [])
    await case.delete(first)
    same("the line of a deleted one", list(await case.ask(f"{name}.export", [first, second])), moved[1:])


def _line(case: ObjectsCase, line: bytes, fields: dict[str, Any]) -> bytes:
    values = {**from_json(line), **fields}
    try:
        return line_of(case.schema, values)
    except ValidationError:
        return to_json(values)


def _shown(case: ObjectsCase, line: bytes) -> dict[str, Any]:
    return {name: value for name, value in from_json(line).items() if name in case.schema.model_fields}


def _told(one: dict[str, Any]) -> tuple[str, int]:
    return one["id"], one["created_at"]
