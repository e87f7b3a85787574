"""Assistants, each time with one mistake in how they are kept among many others, and for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jan_core.errors import InvalidRequest, NotFound
from jan_core.idempotency import once
from jan_core.ids import now
from jan_core.schemas.assistants import Assistant, AssistantDeleted, AssistantRequest, AssistantUpdate
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_assistants import Wrong, WrongWhenMade
from tests.contract_bites.wrong_messages import like


@caught_by("assistants", 2)
class FifteenPairsAreKept(WrongWhenMade):
    def changed(self, assistant: Assistant) -> Assistant:
        return assistant.model_copy(update={"metadata": dict([*assistant.metadata.items()][:15])})


@caught_by("assistants", 2)
class TimesOf32Bits(Wrong):
    async def put(self, assistant: Assistant) -> None:
        await super().put(assistant.model_copy(update={"created_at": min(assistant.created_at, 2**31 - 1)}))


@caught_by("assistants", 10)
class FullAt150(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        if len(self._assistants) > 150:
            raise InvalidRequest("There are too many assistants.")
        return await super().create(body)


@caught_by("assistants", 10)
class TheNewestOnly(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        made = await super().create(body)
        for id in [one for one in self._assistants if one != "jan"][:-150]:
            del self._assistants[id]
        return made


@caught_by("assistants", 14)
class AnUpdateIsANewTime(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        changed = await super().update(assistant_id, body)
        self._assistants[assistant_id].created_at = changed.created_at = now()
        return changed


@caught_by("assistants", 15)
class FoundByPattern(Wrong):
    def _find(self, assistant_id: str) -> Assistant:
        try:
            return super()._find(assistant_id)
        except NotFound:
            for id, one in self._assistants.items():
                if like(assistant_id, id):
                    return one
            raise


@caught_by("assistants", 15)
class DeletesByPattern(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        reply = await super().delete(assistant_id)
        for id in [one for one in self._assistants if like(assistant_id, one)]:
            del self._assistants[id]
        return reply


@caught_by("assistants", 20)
class KeysGoWithADeletion(Wrong):
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        reply = await super().delete(assistant_id)
        self._answered.clear()
        return reply


@caught_by("assistants", 20)
class TheLastTwentyKeys(Wrong):
    async def create(self, body: AssistantRequest) -> Assistant:
        made = await super().create(body)
        for key in [*self._answered][:-20]:
            del self._answered[key]
        return made


@caught_by("assistants", 25)
class TheAssistantBeforeTheKey(Wrong):
    """Stores the assistant in one step, and notes its key in another one."""

    async def create(self, body: AssistantRequest) -> Assistant:
        asked = once("assistants.create", body)
        made = await super().create(body)
        if asked is not None and made.id in self._assistants:
            noted: Any = self._answered.pop(asked.key)
            await asyncio.sleep(0.003)
            self._answered[asked.key] = noted
        return made


@caught_by("assistants", 26)
class RestoresWhatTheApiKnows(Wrong):
    async def restore(self, lines: Sequence[bytes]) -> None:
        await super().restore(lines)
        self._whole.clear()


@caught_by("assistants", 26)
class ExportsInTheOrderOfStoring(Wrong):
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        return await super().export([id for id in self._assistants if id in ids])


@caught_by("assistants", 26)
class StoresWhatCameBeforeAWrongLine(Wrong):
    async def restore(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            await super().restore([line])


@caught_by("assistants", 26)
class AChangeForgetsWhatTheApiDoesNotKnow(Wrong):
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        changed = await super().update(assistant_id, body)
        self._whole.pop(assistant_id, None)
        return changed
