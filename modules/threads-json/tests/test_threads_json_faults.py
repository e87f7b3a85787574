"""The store when things go wrong or happen at once: crashes at every point, full disks, several stores on one root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from jan_threads_json.store import ThreadsJson

from jan_core import call
from jan_core.errors import Conflict, NotFound, Unavailable
from jan_core.folder.calls import DISK
from jan_core.folder.names import is_name
from jan_core.schemas.threads import ThreadRequest, ThreadsQuery, ThreadUpdate

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]
CHANGES = ("create", "write", "truncate", "sync", "sync_folder", "replace", "unlink", "mkdir", "rmdir")
"""The calls that change what is on the disk, or make it last."""


class Crash(BaseException):
    """The process is gone at this point."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], Callable[[], int]]:
    """`crash_at(3)` lets the process die at the third change from now on; what it returns tells how many there were."""

    def arm(at: int | None) -> Callable[[], int]:
        done = [0]
        monkeypatch.undo()
        for name in CHANGES:
            real = getattr(DISK, name)

            def call(*arguments: Any, real: Any = real) -> Any:
                done[0] += 1
                if at is not None and done[0] >= at:
                    raise Crash
                return real(*arguments)

            monkeypatch.setattr(DISK, name, call)
        return lambda: done[0]

    return arm


def request(**fields: Any) -> ThreadRequest:
    return ThreadRequest.model_validate(fields)


async def ids(threads: ThreadsJson, **fields: Any) -> list[str]:
    return [one.id for one in (await threads.list(ThreadsQuery.model_validate(fields))).data]


async def test_stores_on_one_root_see_what_each_did(threads: ThreadsJson, jan: Any) -> None:
    stores = [threads, ThreadsJson(jan), ThreadsJson(jan)]
    answered: set[str] = set()

    async def work(store: ThreadsJson) -> None:
        for number in range(15):
            made = (await store.create(ThreadRequest())).id
            answered.add(made)
            before = set(answered)
            reader = stores[number % 3]
            assert before <= set(await ids(reader, limit=100)) | gone
            if number % 5 == 4:
                gone.add(made)
                answered.discard(made)
                await reader.delete(made)

    gone: set[str] = set()
    async with anyio.create_task_group() as group:
        for store in stores:
            group.start_soon(work, store)
    for store in stores:
        assert set(await ids(store, limit=100)) == answered


async def test_updates_at_once_lose_nothing(threads: ThreadsJson, jan: Any, root: Path) -> None:
    made = await threads.create(ThreadRequest())
    other = ThreadsJson(jan)

    async def change(store: ThreadsJson, field: str) -> None:
        await store.update(made.id, ThreadUpdate.model_validate({field: "x" if field != "metadata" else {"a": "x"}}))

    for _ in range(5):
        await threads.update(made.id, ThreadUpdate.model_validate({"title": None, "metadata": None, "model": None}))
        async with anyio.create_task_group() as group:
            for store, field in ((threads, "title"), (other, "metadata"), (threads, "model")):
                group.start_soon(change, store, field)
        found = await threads.retrieve(made.id)
        assert (found.title, found.metadata, found.model) == ("x", {"a": "x"}, "x")


def with_key(key: str | None) -> None:
    call.enter(call.Call("req", idempotency_key=key))


async def test_a_key_makes_one_thread(threads: ThreadsJson, jan: Any, messages: Any) -> None:
    with_key("a")
    body = request(title="one", messages=[{"role": "user", "content": "Hello"}])
    first = await threads.create(body)
    with_key(None)
    await threads.update(first.id, ThreadUpdate(title="changed"))
    with_key("a")
    assert await threads.create(body) == first
    assert await ThreadsJson(jan).create(body) == first
    with pytest.raises(Conflict) as caught:
        await threads.create(request(title="two"))
    assert caught.value.code == "idempotency_conflict"
    await threads.delete(first.id)
    await threads.forget(first.id)
    assert await threads.create(body) == first
    assert await ids(threads) == []
    assert messages.started == [(first.id, 1)]
    with_key("b")
    assert (await threads.create(body)).id != first.id


async def test_a_crash_at_any_point_of_a_create_is_made_good_by_the_retry(
    jan: Any, root: Path, crash_at: Callable[[int | None], Callable[[], int]]
) -> None:
    body = request(title="one", model="m", messages=[{"role": "user", "content": "Hello"}])
    with_key("k")
    point, crashes = 0, 0
    while True:
        point += 1
        shutil.rmtree(root, ignore_errors=True)
        count = crash_at(point)
        try:
            reply = await ThreadsJson(jan).create(body)
        except (Crash, BaseExceptionGroup):
            crashes += 1
            crash_at(None)
            after = ThreadsJson(jan)
            seen = await ids(after)
            reply = await after.create(body)
            assert seen in ([], [reply.id])
        else:
            if count() < point:
                break
        crash_at(None)
        assert await ids(ThreadsJson(jan)) == [reply.id]
        assert await ThreadsJson(jan).create(body) == reply
        assert [name for name in os.listdir(root / "threads") if is_name(name)] == [reply.id]
    assert crashes > 15


async def test_a_retry_finds_the_place_of_the_attempt_that_broke_off(
    jan: Any, root: Path, write: Write, crash_at: Callable[[int | None], Callable[[], int]]
) -> None:
    body = request(assistants=[{"assistant_id": "a"}])
    with_key("k")
    point, begun = 0, 0
    while True:
        point += 1
        shutil.rmtree(root, ignore_errors=True)
        write("assistants/a/assistant.json", created_at=1, thread_location="work")
        count = crash_at(point)
        try:
            await ThreadsJson(jan).create(body)
        except (Crash, BaseExceptionGroup):
            crash_at(None)
        else:
            if count() < point:
                break
        begun += any(is_name(name) for name in (os.listdir(root / "work") if (root / "work").is_dir() else ()))
        write("assistants/a/assistant.json", created_at=1, thread_location="ROOT/threads")
        reply = await ThreadsJson(jan).create(body)
        assert await ids(ThreadsJson(jan)) == [reply.id]
        assert await ThreadsJson(jan).retrieve(reply.id) == reply
    assert begun > 2


async def test_a_crash_at_any_point_of_a_deletion_is_finished_by_the_next_start(
    jan: Any, root: Path, write: Write, crash_at: Callable[[int | None], Callable[[], int]]
) -> None:
    point, crashes, hidden = 0, 0, 0
    while True:
        point += 1
        crash_at(None)
        shutil.rmtree(root, ignore_errors=True)
        write("threads/x/thread.json", created_at=5)
        write("threads/x/messages.json", "[]")
        write("threads/x/files/a", "a")
        count = crash_at(point)
        store = ThreadsJson(jan)
        acknowledged = False
        try:
            await store.delete("x")
            acknowledged = True
            await store.forget("x")
        except (Crash, BaseExceptionGroup):
            crashes += 1
        else:
            if count() < point:
                break
        crash_at(None)
        after = ThreadsJson(jan)
        seen = await ids(after)
        assert seen == [] if acknowledged else seen in ([], ["x"])
        if seen:
            with pytest.raises(NotFound):
                await after.delete("y")
            await after.delete("x")
        for name in await after.deleted():
            hidden += 1
            await after.forget(name)
        assert await ids(after) == []
        assert [name for name in os.listdir(root / "threads") if name != ".deleted"] == []
        assert os.listdir(root / "threads" / ".deleted") in ([], [".tmp"]) or all(
            name.startswith(".tmp-") for name in os.listdir(root / "threads" / ".deleted")
        )
    assert crashes > 10
    assert hidden > 5


async def test_a_full_disk_is_told_and_nothing_half_made_is_seen(
    threads: ThreadsJson, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await threads.create(request(title="t"))

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DISK, "write", full)
    for asked in (
        threads.create(ThreadRequest()),
        threads.update(kept.id, ThreadUpdate(title="u")),
        threads.delete(kept.id),
    ):
        with pytest.raises(Unavailable, match="No space left on device") as caught:
            await asked
        assert caught.value.status == 503
    monkeypatch.undo()
    assert [name for name in os.listdir(root / "threads") if is_name(name)] == [kept.id]
    assert [(one.id, one.title) for one in (await threads.list(ThreadsQuery())).data] == [(kept.id, "t")]
    assert (await threads.update(kept.id, ThreadUpdate(title="u"))).title == "u"


async def test_a_start_reads_the_notes_of_deletions_alone(
    jan: Any, root: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        write(f"threads/jan-17000000{number:02}-x/thread.json", created_at=1_700_000_000 + number)
    looked: list[str] = []
    for name in ("listdir", "scandir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real: (looked.append(str(path)), real(path))[1])
    async with ThreadsJson(jan) as store:
        assert await store.deleted() == []
        await store.check("jan-1700000001-x")
        await store.create(ThreadRequest())
    assert set(looked) <= {str(root / "threads" / ".deleted"), str(root / "assistants"), str(root / ".idempotency")}
