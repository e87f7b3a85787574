"""One look at the folder for the requests of one turn of the event loop, and never an old one for a later request."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from jan_models_json.store import ModelsJson


def describe(folder: Path, owner: str) -> None:
    (folder / "model.json").write_text(json.dumps({"owned_by": owner}))
    os.utime(folder / "model.json", ns=(1, 1))


@pytest.fixture
def folder(tmp_path: Path, smollm2_path: Path) -> Path:
    model = tmp_path / "models" / "m"
    model.mkdir(parents=True)
    (model / "m.gguf").symlink_to(smollm2_path)
    describe(model, "first")
    return model


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every look at the folders."""
    counted: list[int] = []
    look = ModelsJson._look
    monkeypatch.setattr(ModelsJson, "_look", lambda self, wanted=None: (counted.append(1), look(self))[1])
    return counted


async def settled(store: ModelsJson, looks: list[int]) -> None:
    """Ask until the store needs nothing but looks: fresh files are read again for a while."""
    await store.list()
    while not all(folder.contents.settled for folder in store._folders.values()) or not store._place._seen[1]:
        await store.list()
        await asyncio.sleep(0)
    await store.list()
    await asyncio.sleep(0)
    looks.clear()


@pytest.mark.anyio
async def test_requests_of_one_turn_share_a_look(folder: Path, looks: list[int]) -> None:
    async with ModelsJson(folder.parent) as store:
        await settled(store, looks)
        replies = await asyncio.gather(*(store.list() for _ in range(8)))
        assert len(looks) == 1
        assert [reply.data[0].owned_by for reply in replies] == ["first"] * 8
        assert len({id(reply.data[0]) for reply in replies}) == 8  # each caller may change its own


@pytest.mark.anyio
async def test_a_later_turn_and_the_same_task_look_again(folder: Path, looks: list[int]) -> None:
    async with ModelsJson(folder.parent) as store:
        await settled(store, looks)
        await store.list()
        describe(folder, "second")
        assert (await store.list()).data[0].owned_by == "second"  # the same task, the same turn
        describe(folder, "third")
        await asyncio.sleep(0)
        assert (await asyncio.create_task(store.list())).data[0].owned_by == "third"


@pytest.mark.anyio
async def test_what_one_task_deletes_another_does_not_list(folder: Path, looks: list[int]) -> None:
    async with ModelsJson(folder.parent) as store:
        await settled(store, looks)
        await store.delete("m")
        assert (await asyncio.create_task(store.list())).data == []
