from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.errors import Conflict
from jan_core.testing.memory_messages import MessagesInMemory, provide_messages
from jan_core.testing.wired import CONVERSATIONS, wired
from tests.conversations import messages_query, new_thread, said, under

pytestmark = pytest.mark.anyio


async def test_apps_on_one_root_share_the_messages(tmp_path: Path) -> None:
    async with wired(tmp_path / "a", modules=CONVERSATIONS) as jan:
        thread = (await jan.threads.create(new_thread())).id
        await jan.messages.create(thread, said())
        made = provide_messages(settings=None, jan=jan)
        assert isinstance(made, MessagesInMemory)
        assert len((await made.list(thread, messages_query())).data) == 1
    async with wired(tmp_path / "b", modules=CONVERSATIONS) as other:
        await other.threads.put(await other.threads.create(new_thread()))
        assert not made._threads.keys() & provide_messages(settings=None, jan=other)._threads.keys()


async def test_a_key_outlives_its_message(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        thread = (await jan.threads.create(new_thread())).id
        first = await under("k", lambda: jan.messages.create(thread, said()))
        await jan.messages.delete(thread, first.id)
        assert await under("k", lambda: jan.messages.create(thread, said())) == first
        with pytest.raises(Conflict):
            await under("k", lambda: jan.messages.create(thread, said("other")))
        await jan.messages.clear(thread)
        assert (await under("k", lambda: jan.messages.create(thread, said()))).id != first.id


async def test_clearing_leaves_other_threads_alone(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        one, other = [(await jan.threads.create(new_thread())).id for _ in range(2)]
        for thread in (one, other):
            await jan.messages.create(thread, said())
        await jan.messages.clear(one)
        assert (await jan.messages.list(one, messages_query())).data == []
        assert len((await jan.messages.list(other, messages_query())).data) == 1
