from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.testing.memory_messages import MessagesInMemory, provide_messages
from jan_core.testing.wired import CONVERSATIONS, wired
from tests.conversations import messages_query, new_thread, said, under

pytestmark = pytest.mark.anyio


async def test_the_module_is_built_anew_for_every_app(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        made = provide_messages(settings=None, jan=jan)
        assert isinstance(made, MessagesInMemory)
        thread = (await jan.threads.create(new_thread())).id
        await jan.messages.create(thread, said())
        assert (await made.list(thread, messages_query())).data == []


async def test_a_key_goes_with_its_message(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        thread = (await jan.threads.create(new_thread())).id
        first = await under("k", lambda: jan.messages.create(thread, said()))
        await jan.messages.delete(thread, first.id)
        again = await under("k", lambda: jan.messages.create(thread, said("other")))
        assert again.id != first.id


async def test_clearing_leaves_other_threads_alone(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=CONVERSATIONS) as jan:
        one, other = [(await jan.threads.create(new_thread())).id for _ in range(2)]
        for thread in (one, other):
            await jan.messages.create(thread, said())
        await jan.messages.clear(one)
        assert (await jan.messages.list(one, messages_query())).data == []
        assert len((await jan.messages.list(other, messages_query())).data) == 1
