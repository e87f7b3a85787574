"""A change by hand is in the next reply, and a file that did not change is not opened for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from jan_models_json.store import ModelsJson

from jan_core.errors import ModelNotFound

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]
Opened = Callable[[], list[str]]


async def ids(models: ModelsJson) -> list[str]:
    return [model.id for model in (await models.list()).data]


async def test_a_hand_edit_is_in_the_next_reply(models: ModelsJson, write_gguf: Write, describe: Write) -> None:
    write_gguf("m1/a.gguf")
    described = describe("m1", owned_by="000")
    for number in range(200):
        # Same length, and the same time on a clock that ticks slowly.
        described.write_text(f'{{"owned_by": "{number:03}"}}')
        assert (await models.list()).data[0].owned_by == f"{number:03}"
    write_gguf("m2/a.gguf")
    assert await ids(models) == ["m1", "m2"]


async def test_a_replaced_file_of_the_same_time_and_size_is_read(
    models: ModelsJson, models_folder: Path, write_gguf: Write, describe: Write, settled: None
) -> None:
    write_gguf("m1/a.gguf")
    described = describe("m1", owned_by="old")
    assert (await models.list()).data[0].owned_by == "old"
    revision = (await models.locate("m1")).revision
    times = described.stat().st_atime_ns, described.stat().st_mtime_ns
    new = models_folder / "new"
    new.write_text('{"owned_by": "new"}')
    os.utime(new, ns=times)
    os.replace(new, described)
    assert (await models.list()).data[0].owned_by == "new"
    assert (await models.locate("m1")).revision != revision


async def test_unchanged_files_are_not_opened_again(
    models: ModelsJson,
    write_gguf: Write,
    describe: Write,
    opened: Opened,
    settled: None,
    full_counts: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 10_000 if full_counts else 100
    first = write_gguf("m0/a.gguf")
    describe("m0", owned_by="x")
    for number in range(1, count):
        os.link(first, describe(f"m{number}", owned_by="x").parent / "a.gguf")
    opened()
    assert len(await ids(models)) == count
    assert len(opened()) == 2 * count
    monkeypatch.setattr("jan_models_json.store.TRUSTED", 0.0)  # the folders' names are listed again, nothing is read
    for _ in range(3):
        assert len(await ids(models)) == count
        await models.locate("m7")
    assert opened() == []
    describe("m7", owned_by="other")
    opened()
    assert (await models.locate("m7")).settings == {}
    assert len(await ids(models)) == count
    assert opened() == [os.path.join("m7", "model.json")]
    write_gguf("m8/b.gguf", general__author="new")
    opened()
    assert len(await ids(models)) == count + 1
    assert opened() == [os.path.join("m8", "b.gguf")]


async def test_requests_at_once_read_a_file_once(
    models: ModelsJson, write_gguf: Write, opened: Opened, settled: None
) -> None:
    for number in range(5):
        write_gguf(f"m{number}/a.gguf")
    opened()
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(models.list)
            group.start_soon(models.locate, f"m{number % 5}")
    assert sorted(opened()) == [os.path.join(f"m{number}", "a.gguf") for number in range(5)]


async def test_a_fresh_file_is_read_a_few_times_at_most(models: ModelsJson, write_gguf: Write, opened: Opened) -> None:
    write_gguf("m1/a.gguf")
    opened()
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(models.list)
    assert 1 <= len(opened()) <= 2


async def test_the_revision_changes_with_the_files(models: ModelsJson, write_gguf: Write, describe: Write) -> None:
    write_gguf("m1/a.gguf")
    revisions = [(await models.locate("m1")).revision]
    assert (await models.locate("m1")).revision == revisions[0]
    described = describe("m1", settings={"ctx_len": 1})
    revisions.append((await models.locate("m1")).revision)
    described.touch()
    assert (await models.locate("m1")).revision == revisions[1]
    write_gguf("m1/a.gguf", tensors=2)
    revisions.append((await models.locate("m1")).revision)
    write_gguf("m1/mmproj.gguf")
    revisions.append((await models.locate("m1")).revision)
    assert len(set(revisions)) == 4


async def test_models_that_went_are_forgotten(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    path = write_gguf("m1/a.gguf")
    assert await ids(models) == ["m1"]
    path.unlink()
    assert await ids(models) == []
    path.parent.rmdir()
    assert await ids(models) == []
    with pytest.raises(ModelNotFound):
        await models.locate("m1")
    write_gguf("m1/a.gguf")
    assert await ids(models) == ["m1"]
    os.rename(models_folder / "m1", models_folder / "m2")
    assert await ids(models) == ["m2"]
