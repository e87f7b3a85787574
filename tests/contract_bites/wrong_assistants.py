"""Assistants, each time with one mistake in the reference implementation."""

from __future__ import annotations

import unicodedata
from typing import Any

from jan_core.endpoints.assistants import Assistants
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.hookspecs import hookimpl
from jan_core.pages import cut
from jan_core.schemas.assistants import Assistant, AssistantDeleted, AssistantPage, AssistantRequest, AssistantUpdate
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.threads import ThreadsQuery
from jan_core.testing.memory_assistants import AssistantsInMemory
from tests.contract_bites.bites import caught_by


class Wrong(AssistantsInMemory):
    """The reference, as the plugin of itself."""

    @classmethod
    @hookimpl
    def provide_assistants(cls, settings: Any, jan: Any) -> Assistants:
        return cls(jan)


class WrongWhenMade(Wrong):
    """Changes an assistant before it is stored and answered."""

    def changed(self, assistant: Assistant) -> Assistant:
        return assistant

    async def create(self, body: AssistantRequest) -> Assistant:
        made = await super().create(body)
        if self._assistants.pop(made.id, None) is None:
            return made
        made = self.changed(made)
        self._assistants[made.id] = made.model_copy(deep=True)
        return made


class WrongPage(Wrong):
    """Cuts another page."""

    def sorted(self) -> list[Assistant]:
        return sorted(self._assistants.values(), key=lambda one: (one.created_at, one.id))

    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        return cut(assistants, query)

    async def list(self, query: PageQuery) -> AssistantPage:
        found = self.cut(self.sorted(), query)
        return AssistantPage(**dict(found.model_copy(update={"data": [await self._shown(one) for one in found.data]})))


@caught_by("assistants", 1)
class IdWithoutPrefix(WrongWhenMade):
    def changed(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"id": assistant.id.removeprefix("asst_")})


@caught_by("assistants", 1)
class DefaultsOfAnEngine(WrongWhenMade):
    def changed(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"temperature": 1.0, "top_p": 1.0})


@caught_by("assistants", 1)
class FieldsThatAreNullLeftOut(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        return (await super().create(body)).model_dump(exclude_none=True)  # type: ignore[return-value]


@caught_by("assistants", 2)
class ToolResourcesForgotten(Wrong):
    async def retrieve(self, assistant_id: str) -> Assistant:
        return (await super().retrieve(assistant_id)).model_copy(update={"tool_resources": None})


@caught_by("assistants", 2)
class ZeroIsNothing(WrongWhenMade):
    def changed(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"temperature": assistant.temperature or None})


@caught_by("assistants", 2)
class FunctionsWithoutParameters(Wrong):
    async def retrieve(self, assistant_id: str) -> Assistant:
        found = await super().retrieve(assistant_id)
        for tool in found.tools:
            if tool.type == "function":
                tool.function.parameters = {}
        return found


@caught_by("assistants", 3)
class InstructionsTrimmed(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        return await super().create(body.model_copy(update={"instructions": (body.instructions or "").strip()}))


@caught_by("assistants", 3)
class InstructionsNormalised(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        text = unicodedata.normalize("NFC", body.instructions or "")
        return await super().create(body.model_copy(update={"instructions": text}))


@caught_by("assistants", 3)
class InstructionsCut(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        return await super().create(body.model_copy(update={"instructions": (body.instructions or "")[:65_536]}))


@caught_by("assistants", 4)
class IdsOfTheClock(WrongWhenMade):
    def changed(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"id": f"asst_{assistant.created_at}"})


@caught_by("assistants", 5)
class NobodyAtFirst(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._assistants.pop("jan", None)


@caught_by("assistants", 5)
class JanIsNotListed(WrongPage):
    def sorted(self) -> list[Assistant]:
        return [one for one in super().sorted() if one.id != "jan"]


@caught_by("assistants", 5)
class JanSetsAModel(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._assistants["jan"] = self._assistants["jan"].model_copy(update={"model": "scripted"})


@caught_by("assistants", 6)
class JanIsDeleted(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        self._find(assistant_id)
        del self._assistants[assistant_id]
        return AssistantDeleted(id=assistant_id, deleted=True)


@caught_by("assistants", 6)
class JanIsMadeAnewAtEveryStart(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._assistants["jan"] = Assistant(id="jan", created_at=5, name="Jan", model="")


@caught_by("assistants", 6)
class JanIsInConflict(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        if assistant_id == "jan":
            raise Conflict("It stays.", param="assistant_id", code="protected_assistant")
        return await super().delete(assistant_id)


@caught_by("assistants", 7)
class NoModelIsNoModel(Wrong):
    async def _shown(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(deep=True)


@caught_by("assistants", 7)
class InstalledModelsOnly(Wrong):
    async def _shown(self, assistant: Assistant) -> Assistant:
        installed = [one.id for one in (await self._jan.models.list()).data]
        model = assistant.model if assistant.model in installed else (*installed, "")[0]
        return assistant.model_copy(deep=True, update={"model": model})


@caught_by("assistants", 7)
class TheModelIsStored(Wrong):
    async def _shown(self, assistant: Assistant) -> Assistant:
        shown = await super()._shown(assistant)
        self._assistants[shown.id].model = shown.model
        return shown


@caught_by("assistants", 8)
class InTheOrderOfStoring(WrongPage):
    def sorted(self) -> list[Assistant]:
        return list(self._assistants.values())


@caught_by("assistants", 8)
class ByTimeOnly(WrongPage):
    def sorted(self) -> list[Assistant]:
        return sorted(self._assistants.values(), key=lambda one: one.created_at)


@caught_by("assistants", 8)
class ByTimeThenTheOtherWayRound(WrongPage):
    def sorted(self) -> list[Assistant]:
        return sorted(super().sorted(), key=lambda one: (-one.created_at, one.id))[::-1]


@caught_by("assistants", 9)
class LimitIgnored(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        return super().cut(assistants, query.model_copy(update={"limit": 100}))


@caught_by("assistants", 9)
class ThereIsNeverMore(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        return super().cut(assistants, query).model_copy(update={"has_more": False})


@caught_by("assistants", 9)
class JanOnEveryPage(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        page = super().cut(assistants, query)
        return page.model_copy(update={"data": [*[one for one in page.data if one.id != "jan"], self._find("jan")]})


@caught_by("assistants", 10)
class AfterSkipsOne(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        page = super().cut(assistants, query)
        return page if query.after is None else page.model_copy(update={"data": page.data[1:]})


@caught_by("assistants", 10)
class AfterForgetsTheOrder(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        return super().cut(assistants, query if query.after is None else query.model_copy(update={"order": "desc"}))


@caught_by("assistants", 11)
class BeforeIgnored(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        return super().cut(assistants, query.model_copy(update={"before": None}))


@caught_by("assistants", 11)
class BeforeIncludesIt(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        page = super().cut(assistants, query)
        last = [one for one in assistants if one.id == query.before]
        return page.model_copy(update={"data": [*page.data, *last]})


@caught_by("assistants", 12)
class CursorsArePlaces(WrongPage):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._places: dict[str, int] = {}

    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        ids = [one.id for one in assistants][::-1]
        if query.after in self._places:
            place = self._places[query.after or ""]
            query = query.model_copy(update={"after": ids[min(place, len(ids) - 1)]})
        self._places |= {id: place for place, id in enumerate(ids)}
        return super().cut(assistants, query)


@caught_by("assistants", 13)
class UnknownCursorIgnored(Wrong):
    async def list(self, query: PageQuery) -> AssistantPage:
        try:
            return await super().list(query)
        except InvalidRequest:
            return await super().list(query.model_copy(update={"after": None, "before": None}))


@caught_by("assistants", 13)
class UnknownCursorFails(WrongPage):
    def cut(self, assistants: list[Assistant], query: PageQuery) -> Any:
        for cursor in (query.after, query.before):
            if cursor is not None:
                self._assistants[cursor]
        return super().cut(assistants, query)


@caught_by("assistants", 14)
class MetadataMerged(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        if body.metadata:
            old = await self.retrieve(assistant_id)
            body = body.model_copy(update={"metadata": {**old.metadata, **body.metadata}})
        return await super().update(assistant_id, body)


@caught_by("assistants", 14)
class NullIsLeftOut(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        values = {name: value for name, value in vars(body).items() if value is not None}
        return await super().update(assistant_id, AssistantUpdate.model_construct(**values))


@caught_by("assistants", 14)
class EmptyChangesNothing(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        names = [name for name in body.model_fields_set if getattr(body, name) not in ("", [], 0)]
        values = {name: getattr(body, name) for name in names}
        return await super().update(assistant_id, AssistantUpdate.model_construct(**values))


@caught_by("assistants", 14)
class UpdateAnsweredAndNotStored(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        return (await self.retrieve(assistant_id)).changed(body)


@caught_by("assistants", 14)
class ToolResourcesMerged(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        before = self._find(assistant_id).tool_resources
        reply = await super().update(assistant_id, body)
        if before is not None and reply.tool_resources is not None and body.tool_resources is not None:
            given = before.model_dump(exclude_unset=True) | body.tool_resources.model_dump(exclude_unset=True)
            reply.tool_resources = type(before).model_validate(given)
            self._assistants[assistant_id] = reply.model_copy(deep=True)
        return reply


@caught_by("assistants", 15)
class DeletedIsOnlyHidden(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._gone: dict[str, Assistant] = {}

    async def delete(self, assistant_id: str) -> AssistantDeleted:
        self._gone[assistant_id] = self._find(assistant_id)
        return await super().delete(assistant_id)

    async def retrieve(self, assistant_id: str) -> Assistant:
        return self._gone.get(assistant_id) or await super().retrieve(assistant_id)


@caught_by("assistants", 15)
class ItsThreadsGoToo(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        threads = (await self._jan.threads.list(ThreadsQuery(assistant_id=assistant_id))).data
        reply = await super().delete(assistant_id)
        for thread in threads:
            await self._jan.threads.delete(thread.id)
        return reply


@caught_by("assistants", 15)
class DeletingAgainIsAnotherError(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        if assistant_id not in self._assistants:
            raise NotFound("There is nothing.")
        return await super().delete(assistant_id)
