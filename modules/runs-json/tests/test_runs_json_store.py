from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.runs import KeptRun, RunsQuery

from .conftest import THREAD, Store, kept, step

pytestmark = pytest.mark.anyio

HOLDER = """
import asyncio, sys
from pathlib import Path
from jan_runs_json.store import RunsJson

async def main():
    async with RunsJson(Path(sys.argv[1])) as runs, runs.hold(sys.argv[2], sys.argv[3]) as mine:
        print(mine, flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


async def test_a_run_and_its_steps_are_one_file_that_a_person_can_read(store: Store) -> None:
    new = kept(metadata={"a": "ü"})
    assert await store.runs.begin(new, None) == new
    async with store.runs.changing(THREAD, new.run.id) as found:
        assert found == new
        found.steps.append(step(new))
    text = store.file(new.run.id).read_text("utf-8")
    assert text.startswith('{\n  "id": "run_')
    assert '"a": "ü"' in text
    values = json.loads(text)
    assert [one["id"] for one in values["steps"]] == ["step_1"]
    assert values["request"] == {"a": [1]}
    found_again = await store.runs.read(THREAD, new.run.id)
    assert found_again is not None
    assert found_again.steps == [step(new)]
    assert await store.runs.read(THREAD, "run_none") is None


async def test_what_a_person_adds_or_changes_stays_and_is_seen(store: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)
    async with store.runs.changing(THREAD, new.run.id) as found:
        found.steps = [step(new), step(new, "step_2")]
    values = store.values(new.run.id)
    values |= {"note": "mine", "metadata": {"by": "hand"}}
    values["steps"][1]["why"] = {"x": 1}
    store.write(new.run.id, values)
    read = await store.runs.read(THREAD, new.run.id)
    assert read is not None
    assert read.run.metadata == {"by": "hand"}
    page = await store.runs.page(THREAD, RunsQuery())
    assert page.data[0].metadata == {"by": "hand"}
    await store.end(new.run.id)
    values = store.values(new.run.id)
    assert (values["note"], values["status"], values["metadata"]) == ("mine", "completed", {"by": "hand"})
    assert [one.get("why") for one in values["steps"]] == [None, {"x": 1}]


async def test_a_run_by_hand_needs_little(store: Store) -> None:
    store.write("mine", {"created_at": 1790000000123, "assistant_id": "jan", "model": "m", "status": "completed"})
    found = await store.runs.read(THREAD, "mine")
    assert found is not None
    assert (found.run.id, found.run.thread_id, found.run.created_at) == ("mine", THREAD, 1_790_000_000)
    assert [one.id for one in (await store.runs.page(THREAD, RunsQuery())).data] == ["mine"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n"created_at": }', "line 2: "),
        ('{"created_at": 1,\n"status": "dancing", "model": "m", "assistant_id": "jan"}', "line 2: `status`"),
        ('{"created_at": 1, "model": "m", "assistant_id": "a",\n"steps": {}}', "line 2: `steps` must be a list"),
        ('{"created_at": 1, "model": "m", "assistant_id": "a",\n"steps": [1]}', "line 2: `steps.0` must be an object"),
        ('{"created_at": 1, "model": "m", "assistant_id": "a", "steps": [\n{"id": "s"}]}', "line 2: `steps.0.created"),
        ('{"created_at": 1, "model": "m", "assistant_id": "a",\n"request": 5}', "line 2: `request` must be an object"),
    ],
)
async def test_a_broken_file_costs_that_run_alone(store: Store, text: str, told: str) -> None:
    good = await store.ended()
    store.write("run_broken", text)
    with pytest.raises(InvalidRequest, match=told) as error:
        await store.runs.read(THREAD, "run_broken")
    assert (error.value.code, error.value.param) == ("damaged_file", "run_id")
    assert str(store.file("run_broken")) in error.value.message
    with pytest.raises(InvalidRequest, match=told):
        async with store.runs.changing(THREAD, "run_broken"):
            pytest.fail("it was changed")
    assert store.file("run_broken").read_text() == text
    assert (await store.runs.page(THREAD, RunsQuery())).data == [good.run]


async def test_a_run_that_is_broken_while_it_goes_on_stops_nobody(store: Store) -> None:
    first, second = kept(), kept()
    await store.runs.begin(first, None)
    store.write(first.run.id, "{")
    assert await store.runs.active(THREAD) is None
    assert await store.runs.begin(second, None) == second


async def test_one_active_run_a_thread_whoever_begins_it(store: Store, other: Store) -> None:
    assert await store.runs.active(THREAD) is None
    new = [kept() for _ in range(8)]
    begun = await asyncio.gather(
        *((store, other)[index % 2].runs.begin(one, None) for index, one in enumerate(new)), return_exceptions=True
    )
    (won,) = [one for one in begun if isinstance(one, KeptRun)]
    for error in begun:
        if error is not won:
            assert isinstance(error, InvalidRequest)
            assert error.code == "run_active"
            assert won.run.id in error.message
    assert [os.path.basename(path).removesuffix(".json") for path in os.listdir(store.folder)] == [won.run.id]
    for one in (store, other):
        active = await one.runs.active(THREAD)
        assert active == won
    await other.end(won.run.id)
    assert await store.runs.active(THREAD) is None
    assert os.listdir(store.notes) == []
    again = kept()
    assert await store.runs.begin(again, None) == again


async def test_nothing_that_two_processes_change_is_lost(store: Store, other: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)

    async def add(one: Store, name: str) -> None:
        for number in range(10):
            async with one.runs.changing(THREAD, new.run.id, flush=number % 2 == 0) as found:
                found.run.metadata[f"{name}{number}"] = "x"

    await asyncio.gather(*(add(one, f"{index}-") for index, one in enumerate((store, other, store))))
    found = await store.runs.read(THREAD, new.run.id)
    assert found is not None
    assert len(found.run.metadata) == 30


async def test_a_block_that_fails_or_changes_nothing_writes_nothing(store: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)
    before = os.stat(store.file(new.run.id))

    async def fail() -> None:
        async with store.runs.changing(THREAD, new.run.id) as found:
            found.run.metadata["a"] = "b"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with store.runs.changing(THREAD, new.run.id) as found:
        assert found == new
    assert os.stat(store.file(new.run.id)).st_ino == before.st_ino
    with pytest.raises(NotFound) as error:
        async with store.runs.changing(THREAD, "run_none"):
            pytest.fail("there is none")
    assert (error.value.code, error.value.param) == ("run_not_found", "run_id")


async def test_a_change_that_is_given_up_leaves_the_thread_free(store: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)

    async def change() -> None:
        async with store.runs.changing(THREAD, new.run.id) as found:
            found.run.metadata[str(len(found.run.metadata))] = "x"

    for turns in range(12):
        task = asyncio.create_task(change())
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        await store.end(new.run.id)
    json.loads(store.file(new.run.id).read_text())


async def test_who_carries_a_run_on_does_so_alone(store: Store, other: Store) -> None:
    async with store.runs.hold(THREAD, "run_1") as mine, other.runs.hold(THREAD, "run_1") as theirs:
        assert (mine, theirs) == (True, False)
        async with store.runs.hold(THREAD, "run_1") as twice, store.runs.hold(THREAD, "run_2") as another:
            assert (twice, another) == (False, True)
    async with other.runs.hold(THREAD, "run_1") as theirs:
        assert theirs
    assert not [name for name in os.listdir(store.root / ".locks") if name.startswith("run.")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
async def test_the_right_to_carry_a_run_on_dies_with_its_process(store: Store) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.root), THREAD, "run_1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"True\n"
    async with store.runs.hold(THREAD, "run_1") as mine:
        assert not mine
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with store.runs.hold(THREAD, "run_1") as mine:
        assert mine


async def test_a_wish_to_cancel_is_heard_from_anywhere(store: Store, other: Store) -> None:
    for wishing in (store, other):
        new = kept()
        await store.runs.begin(new, None)
        heard = asyncio.create_task(store.runs.wished(THREAD, new.run.id))
        async with store.runs.changing(THREAD, new.run.id) as found:
            found.run.metadata["a"] = "b"
        await asyncio.sleep(0.02)
        assert not heard.done()
        await wishing.end(new.run.id, "cancelling")
        async with asyncio.timeout(5):
            await heard
        await store.end(new.run.id, "cancelled")
    new = kept()
    await store.runs.begin(new, None)
    heard = asyncio.create_task(store.runs.wished(THREAD, new.run.id))
    await asyncio.sleep(0.02)
    await other.runs.clear(THREAD)
    async with asyncio.timeout(5):
        await heard


async def test_a_thread_that_is_deleted_takes_its_runs_along(store: Store, other: Store) -> None:
    await store.runs.clear(THREAD)
    await store.ended()
    new = kept()
    await store.runs.begin(new, None)
    await other.runs.clear(THREAD)
    assert await store.runs.active(THREAD) is None
    assert await store.runs.left() == []
    assert (await store.runs.page(THREAD, RunsQuery())).data == []
    assert os.listdir(store.root / "threads") == [".running"]
    with pytest.raises(NotFound):
        async with store.runs.changing(THREAD, new.run.id):
            pytest.fail("it is gone")
    (store.folder.parent).mkdir()
    (store.folder.parent / "thread.json").write_text("{}")
    await store.ended()
    await store.runs.clear(THREAD)
    assert os.listdir(store.folder.parent) == ["thread.json"]


async def test_runs_lie_where_their_thread_lies(store: Store) -> None:
    home = store.root / "assistants" / "mine" / "threads" / "mine-1"
    home.mkdir(parents=True)
    new = kept(thread="mine-1")
    await store.runs.begin(new, None)
    assert os.listdir(home / "runs") == [f"{new.run.id}.json"]
    assert await store.runs.active("mine-1") == new


OPERATIONS: list[Callable[[Any, str, str], Any]] = [
    lambda runs, thread, run: runs.begin(kept(run, thread), None),
    lambda runs, thread, run: runs.read(thread, run),
    lambda runs, thread, run: _changed(runs, thread, run),
    lambda runs, thread, run: runs.put(kept(run, thread, status="completed")),
]


async def _changed(runs: Any, thread: str, run: str) -> None:
    async with runs.changing(thread, run) as found:
        found.run.metadata["a"] = "b"


@pytest.mark.parametrize("id", ["..", "../x", "a/b", "", "a\0b", "CON", "é", "x" * 200, "run_."])
async def test_hostile_ids_touch_nothing(store: Store, id: str) -> None:
    for operation in OPERATIONS:
        for thread, run in ((THREAD, id), (id, "run_1")):
            with pytest.raises(InvalidRequest) as error:
                await operation(store.runs, thread, run)
            assert error.value.code == "invalid_id"
    for work in (store.runs.active(id), store.runs.clear(id), store.runs.page(id, RunsQuery())):
        with pytest.raises(InvalidRequest):
            await work
    with pytest.raises(InvalidRequest):
        async with store.runs.hold(THREAD, id):
            pytest.fail("it was held")
    assert not store.root.exists()


async def test_nothing_is_written_behind_a_link_that_leaves_the_root(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "run_1.json").write_text(json.dumps({"created_at": 1, "model": "m", "assistant_id": "a"}))
    store.folder.parent.mkdir(parents=True)
    store.folder.symlink_to(outside, target_is_directory=True)
    for operation in (OPERATIONS[0], OPERATIONS[2], OPERATIONS[3]):
        with pytest.raises(InvalidRequest) as error:
            await operation(store.runs, THREAD, "run_1")
        assert error.value.code == "outside_root"
    assert (await store.runs.read(THREAD, "run_1")) is not None
    assert os.listdir(outside) == ["run_1.json"]
    assert "metadata" not in json.loads((outside / "run_1.json").read_text())
    store.folder.unlink()
    store.folder.mkdir()
    (store.folder / "run_1.json").symlink_to(outside / "run_1.json")
    with pytest.raises(InvalidRequest):
        await OPERATIONS[2](store.runs, THREAD, "run_1")
    assert "metadata" not in json.loads((outside / "run_1.json").read_text())


async def test_it_may_be_entered_again(store: Store) -> None:
    again = Store(store.root)
    for _ in range(2):
        async with again.runs:
            new = kept()
            await again.runs.begin(new, None)
            await again.end(new.run.id)
            assert new.run.id in [one.id for one in (await again.runs.page(THREAD, RunsQuery())).data]
