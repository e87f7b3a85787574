from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jan_core.errors import Conflict, Unavailable
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.testing.memory_messages import MessagesInMemory
from jan_core.testing.memory_threads import ThreadsInMemory, provide_threads
from jan_core.testing.wired import CONVERSATIONS, wired
from tests.conversations import new_thread, threads_query
from tests.parts import part

pytestmark = pytest.mark.anyio


async def test_apps_on_one_root_share_the_threads(tmp_path: Path) -> None:
    async with wired(tmp_path / "a", modules=CONVERSATIONS) as jan:
        made = provide_threads(settings=None, jan=jan)
        assert isinstance(made, ThreadsInMemory)
        thread = await jan.threads.create(new_thread())
        assert (await made.list(threads_query())).data == [thread]
    async with wired(tmp_path / "b", modules=CONVERSATIONS) as other:
        assert (await other.threads.list(threads_query())).data == []


async def test_a_deletion_is_noted_until_it_is_forgotten_and_holds_the_id_until_then(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        threads = ThreadsInMemory(jan)  # one that no reconciler looks after
        made = await threads.create(new_thread())
        await threads.delete(made.id)
        assert await threads.deleted() == [made.id]
        with pytest.raises(Conflict):
            await threads.put(made)
        await threads.forget(made.id)
        assert await threads.deleted() == []
        await threads.put(made)
        assert await threads.retrieve(made.id) == made


async def test_where_the_messages_cannot_be_stored_there_is_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(MessagesInMemory):
        async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
            raise Unavailable("The disk is full.")

    full = part(monkeypatch, "messages-full", provide_messages=lambda settings, jan: Full(jan))
    modules = {"threads-memory": CONVERSATIONS["threads-memory"], "messages-full": full}
    async with wired(tmp_path, modules=modules) as jan:
        with pytest.raises(Unavailable):
            await jan.threads.create(new_thread(messages=[{"role": "user", "content": "a"}]))
        assert (await jan.threads.list(threads_query())).data == []
