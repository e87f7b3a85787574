"""Assistants, each time with one mistake in how they are stored, and kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jan_core.errors import InvalidRequest
from jan_core.idempotency import once
from jan_core.ids import new_id, now
from jan_core.schemas.assistants import Assistant, AssistantDeleted, AssistantRequest, AssistantUpdate
from jan_core.schemas.settings import SettingsLayer
from jan_core.testing.memory_assistants import Storage
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_assistants import Wrong


@caught_by("assistants", 16)
class AFileForEveryIdAskedFor(Wrong):
    async def retrieve(self, assistant_id: str) -> Assistant:
        if assistant_id.isprintable() and assistant_id.isascii() and len(assistant_id) < 1000:
            path = (self._jan.root / "asked" / assistant_id).resolve()
            if path.is_relative_to(self._jan.root.parents[1]):  # wrong, but never beyond the test's own folder
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.is_dir():
                    path.write_text("asked")
        return await super().retrieve(assistant_id)


@caught_by("assistants", 16)
class FailsAtOddIds(Wrong):
    async def retrieve(self, assistant_id: str) -> Assistant:
        assistant_id.encode()
        return await super().retrieve(assistant_id)


@caught_by("assistants", 16)
class PutsUnderAnyId(Wrong):
    async def put(self, assistant: Assistant) -> None:
        self._assistants[assistant.id] = assistant.model_copy(deep=True)


@caught_by("assistants", 17)
class OnlyInThisProcess(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._assistants = dict(self._assistants)


@caught_by("assistants", 17)
class MetadataNotStored(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        for id, one in self._assistants.items():
            self._assistants[id] = one.model_copy(update={"metadata": {}})


@caught_by("assistants", 18)
class LostUpdate(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        before = dict(self._assistants)
        await asyncio.sleep(0.001)
        made = await super().create(body)
        self._assistants.clear()
        self._assistants.update({**before, made.id: made.model_copy(deep=True)})
        return made


@caught_by("assistants", 18)
class ReadersSeeItLater(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        made = await super().create(body)
        stored = self._assistants.pop(made.id)
        asyncio.get_running_loop().call_later(0.05, self._assistants.setdefault, made.id, stored)
        return made


@caught_by("assistants", 19)
class AChangeWritesAllAsItWas(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        before = self._find(assistant_id)
        await asyncio.sleep(0.001)
        self._find(assistant_id)
        self._assistants[assistant_id] = before.changed(body).model_copy(deep=True)
        return await self.retrieve(assistant_id)


@caught_by("assistants", 19)
class AChangeBringsItBack(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        found = self._find(assistant_id)
        await asyncio.sleep(0.001)
        found = self._assistants.get(assistant_id, found)
        self._assistants[assistant_id] = found.changed(body).model_copy(deep=True)
        return self._assistants[assistant_id].model_copy(deep=True)


@caught_by("assistants", 19)
class BothDeletionsAreAnswered(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        self._find(assistant_id)
        await asyncio.sleep(0.001)
        self._assistants.pop(assistant_id, None)
        return AssistantDeleted(id=assistant_id, deleted=True)


@caught_by("assistants", 20)
class KeyIgnored(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        self._answered.clear()
        return await super().create(body)


@caught_by("assistants", 20)
class KeyAnswersWhatIsStoredNow(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        return await self.retrieve((await super().create(body)).id)


@caught_by("assistants", 20)
class KeyOfThisProcessOnly(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._answered = Storage({}).answered


@caught_by("assistants", 20)
class KeyNotedTooLate(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        asked = once("assistants.create", body)
        if asked is None or asked.key in self._answered:
            return await super().create(body)
        made = Assistant.of(body, id=new_id("asst_"), created_at=now())
        await asyncio.sleep(0.001)
        self._assistants[made.id] = made.model_copy(deep=True)
        self._answered[asked.key] = (asked.fingerprint, made.model_copy(deep=True))
        return made


@caught_by("assistants", 21)
class AnotherBodyGetsTheFirstReply(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        asked = once("assistants.create", body)
        if asked is not None and asked.key in self._answered:
            return self._answered[asked.key][1].model_copy(deep=True)
        return await super().create(body)


@caught_by("assistants", 21)
class AnotherBodyIsStored(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        asked = once("assistants.create", body)
        stored = Assistant.of(body, id=new_id("asst_"), created_at=now())
        if asked is not None and self._answered.get(asked.key, (asked.fingerprint,))[0] != asked.fingerprint:
            self._assistants[stored.id] = stored
        return await super().create(body)


@caught_by("assistants", 22)
class TheStoredObjectItself(Wrong):
    async def _shown(self, assistant: Assistant) -> Assistant:
        return assistant


@caught_by("assistants", 22)
class TheGivenObjectItself(Wrong):
    async def put(self, assistant: Assistant) -> None:
        await super().put(assistant)
        self._assistants[assistant.id] = assistant


@caught_by("assistants", 22)
class ACopyThatIsNotDeep(Wrong):
    async def _shown(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"metadata": dict(assistant.metadata)})


@caught_by("assistants", 23)
class PutSetsTheTime(Wrong):
    async def put(self, assistant: Assistant) -> None:
        await super().put(assistant.model_copy(update={"created_at": now()}))


@caught_by("assistants", 23)
class PutMerges(Wrong):
    async def put(self, assistant: Assistant) -> None:
        before = self._assistants.get(assistant.id, assistant)
        values = {name: getattr(assistant, name) for name in assistant.model_fields_set}
        await super().put(before.model_copy(update=values))


@caught_by("assistants", 23)
class PutKeepsWhatIsThere(Wrong):
    async def put(self, assistant: Assistant) -> None:
        if assistant.id not in self._assistants:
            await super().put(assistant)


@caught_by("assistants", 24)
class LayersWithDefaults(Wrong):
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        (found,) = await super().layers(assistant_id)
        return [found.model_copy(update={"values": {"temperature": 1.0, **found.values}})]


@caught_by("assistants", 24)
class ZeroIsNotSet(Wrong):
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        (found,) = await super().layers(assistant_id)
        return [found.model_copy(update={"values": {name: one for name, one in found.values.items() if one}})]


@caught_by("assistants", 24)
class NoPlaceIsTold(Wrong):
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        return [one.model_copy(update={"origin": "assistant"}) for one in await super().layers(assistant_id)]


@caught_by("assistants", 25)
class AnUnfinishedAssistant(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        made = await super().create(body.model_copy(update={"name": None}))
        await asyncio.sleep(0.001)
        self._assistants[made.id] = made = made.model_copy(update={"name": body.name})
        return made.model_copy(deep=True)


@caught_by("assistants", 25)
class ALockThatStaysLocked(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._busy = False

    async def create(self, body: AssistantRequest) -> Assistant:
        if self._busy:
            raise InvalidRequest("Somebody else writes.")
        self._busy = True
        await asyncio.sleep(0.001)
        made = await super().create(body)
        self._busy = False
        return made
