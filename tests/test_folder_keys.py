from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from jan_core.errors import Conflict
from jan_core.folder import keys as module
from jan_core.folder.keys import KEPT, SPAN, KeptReplies
from jan_core.folder.layout import Layout
from jan_core.folder.locks import Locks
from jan_core.idempotency import Once

KEY, OTHER = "0" * 32, "1" * 32


class Made:
    """Objects that are files; counts how often each was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.times: dict[str, int] = {}
        self.fails = False

    async def new(self) -> dict[str, Any]:
        return {"id": f"object-{len(self.times)}", "n": 1}

    async def make(self, reply: dict[str, Any]) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        await anyio.lowlevel.checkpoint()
        self.times[reply["id"]] = self.times.get(reply["id"], 0) + 1
        (self.folder / reply["id"]).write_text("")

    def is_made(self, reply: dict[str, Any]) -> bool:
        return (self.folder / reply["id"]).exists()

    async def ask(self, kept: KeptReplies, key: str | None = KEY, fingerprint: str = "print") -> dict[str, Any]:
        asked = None if key is None else Once(key, fingerprint)
        return await kept.once(asked, new=self.new, is_made=self.is_made, make=self.make)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> KeptReplies:
    return KeptReplies(Layout(tmp_path / "root"))


@pytest.mark.anyio
async def test_the_first_reply_is_given_again(made: Made, kept: KeptReplies, tmp_path: Path) -> None:
    first = await made.ask(kept)
    assert first == {"id": "object-0", "n": 1}
    first["n"] = 2  # whoever got it may change it
    (tmp_path / "object-0").unlink()  # and delete what was made
    again = KeptReplies(Layout(tmp_path / "root"))
    assert await made.ask(again) == {"id": "object-0", "n": 1}
    assert (await made.ask(again, OTHER))["id"] == "object-1"
    assert made.times == {"object-0": 1, "object-1": 1}


@pytest.mark.anyio
async def test_another_body_is_refused(made: Made, kept: KeptReplies) -> None:
    await made.ask(kept)
    with pytest.raises(Conflict) as caught:
        await made.ask(kept, fingerprint="another")
    assert caught.value.code == "idempotency_conflict"
    assert made.times == {"object-0": 1}


def test_without_a_key_each_request_makes_one_and_nothing_is_noted(made: Made, kept: KeptReplies) -> None:
    replies = [anyio.run(made.ask, kept, None) for _ in range(2)]
    assert [reply["id"] for reply in replies] == ["object-0", "object-1"]
    assert made.times == {"object-0": 1, "object-1": 1}
    assert not Path(kept.folder).exists()


@pytest.mark.anyio
async def test_an_attempt_that_broke_off_is_completed(made: Made, kept: KeptReplies) -> None:
    made.fails = True
    with pytest.raises(OSError):
        await made.ask(kept)
    assert made.times == {}
    made.fails = False
    assert (await made.ask(kept))["id"] == "object-0"
    assert made.times == {"object-0": 1}


@pytest.mark.anyio
async def test_what_was_made_is_not_made_again_though_nobody_noted_that(
    made: Made, kept: KeptReplies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptReplies, "finish", lambda self, key: None)
    await made.ask(kept)
    await made.ask(kept)
    assert made.times == {"object-0": 1}


@pytest.mark.anyio
async def test_many_at_once_make_one(made: Made, kept: KeptReplies, tmp_path: Path) -> None:
    other = KeptReplies(Layout(tmp_path / "root"))  # as another process has it
    replies: list[dict[str, Any]] = []

    async def ask(which: KeptReplies, key: str) -> None:
        replies.append(await made.ask(which, key))

    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(ask, kept, KEY)
            group.start_soon(ask, other, KEY)
    assert len(replies) == 80
    assert made.times == {"object-0": 1}
    assert kept._here == {}


@pytest.mark.anyio
@pytest.mark.parametrize("key", [KEY, None])
async def test_a_caller_who_leaves_does_not_stop_what_began(made: Made, kept: KeptReplies, key: str | None) -> None:
    with anyio.CancelScope() as scope:

        async def make(reply: dict[str, Any], real: Any = made.make) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            await real(reply)

        made.make = make  # type: ignore[method-assign]
        await made.ask(kept, key)
    assert made.times == {"object-0": 1}
    assert (await made.ask(kept, key))["id"] == ("object-1" if key is None else "object-0")


@pytest.mark.anyio
async def test_a_task_that_is_cancelled_leaves_no_key_locked(
    made: Made, kept: KeptReplies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They hold what was touched, so that nothing is given back by being forgotten.
    errors: list[asyncio.CancelledError] = []
    begun, real = threading.Event(), kept._locks.hold

    @contextmanager
    def hold(key: str) -> Iterator[None]:
        begun.set()
        with real(key):
            yield

    async def ask() -> None:
        try:
            await made.ask(kept)
        except asyncio.CancelledError as error:
            errors.append(error)
            raise

    monkeypatch.setattr(kept._locks, "hold", hold)
    with Locks(tmp_path / "root" / module.FOLDER).hold(KEY):  # so that it waits in a thread
        asking = asyncio.create_task(ask())
        with anyio.fail_after(20):
            while not begun.is_set():
                await anyio.lowlevel.checkpoint()
        asking.cancel()
        await asyncio.wait({asking})
    assert len(errors) == 1
    with anyio.fail_after(20):
        assert (await made.ask(kept))["id"] == "object-0"
    assert made.times == {"object-0": 1}
    assert kept._here == {}


@pytest.mark.anyio
async def test_what_fails_when_nobody_is_there_any_more_is_reported_as_no_defect(made: Made, kept: KeptReplies) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def make(reply: dict[str, Any]) -> None:
        begun.set()
        await go_on.wait()
        raise OSError(28, "No space left on device")

    made.make = make  # type: ignore[method-assign]
    asking = asyncio.create_task(made.ask(kept))
    await begun.wait()
    asking.cancel()
    await asyncio.wait([asking])
    closing = asyncio.create_task(kept.settled())
    await asyncio.sleep(0.02)
    assert not closing.done()
    go_on.set()
    await closing
    assert not kept._going
    del asking
    gc.collect()
    await asyncio.sleep(0)
    assert told == []


def test_a_note_that_a_crash_cut_short_is_none(made: Made, kept: KeptReplies) -> None:
    anyio.run(made.ask, kept)
    note = Path(kept.folder, folders(kept)[0], KEY)
    for content in ("", '{"fingerprint": "pr', '{"fingerprint": 5, "reply": {}}', '{"fingerprint": "x"}'):
        note.write_text(content)
        assert kept.find(KEY) is None


@pytest.mark.anyio
async def test_notes_expire_by_the_folder(made: Made, kept: KeptReplies, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_700_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: clock)
    await made.ask(kept)
    clock += KEPT - 1
    assert kept.find(KEY) is not None
    await made.ask(kept, OTHER)
    assert kept.find(KEY) is not None
    clock += 2 * SPAN
    assert kept.find(KEY) is None
    assert len(folders(kept)) == 2
    await made.ask(kept, "2" * 32)
    assert len(folders(kept)) == 2  # the first is gone
    assert kept.find(OTHER) is not None


def folders(kept: KeptReplies) -> list[str]:
    return [name for name in os.listdir(kept.folder) if name.isdigit()]
