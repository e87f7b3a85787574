from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jan_core import reconcile
from jan_core.app import Jan
from jan_core.endpoint import Endpoint, internal
from jan_core.errors import NotFound, Unavailable
from jan_core.hookspecs import hookspec
from jan_core.reconcile import holds_of_threads
from jan_core.schemas.messages import MessageRequest
from jan_core.schemas.threads import Thread, ThreadDeleted, ThreadRequest
from jan_core.testing.memory_messages import MessagesInMemory
from jan_core.testing.memory_threads import ThreadsInMemory
from jan_core.testing.wired import KERNEL, wired
from tests.parts import part, plugins, until

pytestmark = pytest.mark.anyio

HELLO = MessageRequest(role="user", content="hello")


class Pins(Endpoint):
    """An endpoint that the kernel does not know, and that holds things of threads."""

    name: ClassVar[str] = "pins"
    schemas: ClassVar[str] = "jan_core.schemas.base"

    @internal
    @abstractmethod
    async def clear(self, thread_id: str) -> None:
        """Forget the pins of a thread."""


@hookspec(firstresult=True)
def provide_pins(settings: Any, jan: Any) -> Pins:
    """Return the object that answers `pins`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def wrap_pins(settings: Any, jan: Any) -> Mapping[str, Any]:
    """Return wrappers for operations of `pins`."""
    raise NotImplementedError


class Store:
    """What stays when an app ends: the threads, the messages, and what is pinned."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jan: Jan | None = None
        self.threads = OneThreads(self)
        self.messages = OneMessages(self)
        self.pins = OnePins(self)
        self.calls: list[tuple[str, str]] = []
        self.failing: dict[str, Exception] = {}
        self.held: asyncio.Event | None = None

    @property
    def endpoints(self) -> Any:
        """As an app's: the app that is open now."""
        assert self.jan is not None
        return self.jan.endpoints

    async def called(self, name: str, thread_id: str) -> None:
        """Note a step, fail it where it is to fail, and hold it where it is to last."""
        self.calls.append((name, thread_id))
        if self.held is not None:
            await self.held.wait()
        if name in self.failing:
            raise self.failing[name]


class OneThreads(ThreadsInMemory):
    def __init__(self, store: Store) -> None:
        super().__init__(store)  # type: ignore[arg-type]
        self.store = store

    async def deleted(self) -> Sequence[str]:
        await self.store.called("deleted", "")
        return await super().deleted()

    async def forget(self, thread_id: str) -> None:
        await self.store.called("forget", thread_id)
        await super().forget(thread_id)


class OneMessages(MessagesInMemory):
    def __init__(self, store: Store) -> None:
        super().__init__(store)  # type: ignore[arg-type]
        self.store = store

    async def clear(self, thread_id: str) -> None:
        await self.store.called("messages", thread_id)
        await super().clear(thread_id)

    def left(self, thread_id: str) -> bool:
        """Whether something of a thread is still there."""
        return thread_id in self._threads


class OnePins(Pins):
    def __init__(self, store: Store) -> None:
        self.store = store

    async def clear(self, thread_id: str) -> None:
        await self.store.called("pins", thread_id)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(reconcile, "LONGEST_PAUSE", 60.0)
    return Store(tmp_path)


Opened = Callable[..., Jan]


@pytest.fixture
def opened(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Build an app over the store, as a process that starts would."""
    classes = part(monkeypatch, "pins-class")
    monkeypatch.setattr(f"{classes}.Pins", Pins, raising=False)

    def build(*names: str, **more: Any) -> Jan:
        built: dict[str, Callable[..., Any]] = {
            "threads": lambda: store.threads,
            "messages": lambda: store.messages,
            "pins": lambda: store.pins,
        }
        modules = {
            f"{name}-one": part(monkeypatch, f"{name}-one", **{f"provide_{name}": built[name]})
            for name in names or built
        }
        endpoints = {**KERNEL, "pins": f"{classes}:Pins"}
        store.jan = wired(tmp_path, modules=modules, endpoints=endpoints, **more)
        return store.jan

    return build


async def thread(jan: Jan) -> str:
    return str((await jan.threads.create(ThreadRequest(messages=[HELLO]))).id)


async def test_what_other_endpoints_hold_is_removed_in_the_background(store: Store, opened: Opened) -> None:
    async with opened() as jan:
        one, other = await thread(jan), await thread(jan)
        await jan.reconciler.settled()
        store.calls.clear()
        store.held = asyncio.Event()
        reply = await jan.threads.delete(one)
        assert reply.deleted
        with pytest.raises(NotFound):
            await jan.threads.retrieve(one)
        assert store.messages.left(one)  # the reply did not wait for it
        store.held.set()
        await jan.reconciler.settled()
        assert store.calls == [("deleted", ""), ("messages", one), ("pins", one), ("forget", one)]
        assert await jan.threads.deleted() == []
        assert not store.messages.left(one)
        assert store.messages.left(other)


async def test_a_caller_that_leaves_does_not_leave_the_rest_behind(store: Store, opened: Opened) -> None:
    class Slow(OneThreads):
        async def delete(self, thread_id: str) -> ThreadDeleted:
            reply = await super().delete(thread_id)
            await asyncio.Event().wait()
            return reply

    store.threads = Slow(store)
    async with opened() as jan:
        one = await thread(jan)
        await jan.reconciler.settled()
        deleting = asyncio.create_task(jan.threads.delete(one))
        await until(lambda: one in store.threads._deleted)
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        await jan.reconciler.settled()
        assert not store.messages.left(one)


async def test_a_deletion_in_vain_wakes_nobody(store: Store, opened: Opened) -> None:
    async with opened() as jan:
        await jan.reconciler.settled()
        store.calls.clear()
        with pytest.raises(NotFound):
            await jan.threads.delete("jan-1-a")
        await jan.reconciler.settled()
        await asyncio.sleep(0)
        assert store.calls == []


async def test_a_start_finishes_what_an_earlier_process_left(store: Store, opened: Opened) -> None:
    store.failing["messages"] = Unavailable("The disk is away.")
    async with opened() as jan:
        left = await thread(jan)
        await jan.threads.delete(left)
        await jan.reconciler.settled()
        assert jan.reconciler.why(left) == "The disk is away."
    assert store.messages.left(left)
    store.failing.clear()
    async with opened() as jan:
        await jan.reconciler.settled()
        assert not store.messages.left(left)
        assert await jan.threads.deleted() == []
        assert jan.reconciler.why(left) == ""


async def test_a_start_does_not_wait_for_it(store: Store, opened: Opened) -> None:
    store.held = asyncio.Event()
    async with opened() as jan:
        await until(lambda: store.calls == [("deleted", "")])
        assert jan.threads.supports("delete")
        store.held.set()


async def test_what_fails_is_tried_again_after_growing_pauses_and_logged(
    store: Store, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    store.failing["messages"] = Unavailable("The disk is away.")
    with caplog.at_level(logging.WARNING, "jan"):
        async with opened() as jan:
            one = await thread(jan)
            await jan.threads.delete(one)
            await until(lambda: store.calls.count(("messages", one)) == 4)
            assert ("forget", one) not in store.calls
            assert store.calls.count(("pins", one)) >= 3  # every other endpoint is asked all the same
            store.failing.clear()
            await until(lambda: ("forget", one) in store.calls)
            await jan.reconciler.settled()
            assert await jan.threads.deleted() == []
    told = [record.getMessage() for record in caplog.records]
    assert [line.rsplit(" ", 2)[1] for line in told[:4]] == ["0.01", "0.02", "0.04", "0.08"]
    assert all(one in line and "The disk is away." in line for line in told)
    assert caplog.records[0].exc_info is None


async def test_a_thread_that_fails_holds_up_no_other(store: Store, opened: Opened) -> None:
    class Picky(OneMessages):
        async def clear(self, thread_id: str) -> None:
            if thread_id == bad:
                raise ValueError("no")
            await super().clear(thread_id)

    store.messages = Picky(store)
    async with opened() as jan:
        bad, good = await thread(jan), await thread(jan)
        await jan.threads.delete(bad)
        await jan.threads.delete(good)
        await until(lambda: ("forget", good) in store.calls)
        assert await jan.threads.deleted() == [bad]


async def test_a_defect_is_logged_with_its_traceback(
    store: Store, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    store.failing["deleted"] = KeyError("oops")
    with caplog.at_level(logging.WARNING, "jan"):
        async with opened():
            await until(lambda: len(caplog.records) >= 2)
    assert "looking for deleted threads failed: KeyError: 'oops'" in caplog.records[0].getMessage()
    assert caplog.records[0].exc_info


async def test_what_another_process_finished_is_not_tried_again(store: Store, opened: Opened) -> None:
    store.failing["messages"] = Unavailable("away")
    async with opened() as jan:
        one = await thread(jan)
        await jan.threads.delete(one)
        await until(lambda: ("messages", one) in store.calls)
        await ThreadsInMemory.forget(store.threads, one)
        await jan.threads.delete(await thread(jan))
        await until(lambda: one not in jan.reconciler._due)


async def test_nothing_is_removed_of_a_thread_that_can_be_read(
    store: Store, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    store.threads._threads["jan-1-a"] = Thread(id="jan-1-a", created_at=1)
    store.threads._deleted.append("jan-1-a")
    with caplog.at_level(logging.WARNING, "jan"):
        async with opened() as jan:
            await jan.reconciler.settled()
    assert store.calls == [("deleted", "")]
    assert "nothing of it is removed" in caplog.text


async def test_the_end_of_the_app_leaves_time_for_the_work_at_hand_and_no_more(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as jan:
        one = await thread(jan)
        await jan.threads.delete(one)
    assert not store.messages.left(one)
    monkeypatch.setattr(reconcile, "LAST_SECONDS", 0.05)
    async with opened() as jan:
        other = await thread(jan)
        store.held = asyncio.Event()
        await jan.threads.delete(other)
    assert store.messages.left(other)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "jan-reconciler"]


async def test_endpoints_that_are_not_chosen_are_passed_over(store: Store, opened: Opened) -> None:
    async with opened("threads") as jan:
        one = str((await jan.threads.create(ThreadRequest())).id)
        await jan.threads.delete(one)
        await jan.reconciler.settled()
        assert [name for name, _ in store.calls if name != "deleted"] == ["forget"]


async def test_without_threads_there_is_nothing_to_do(store: Store, opened: Opened) -> None:
    async with opened("messages"):
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "jan-reconciler"]


async def test_a_plugin_sees_what_is_cleared_and_goes_around_the_wake_up(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def note(proceed: Any, *arguments: Any) -> Any:
        seen.append(f"{proceed.operation.qualified} {arguments}")
        return await proceed(*arguments)

    async with opened(plugins=plugins(monkeypatch, "wrap_messages", noting={"clear": note})) as jan:
        one = await thread(jan)
        await jan.threads.delete(one)
        await jan.reconciler.settled()
    assert seen == [f"messages.clear ('{one}',)"]


async def test_only_an_internal_clear_of_a_thread_counts(store: Store) -> None:
    class Other(Endpoint):
        name: ClassVar[str] = "other"
        schemas: ClassVar[str] = "jan_core.schemas.base"

        @internal
        async def clear(self, everything: str) -> None:
            """Clear something else."""

    class Rare(Endpoint):
        name: ClassVar[str] = "rare"
        schemas: ClassVar[str] = "jan_core.schemas.base"

        @internal(optional=True)
        async def clear(self, thread_id: str) -> None:
            """Clear nothing, where an implementation holds nothing."""

    assert holds_of_threads(OnePins(store))
    assert not holds_of_threads(Other())
    assert not holds_of_threads(Rare())
    assert not holds_of_threads(store.threads)
