from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.errors import InvalidRequest
from jan_core.hookspecs import hookimpl
from jan_core.testing.contract.threads import ThreadsContract
from jan_core.testing.wired import wired
from tests.conversations import KINDS, app, new_thread, threads_query


class AroundEverything:
    """A plugin that goes on, whatever is asked."""

    @staticmethod
    @hookimpl
    def wrap_threads(settings: Any, jan: Jan) -> Mapping[str, Any]:
        async def around(proceed: Any, *arguments: Any) -> Any:
            return await proceed(*arguments)

        return {"*": around}


class TestInMemory(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "threads-memory")


class TestWrapped(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "threads-memory", plugins={"around": f"{__name__}:AroundEverything"})


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
