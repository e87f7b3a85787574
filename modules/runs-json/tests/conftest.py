from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_runs_json.store import RunsJson

from jan_core.ids import new_timed_id, timed_id_time
from jan_core.schemas.runs import KeptRun, MessageCreation, MessageCreationDetails, Run, RunStep

THREAD = "jan-1790000000-0123456789abcd"


def kept(id: str | None = None, thread: str = THREAD, **fields: Any) -> KeptRun:
    """A run that has not ended, unless told otherwise."""
    id = new_timed_id("run_") if id is None else id
    made = {"created_at": timed_id_time(id, "run_") or 1_790_000_000, "assistant_id": "jan", "model": "m"}
    return KeptRun(run=Run.model_validate({"id": id, "thread_id": thread, **made, **fields}), request={"a": [1]})


def step(of: KeptRun, id: str = "step_1") -> RunStep:
    return RunStep(
        id=id,
        created_at=1_790_000_000,
        assistant_id="jan",
        thread_id=of.run.thread_id,
        run_id=of.run.id,
        type="message_creation",
        step_details=MessageCreationDetails(message_creation=MessageCreation(message_id="msg_1")),
    )


class Store:
    """A store, its files, and short names for what the tests do most."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = RunsJson(root)
        self.folder = root / "threads" / THREAD / "runs"
        self.notes = root / "threads" / ".running"

    def file(self, id: str) -> Path:
        return self.folder / f"{id}.json"

    def values(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file(id).read_text("utf-8"))
        return found

    def write(self, id: str, values: Any) -> None:
        """As a person's editor may."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file(id).write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")

    async def ended(self, id: str | None = None, **fields: Any) -> KeptRun:
        """A run that has ended, stored."""
        found = kept(id, **{"status": "completed", **fields})
        await self.runs.put(found)
        return found

    async def end(self, id: str, status: Any = "completed") -> None:
        async with self.runs.changing(THREAD, id) as found:
            found.run.status = status


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "root")
    async with made.runs:
        yield made


@pytest.fixture
async def other(store: Store) -> AsyncIterator[Store]:
    """As another server process serves the same root."""
    made = Store(store.root)
    async with made.runs:
        yield made
