from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.hookspecs import hookimpl
from jan_core.inprocess import client
from jan_core.testing.contract.runs import RunsContract
from jan_core.testing.wired import EVERYTHING, wired


class AroundEverything:
    """A plugin that goes on, whatever is asked."""

    @staticmethod
    @hookimpl
    def wrap_runs(settings: Any, jan: Jan) -> Mapping[str, Any]:
        async def around(proceed: Any, *arguments: Any) -> Any:
            return await proceed(*arguments)

        return {"*": around}


class TestInMemory(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "runs-memory")


class TestWrapped(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "runs-memory", plugins={"around": f"{__name__}:AroundEverything"})


@pytest.mark.anyio
async def test_clients_are_told_how_soon_to_look_again(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=EVERYTHING) as jan, client(jan) as http:
        body = {"assistant_id": "jan", "model": "scripted", "thread": {"messages": [{"role": "user", "content": "a"}]}}
        made = await http.post("/threads/runs", json=body)
        runs = f"/threads/{made.json()['thread_id']}/runs"
        found = await http.get(f"{runs}/{made.json()['id']}")
        for reply in (made, found):
            assert reply.headers["openai-poll-after-ms"] == "100"
        for reply in (await http.get(runs), await http.get(f"{runs}/run_none"), await http.post(runs, json={})):
            assert "openai-poll-after-ms" not in reply.headers
