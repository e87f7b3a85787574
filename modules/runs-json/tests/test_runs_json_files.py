from __future__ import annotations

import os

import pytest
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
