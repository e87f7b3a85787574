from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.errors import InvalidRequest
from jan_core.testing.contract.threads import ThreadsContract
from jan_core.testing.wired import wired
from tests.around import AROUND
from tests.conversations import KINDS, app, new_thread, threads_query


class TestInMemory(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "threads-memory")


class TestWrapped(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "threads-memory", plugins=AROUND)


class TestBesideOtherStores(ThreadsContract):
    """Messages and assistants are kept in the folder, too."""

    def make(self, tmp_path: Path) -> Jan:
        return app("folder", tmp_path, server={"log_requests": False})


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS)
async def test_first_messages_need_a_module_that_keeps_them(kind: str, tmp_path: Path) -> None:
    modules = {name: value for name, value in KINDS[kind].items() if not name.startswith("messages")}
    async with wired(tmp_path, modules=modules) as jan:
        with pytest.raises(InvalidRequest) as caught:
            await jan.threads.create(new_thread(messages=[{"role": "user", "content": "a"}]))
        assert caught.value.param == "messages"
        assert (await jan.threads.list(threads_query())).data == []
        assert (await jan.threads.create(new_thread(messages=[]))).id
