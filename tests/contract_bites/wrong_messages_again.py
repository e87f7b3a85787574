"""Messages, each time with one mistake in what is found of a request that comes again, or taken elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jan_core.schemas.messages import Message, MessageRequest
from tests.contract_bites.bites import caught_by
from tests.contract_bites.wrong_messages import Wrong


@caught_by("messages", 29)
class MakesItInstead(Wrong):
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        return await self.create(thread_id, body)


@caught_by("messages", 29)
class FindsNothing(Wrong):
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        return None


@caught_by("messages", 29)
class FindsItAsItIsNow(Wrong):
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        found = await super().repeated(thread_id, body)
        return next((one for one in self.stored(thread_id) if found is not None and one.id == found.id), None)


@caught_by("messages", 29)
class FindsItByItsText(Wrong):
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        found = await super().repeated(thread_id, body)
        same = [one.reply for one in self._threads.get(thread_id, []) if one.message.content == _content(body)]
        return found or next(iter(same), None)


@caught_by("messages", 31)
class RestoresWhatTheApiKnows(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        await super().restore(thread_id, lines)
        for one in self._threads[thread_id]:
            one.whole = {}


@caught_by("messages", 31)
class RestoresOverWhatIsThere(Wrong):
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        stored = self._threads.setdefault(thread_id, [])
        stored[:] = [one for one in stored if not any(one.message.id.encode() in line for line in lines)]
        await super().restore(thread_id, lines)


@caught_by("messages", 31)
class ExportsTheNewestFirst(Wrong):
    async def export(self, thread_id: str, after: str | None, limit: int) -> Sequence[bytes]:
        return (await super().export(thread_id, after, limit))[::-1]


def _content(body: MessageRequest) -> object:
    return Message.of(body, id="msg_1", thread_id="t", created_at=1).content


@caught_by("messages", 30)
class ADictionaryOfTheModule(Wrong):
    """Every app of the process finds all of it there, and no other process anything."""

    in_memory = False


@caught_by("messages", 30)
class WrittenWhenItIsClosed(Wrong):
    """Puts what it has into a file in the end only."""

    in_memory = False

    async def __aenter__(self) -> Any:
        for line in self.file.read_text("utf-8").splitlines() if self.file.exists() and not self._threads else ():
            await self.put(Message.model_validate_json(line))
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        kept = (one for thread in self._threads for one in self.stored(thread))
        self.file.write_text("".join(f"{one.model_dump_json()}\n" for one in kept), "utf-8")

    @property
    def file(self) -> Path:
        return Path(self._jan.root, "messages.jsonl")
