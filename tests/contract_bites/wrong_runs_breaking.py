"""Runs, each time with one mistake in the reference implementation: what breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.ids import new_id
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.messages import MessagesQuery
from jan_core.schemas.runs import RunEvent
from jan_core.testing.memory_runs_going import Going
from jan_core.testing.memory_runs_kept import Kept
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_runs import Wrong


class EndsInPeace(Kept):
    async def follow(self, start: int) -> AsyncIterator[RunEvent]:
        with suppress(NotFound):
            async for event in super().follow(start):
                yield event


@caught_by("runs", 64)
class TellsNothingOfADeletion(Wrong):
    each = EndsInPeace


class SomethingToAnswer(Going):
    async def _request(self, kept: Kept) -> ChatCompletionRequest:
        if not await self._messages(kept.run):
            raise InvalidRequest("There is nothing to answer.")
        return await super()._request(kept)


@caught_by("runs", 65)
class RefusesAnEmptyThread(Wrong):
    going = SomethingToAnswer


class CallsAreCalls(Going):
    def _cut(self, kept: Kept) -> None:
        return


@caught_by("runs", 66)
class ShowsHalfACallAsOne(Wrong):
    going = CallsAreCalls


class QuietWhileItEnds(Kept):
    def tell(self, name: Any, data: Any) -> None:
        if name != "thread.run.cancelling":
            super().tell(name, data)


@caught_by("runs", 67)
class TellsNothingOfTheCancelling(Wrong):
    each = QuietWhileItEnds


class SaysTheTextAgain(Going):
    async def _failed(self, kept: Kept, error: JanError) -> None:
        (said,) = (await self._jan.messages.list(kept.run.thread_id, MessagesQuery(limit=1))).data
        await self._jan.messages.put(said.model_copy(update={"id": new_id("msg_")}))
        await super()._failed(kept, error)


@caught_by("runs", 68)
class SaysATextTwice(Wrong):
    going = SaysTheTextAgain
