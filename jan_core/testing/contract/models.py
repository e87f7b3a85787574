"""The contract of `models`. The prose is in `docs/contract/models.md`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from jan_core.endpoint import Endpoint
from jan_core.endpoints.models import Models
from jan_core.errors import InvalidRequest, JanError, ModelNotFound
from jan_core.testing.contract.case import Broken, Case, holds, same, segment, settled, written
from jan_core.testing.contract.clauses import Contract, clause
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import ModelsWatch

_UNKNOWN: dict[str, Any] = {"code": "model_not_found", "param": "model", "status": 404}


class ModelsCase(Case):
    """An app whose store of models is changed by hand, too."""

    async def listed(self) -> list[dict[str, Any]]:
        """The list, read both ways."""
        found = written(await self.ask("models.list"))
        same(
            "the list over HTTP, against the one that other modules get",
            await self.send("GET", "/models"),
            (200, found),
        )
        same("what a list is", found["object"], "list")
        return list(found["data"])

    async def ids(self) -> list[str]:
        """The ids of the list."""
        return [one["id"] for one in await self.listed()]

    async def read(self, id: str) -> dict[str, Any]:
        """A model, read in three ways: directly, and over HTTP with its id quoted and not."""
        found = written(await self.ask("models.retrieve", id))
        for path in {segment(id), id}:
            same(f"the model at {path}", await self.send("GET", f"/models/{path}"), (200, found))
        return dict(found)

    async def is_nowhere(self, id: str) -> None:
        """Look that no operation finds a model."""
        for name in ("retrieve", "locate", *(["delete"] if self.tested.supports("delete") else [])):
            await self.refused(ModelNotFound, f"models.{name}", id, **_UNKNOWN)
        status, told = await self.send("GET", f"/models/{segment(id)}")
        same("over HTTP", (status, told["error"]["code"], told["error"]["param"]), (404, "model_not_found", "model"))


class ModelsContract(Contract):
    """What every implementation of `models` keeps. Write `make`, and how models are put there by hand.

    Attributes:
        names: ids of models that the store can hold, of different kinds.
    """

    endpoint: ClassVar[type[Endpoint]] = Models
    letter: ClassVar[str] = "D"
    case: ClassVar[type[Case]] = ModelsCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"list": ModelsWatch}
    names: ClassVar[tuple[str, ...]] = ("beta-7b", "Alpha", "gamma.q4", "beta-70b", "Zeta_1")

    def put(self, root: Path, model: str, version: int = 0) -> None:
        """Put a model into the store, or another one in its place, as a person does, past the app.

        Args:
            root: the app's root folder.
            model: its id, one of `names`.
            version: another number is another file.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method put(self, root, model, version=0)")

    def take(self, root: Path, model: str) -> None:
        """Take a model out of the store, as a person does."""
        raise NotImplementedError(f"{type(self).__name__} needs a method take(self, root, model)")

    def damage(self, root: Path, model: str) -> None:
        """Damage a model in the store, so that it cannot be used."""
        raise NotImplementedError(f"{type(self).__name__} needs a method damage(self, root, model)")

    async def _filled(self, case: ModelsCase) -> list[str]:
        for name in self.names:
            self.put(case.root, name)
        return await case.ids()

    @clause
    async def test_01_the_list_is_whole_and_ordered(self, case: ModelsCase) -> None:
        """The list has every model once, ordered by id as text is, in one page."""
        before = await case.ids()
        same("the ids", await self._filled(case), sorted({*before, *self.names}))

    @clause
    async def test_02_a_model_is_read_as_it_is_listed(self, case: ModelsCase) -> None:
        """A model is read as it is listed, under the very id, quoted in the path or not."""
        await self._filled(case)
        for one in await case.listed():
            same("the model, against the list", await case.read(one["id"]), one)

    @clause
    async def test_03_a_model_is_complete(self, case: ModelsCase) -> None:
        """A model has an id, the object `model`, a time in seconds that has been, and an owner."""
        await self._filled(case)
        for one in await case.listed():
            same("the fields", set(one) - {"shutdown_date"}, {"id", "object", "created", "owned_by"})
            same("the object", one["object"], "model")
            holds(0 <= one["created"] <= time.time() + 2, f"{one['created']} is no time in seconds that has been")
            holds(one["owned_by"], "a model has an owner")

    @clause
    async def test_04_an_empty_store_has_an_empty_list(self, case: ModelsCase) -> None:
        """Where there are no models the list is empty, and not an error."""
        for name in await self._filled(case):
            self.take(case.root, name)
        same("the list", await case.listed(), [])
        await case.is_nowhere(self.names[0])

    @clause
    async def test_05_a_change_by_hand_is_in_the_next_reply(self, case: ModelsCase) -> None:
        """A model that was put there or taken away by hand is in the next reply, or gone from it."""
        before = await case.ids()
        for number, name in enumerate(self.names):
            self.put(case.root, name)
            same("the ids", await case.ids(), sorted({*before, *self.names[: number + 1]}))
            same("the new one", (await case.read(name))["id"], name)
            await case.ask("models.locate", name)
        for number, name in enumerate(self.names):
            self.take(case.root, name)
            await case.is_nowhere(name)
            same("the ids that are left", await case.ids(), sorted({*before, *self.names[number + 1 :]}))

    @clause
    async def test_06_ids_keep_their_case(self, case: ModelsCase) -> None:
        """An id is found as it is written, and in no other case."""
        await self._filled(case)
        for name in self.names:
            same("the id", (await case.read(name))["id"], name)
            await case.is_nowhere(name.swapcase())

    @clause
    async def test_07_an_unknown_model_is_not_found(self, case: ModelsCase) -> None:
        """An id that no model has is not found by any operation: 404, `model_not_found`."""
        held = await self._filled(case)
        for id in ("none", f"{self.names[0]}x", self.names[1][:-1], "no-owner/none", "none:q4"):
            await case.is_nowhere(id)
        same("the ids, afterwards", await case.ids(), held)

    @clause
    async def test_08_near_misses_are_named(self, case: ModelsCase) -> None:
        """Who asks for an id that is nearly one is told the one that it nearly is."""
        await self._filled(case)
        for name in self.names:
            for near in (name.swapcase(), f"{name}x"):
                refusal = await case.refused(ModelNotFound, "models.retrieve", near)
                holds(name in refusal.message, f"{near!r} is nearly {name!r}, which is not in {refusal.message!r}")

    @clause
    async def test_09_hostile_ids_find_nothing(self, case: ModelsCase) -> None:
        """Ids that are paths, devices, commands or too long find nothing and do nothing: 400 or 404."""
        held = await self._filled(case)
        deletes = case.tested.supports("delete")
        for id in (*case.hostile_ids(), f"{self.names[0]}/..", f"../models/{self.names[0]}", f"{self.names[0]}:.."):
            for name in ("retrieve", "locate", *(["delete"] if deletes else [])):
                refusal = await case.refused(JanError, f"models.{name}", id, param="model")
                holds(refusal.status in (400, 404), f"{name} of {id[:50]!a} is refused with {refusal.status}")
            for method in ("GET", *(["DELETE"] if deletes else [])):
                status, _ = await case.send(method, f"/models/{segment(id)}x%2f..")
                holds(400 <= status < 500, f"{method} of {id[:50]!a} answered {status}")
        same("the ids, afterwards", await case.ids(), held)
        same("files outside of the root", case.escaped(), [])

    @clause
    async def test_10_a_location_is_what_an_engine_needs(self, case: ModelsCase) -> None:
        """`locate` tells the model's id, the absolute path of its weights, their size and a revision."""
        await self._filled(case)
        for name in self.names:
            found = await case.ask("models.locate", name)
            same("the id", found.id, name)
            holds(Path(found.path).is_absolute(), f"{found.path!r} is no absolute path")
            holds(found.size >= 0 and found.revision, f"a file has a size and a revision: {found}")
            holds(found.engine is None or found.engine, "an engine has a name, or there is none")
        paths = {(await case.ask("models.locate", name)).path for name in self.names}
        same("different files", len(paths), len(self.names))

    @clause
    async def test_11_a_revision_changes_with_the_model(self, case: ModelsCase) -> None:
        """The revision stays while the model does, and changes when another file is in its place."""
        await self._filled(case)
        name, other = self.names[:2]
        seen = [(await case.ask("models.locate", name)).revision for _ in range(3)]
        same("different revisions of what stays", len(set(seen)), 1)
        beside = (await case.ask("models.locate", other)).revision
        for version in (1, 2):
            self.put(case.root, name, version)
            now = (await case.ask("models.locate", name)).revision
            holds(now not in seen, f"the revision {now!r} was that of another file")
            seen.append(now)
        same("the revision of another model", (await case.ask("models.locate", other)).revision, beside)

    @clause
    async def test_12_a_damaged_model_hides_no_other(self, case: ModelsCase) -> None:
        """A damaged model hides no other one, and who asks for it is told that it is damaged: 400."""
        held = await self._filled(case)
        damaged, *others = self.names
        self.damage(case.root, damaged)
        same("the other models", [id for id in await case.ids() if id != damaged], [id for id in held if id != damaged])
        for name in others:
            await case.read(name)
            await case.ask("models.locate", name)
        for name in ("retrieve", "locate"):
            await case.refused(InvalidRequest, f"models.{name}", damaged, status=400)
        status, _ = await case.send("GET", f"/models/{segment(damaged)}")
        same("the status over HTTP", status, 400)
        self.take(case.root, damaged)
        self.put(case.root, damaged)
        same("the ids, after it was mended", await case.ids(), held)

    @clause
    async def test_13_answers_are_the_callers_own(self, case: ModelsCase) -> None:
        """Whoever changes what they got changes nothing of what the next one gets."""
        await self._filled(case)
        name = self.names[0]
        kept, located = await case.listed(), written(await case.ask("models.locate", name))
        listed = await case.ask("models.list")
        for one in (*listed.data, await case.ask("models.retrieve", name)):
            one.owned_by = one.id = "changed"
        listed.data.clear()
        location = await case.ask("models.locate", name)
        for values in (location.settings, location.parameters, location.metadata):
            values["changed"] = True
        same("the list", await case.listed(), kept)
        same("the location", written(await case.ask("models.locate", name)), located)

    @clause
    async def test_14_readers_at_once(self, case: ModelsCase) -> None:
        """Readers at once, while models come by hand, all get whole answers, and see what was there before."""
        held = set(await self._filled(case)) - set(self.names[:2])

        async def read() -> None:
            found = await case.ask("models.list")
            same("models that a reader does not see", held - {one.id for one in found.data}, set())
            await case.ask("models.locate", self.names[-1])

        async def change() -> None:
            for number in range(6):
                (self.take if number % 2 else self.put)(case.root, self.names[number % 4 // 2])
                await asyncio.sleep(0.002)

        await settled([*(read() for _ in range(30)), change(), *(read() for _ in range(30))])

    @clause(optional="delete")
    async def test_15_a_deleted_model_is_gone_and_no_other(self, case: ModelsCase) -> None:
        """What was deleted is found no more, by no operation, and the others stay as they are."""
        await self._filled(case)
        before = await case.listed()
        first, second = self.names[:2]
        deleted = {"object": "model", "deleted": True}
        same("the answer", written(await case.ask("models.delete", first)), {"id": first, **deleted})
        told = await case.send("DELETE", f"/models/{segment(second)}")
        same("the answer over HTTP", told, (200, {"id": second, **deleted}))
        same("what is left", await case.listed(), [one for one in before if one["id"] not in (first, second)])
        for name in (first, second):
            await case.is_nowhere(name)
        self.put(case.root, first)
        same("put there again", (await case.read(first))["id"], first)

    @clause(optional="delete")
    async def test_16_a_deletion_is_for_all(self, case: ModelsCase) -> None:
        """What was deleted is gone for every app on the same store."""
        await self._filled(case)
        name = self.names[0]
        async with case.again() as other:
            await other.read(name)
            await case.ask("models.delete", name)
            await other.is_nowhere(name)
            await other.ask("models.delete", self.names[1])
        await case.is_nowhere(self.names[1])

    @clause(optional="delete")
    async def test_17_two_deletions_at_once(self, case: ModelsCase) -> None:
        """Of several deletions of one model at once, one is answered, and the others find nothing."""
        held = await self._filled(case)
        name = self.names[0]

        async def delete() -> bool:
            try:
                return bool((await case.ask("models.delete", name)).deleted)
            except ModelNotFound:
                return False
            except JanError as error:
                raise Broken(f"a second deletion is refused with {error!r}, and not with ModelNotFound") from error

        same("how many were answered", sum(await settled([delete() for _ in range(4)])), 1)
        same("what is left", await case.ids(), [id for id in held if id != name])
