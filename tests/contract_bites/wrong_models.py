"""Models, each time with one mistake in the reference implementation. They are names only: nothing touches a file."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from jan_core.endpoints.models import Models
from jan_core.errors import InvalidRequest, JanError, ModelNotFound
from jan_core.hookspecs import hookimpl
from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation
from jan_core.testing.memory import ModelsInMemory, Names, names_of
from tests.contract_bites.bites import caught_by


class Wrong(ModelsInMemory):
    """The reference, as the plugin of itself."""

    @classmethod
    @hookimpl
    def provide_models(cls, settings: Any, jan: Any) -> Models:
        return cls(names_of(jan.root))


class WrongList(Wrong):
    """Changes the list."""

    def changed(self, data: list[Model]) -> list[Model]:
        return data

    async def list(self) -> ModelList:
        return ModelList(data=self.changed((await super().list()).data))


class WrongModel(Wrong):
    """Changes each model."""

    fields: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _model(cls, name: str) -> Model:  # type: ignore[override]
        return ModelsInMemory._model(name).model_copy(update=cls.fields)


class WrongLocation(Wrong):
    """Changes where a model is."""

    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {}

    async def locate(self, model: str) -> ModelLocation:
        found = await super().locate(model)
        return found.model_copy(update=self.changed(found))


@caught_by("models", 1)
class NewestFirst(WrongList):
    def changed(self, data: list[Model]) -> list[Model]:
        return data[::-1]


@caught_by("models", 1)
class OrderedWithoutCase(WrongList):
    def changed(self, data: list[Model]) -> list[Model]:
        return sorted(data, key=lambda one: one.id.lower())


@caught_by("models", 1)
class OneMissing(WrongList):
    def changed(self, data: list[Model]) -> list[Model]:
        return data[1:]


@caught_by("models", 2)
class AnotherTimeWhenRead(Wrong):
    async def retrieve(self, model: str) -> Model:
        return (await super().retrieve(model)).model_copy(update={"created": 5})


@caught_by("models", 3)
class TimeInMilliseconds(WrongModel):
    fields: ClassVar[dict[str, Any]] = {"created": 1_700_000_000_000}


@caught_by("models", 3)
class NobodysModel(WrongModel):
    fields: ClassVar[dict[str, Any]] = {"owned_by": ""}


@caught_by("models", 4)
class NoModelsIsAnError(Wrong):
    async def list(self) -> ModelList:
        if not self.engines:
            raise ModelNotFound("There are no models.")
        return await super().list()


class Remembering(Wrong):
    """Knows what there was when it was first asked."""

    known: Names | None = None

    async def list(self) -> ModelList:
        if self.known is None:
            self.known = Names(dict(self.engines))
        return ModelList(data=[self._model(name) for name in sorted(self.known)])


@caught_by("models", 5)
class ListedOnce(Remembering):
    pass


@caught_by("models", 5)
class FoundForEver(Wrong):
    def __init__(self, engines: Any) -> None:
        super().__init__(engines)
        self._found: dict[str, Model] = {}

    async def retrieve(self, model: str) -> Model:
        if model not in self._found:
            self._found[model] = await super().retrieve(model)
        return self._found[model].model_copy()


@caught_by("models", 6)
class CaseForgotten(Wrong):
    async def retrieve(self, model: str) -> Model:
        found = [name for name in self.engines if name.lower() == model.lower()]
        return await super().retrieve(found[0] if found else model)


@caught_by("models", 6)
class LowerCase(Wrong):
    async def retrieve(self, model: str) -> Model:
        return await super().retrieve(model.lower())


@caught_by("models", 7)
class NoneIsABadRequest(Wrong):
    async def retrieve(self, model: str) -> Model:
        try:
            return await super().retrieve(model)
        except ModelNotFound as error:
            raise InvalidRequest(error.message, param="model") from None


@caught_by("models", 7)
class NoneIsAKeyError(Wrong):
    async def locate(self, model: str) -> ModelLocation:
        assert self.engines[model]
        return await super().locate(model)


@caught_by("models", 7)
class OwnersForgotten(Wrong):
    async def retrieve(self, model: str) -> Model:
        return self._model(model) if "/" in model else await super().retrieve(model)


@caught_by("models", 8)
class NoHint(Wrong):
    async def retrieve(self, model: str) -> Model:
        if model not in self.engines:
            raise ModelNotFound("There is no such model.", param="model")
        return await super().retrieve(model)


@caught_by("models", 9)
class PathsAreTidied(Wrong):
    """`Alpha/..` and the like become names."""

    async def delete(self, model: str) -> ModelDeleted:
        return await super().delete(model.removesuffix("/..").removeprefix("../models/"))


@caught_by("models", 9)
class ZeroBreaksIt(Wrong):
    async def retrieve(self, model: str) -> Model:
        if "\0" in model:
            raise ValueError("embedded null byte")
        return await super().retrieve(model)


@caught_by("models", 10)
class RelativePath(WrongLocation):
    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {"path": found.path.lstrip("/")}


@caught_by("models", 10)
class OnePathForAll(WrongLocation):
    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {"path": "/nowhere/model"}


@caught_by("models", 10)
class LocatedAsAnother(WrongLocation):
    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {"id": found.id.lower()}


@caught_by("models", 11)
class OneRevisionForAll(WrongLocation):
    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {"revision": "1"}


@caught_by("models", 11)
class ARevisionEachTime(WrongLocation):
    count = 0

    def changed(self, found: ModelLocation) -> dict[str, Any]:
        self.count += 1
        return {"revision": str(self.count)}


@caught_by("models", 11)
class RevisionOfTheStore(WrongLocation):
    def changed(self, found: ModelLocation) -> dict[str, Any]:
        return {"revision": str(sum(self.engines.versions.values()))}


@caught_by("models", 12)
class DamageHidesAll(Wrong):
    async def list(self) -> ModelList:
        for name in self.engines:
            self._check(name)
        return await super().list()


@caught_by("models", 12)
class DamagedIsNotFound(Wrong):
    async def retrieve(self, model: str) -> Model:
        try:
            return await super().retrieve(model)
        except ModelNotFound:
            raise
        except InvalidRequest as error:
            raise ModelNotFound(error.message, param="model") from None


@caught_by("models", 12)
class DamagedIsLocated(Wrong):
    async def locate(self, model: str) -> ModelLocation:
        if model in self.engines:
            return ModelLocation(id=model, path=f"/nowhere/{model}", size=0, revision="1")
        return await super().locate(model)


@caught_by("models", 13)
class OneListForAll(Wrong):
    latest: ModelList | None = None

    async def list(self) -> ModelList:
        found = await super().list()
        if self.latest is None or len(found.data) != len(self.latest.data) > 0:
            self.latest = found
        return self.latest


@caught_by("models", 13)
class OneLocationForAll(Wrong):
    def __init__(self, engines: Any) -> None:
        super().__init__(engines)
        self._settings: dict[str, Any] = {}

    async def locate(self, model: str) -> ModelLocation:
        found = await super().locate(model)
        found.settings = self._settings
        return found


@caught_by("models", 14)
class ListBreaksWhileItChanges(Wrong):
    async def list(self) -> ModelList:
        found = []
        for name in self.engines:
            await asyncio.sleep(0.001)
            found.append(self._model(name))
        return ModelList(data=sorted(found, key=lambda one: one.id))


@caught_by("models", 14)
class ListIsEmptyWhileItIsRead(Wrong):
    reading = False

    async def list(self) -> ModelList:
        if self.reading:
            return ModelList(data=[])
        self.reading = True
        try:
            await asyncio.sleep(0)
            return await super().list()
        finally:
            self.reading = False


@caught_by("models", 15)
class DeletedInName(Wrong):
    async def delete(self, model: str) -> ModelDeleted:
        await self.retrieve(model)
        return ModelDeleted(id=model, deleted=True)


@caught_by("models", 15)
class DeletesWhatBeginsTheSame(Wrong):
    async def delete(self, model: str) -> ModelDeleted:
        told = await super().delete(model)
        for name in [one for one in self.engines if one[0] == model[0]]:
            del self.engines[name]
        return told


@caught_by("models", 15)
class NeverThereAgain(Wrong):
    def __init__(self, engines: Any) -> None:
        super().__init__(engines)
        self._gone: set[str] = set()

    async def delete(self, model: str) -> ModelDeleted:
        self._gone.add(model)
        return await super().delete(model)

    async def retrieve(self, model: str) -> Model:
        if model in self._gone:
            raise ModelNotFound(f"{model} was deleted.", param="model")
        return await super().retrieve(model)


@caught_by("models", 16)
class GoneHereOnly(Wrong):
    def __init__(self, engines: Any) -> None:
        super().__init__(engines)
        self._gone: set[str] = set()

    def _check(self, model: str, *, damaged: bool = False) -> None:
        super()._check("" if model in self._gone else model, damaged=damaged)

    async def list(self) -> ModelList:
        return ModelList(data=[one for one in (await super().list()).data if one.id not in self._gone])

    async def delete(self, model: str) -> ModelDeleted:
        self._check(model, damaged=True)
        self._gone.add(model)
        return ModelDeleted(id=model, deleted=True)


@caught_by("models", 17)
class TheSecondDeletionBreaks(Wrong):
    async def delete(self, model: str) -> ModelDeleted:
        self._check(model, damaged=True)
        await asyncio.sleep(0)
        del self.engines[model]
        return ModelDeleted(id=model, deleted=True)


@caught_by("models", 17)
class AllDeletionsAreAnswered(Wrong):
    async def delete(self, model: str) -> ModelDeleted:
        await self.retrieve(model)
        await asyncio.sleep(0)
        self.engines.pop(model, None)
        return ModelDeleted(id=model, deleted=True)


@caught_by("models", 17)
class TheSecondDeletionIsRefused(Wrong):
    async def delete(self, model: str) -> ModelDeleted:
        try:
            return await super().delete(model)
        except JanError as error:
            raise InvalidRequest(error.message, param="model") from None
