from __future__ import annotations

import os
from typing import Any

import pytest
from jan_runs_json import files
from jan_runs_json.files import ROOM

from jan_core.errors import InvalidRequest
from jan_core.folder.objects import LARGEST
from jan_core.schemas.runs import KeptRun

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


async def test_a_run_that_could_not_be_read_again_is_not_written(store: Store, other: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)
    before = store.file(new.run.id).read_bytes()
    for room in (0, ROOM - 1000):
        with pytest.raises(InvalidRequest, match="bytes, and") as error:
            async with store.runs.changing(THREAD, new.run.id) as found:
                found.request = {"outputs": ["x" * (LARGEST - room - len(before))]}
        assert (error.value.code, error.value.param) == ("object_too_large", "run_id")
    assert store.file(new.run.id).read_bytes() == before
    async with store.runs.changing(THREAD, new.run.id) as found:
        found.request = {"outputs": ["x" * (LARGEST - ROOM - 2 * len(before))]}
    # It can be read, and there is room for its end.
    for status in ("cancelling", "cancelled"):
        async with other.runs.changing(THREAD, new.run.id) as found:
            found.run.status = status
            found.run.metadata = {str(number): "é" * 500 for number in range(16)}
    async with store.runs.changing(THREAD, new.run.id) as found:
        found.request = {}
    with pytest.raises(InvalidRequest, match="was not begun"):
        await store.runs.begin(KeptRun(run=kept().run, request={"additional": "x" * LARGEST}), None)
    assert await store.runs.left() == []
    assert os.listdir(store.notes) == []


async def test_what_was_just_written_is_known_and_what_another_process_wrote_is_read(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    kept_of = files.kept_of

    def counted(thread_id: str, run_id: str, *more: Any) -> KeptRun:
        made.append(run_id)
        return kept_of(thread_id, run_id, *more)

    monkeypatch.setattr(files, "kept_of", counted)
    new = kept()
    await store.runs.begin(new, None)
    for number in range(3):
        async with store.runs.changing(THREAD, new.run.id) as found:
            assert found.request.get("number", -1) == number - 1
            found.request["number"] = number
        found.request["number"] = 99  # whoever changed it may go on with what is theirs
    assert made == []
    async with other.runs.changing(THREAD, new.run.id) as found:
        assert found.request == {"a": [1], "number": 2}
        found.request = {"number": 7}
    read = await store.runs.read(THREAD, new.run.id)
    assert read is not None
    assert read.request == {"number": 7}
    assert len(made) == 2


async def test_a_file_of_the_same_size_and_time_is_not_taken_for_what_was_written(store: Store) -> None:
    new = kept(model="before")
    await store.runs.begin(new, None)
    path = store.file(new.run.id)
    was = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"before"', b'"behind"'))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    read = await store.runs.read(THREAD, new.run.id)
    assert read is not None
    assert read.run.model == "behind"
