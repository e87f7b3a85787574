from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jan_runs.feed import Feed
from jan_runs.runs import StoredRuns
from jan_runs.store import RunStore

from jan_core.app import Jan
from jan_core.errors import InvalidRequest, NotFound
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import Once
from jan_core.pages import cut
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.schemas.runs import KeptRun, Run, RunPage, RunRequest, RunsQuery, RunStep, RunStepsQuery
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import EVERYTHING, wired
from jan_core.wrapping import Layer, wrap

HERE = "jan_runs_kept_in_memory"
sys.modules[HERE] = sys.modules[__name__]  # an entry point names a module

FUNCTION = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


class Place:
    """What several stores share, as several processes share a folder: documents, as text."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, str]] = {}
        self.asked: dict[str, tuple[Once, str]] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        self.held: set[str] = set()
        self.changed = asyncio.Condition()
        self.writes: list[tuple[str, bool]] = []
        """Status and `flush` of each write."""
        self.lasting: dict[tuple[str, str], str] = {}
        """Each run as a power cut would leave it."""

    def power_cut(self) -> None:
        """What was not flushed is gone, and so is every process."""
        for (thread_id, run_id), text in self.lasting.items():
            self.runs[thread_id][run_id] = text
        self.held = set()


class InMemory(RunStore):
    """The plainest store that keeps the promises, within one process."""

    def __init__(self, place: Place | None = None) -> None:
        self.place = place or Place()
        self.before_write: Callable[[KeptRun], Awaitable[None]] | None = None

    def _of(self, thread_id: str) -> list[KeptRun]:
        check_name(thread_id, param="thread_id")
        kept = [KeptRun.model_validate_json(text) for text in self.place.runs.get(thread_id, {}).values()]
        return sorted(kept, key=lambda one: (one.run.created_at, one.run.id))

    async def begin(self, kept: KeptRun, asked: Once | None) -> KeptRun:
        async with self._lock(kept.run.thread_id):
            first = None if asked is None else await self.begun(asked)
            if first is not None:
                return first
            active = await self.active(kept.run.thread_id)
            if active is not None:
                raise InvalidRequest(f"The run {active.run.id} has not ended.", code="run_active")
            await self._write(kept, True)
            if asked is not None:
                self.place.asked[asked.key] = (asked, kept.model_dump_json())
        return kept

    async def begun(self, asked: Once) -> KeptRun | None:
        found = self.place.asked.get(asked.key)
        if found is None:
            return None
        asked.check(found[0].fingerprint)
        first = KeptRun.model_validate_json(found[1])
        return first if await self.read(first.run.thread_id, first.run.id) is not None else None

    async def read(self, thread_id: str, run_id: str) -> KeptRun | None:
        check_name(run_id, param="run_id")
        return next((kept for kept in self._of(thread_id) if kept.run.id == run_id), None)

    @asynccontextmanager
    async def changing(self, thread_id: str, run_id: str, *, flush: bool = True) -> AsyncIterator[KeptRun]:
        async with self._lock(thread_id):
            kept = await self.read(thread_id, run_id)
            if kept is None:
                raise NotFound(f"There is no run {run_id}.", code="run_not_found")
            before = kept.model_dump_json()
            yield kept
            if kept.model_dump_json() != before:
                await self._write(kept, flush)

    async def page(self, thread_id: str, query: RunsQuery) -> RunPage:
        return RunPage(**dict(cut([kept.run for kept in self._of(thread_id)], query)))

    async def active(self, thread_id: str) -> KeptRun | None:
        return next((kept for kept in self._of(thread_id) if not kept.run.ended), None)

    @asynccontextmanager
    async def hold(self, thread_id: str, run_id: str) -> AsyncIterator[bool]:
        if run_id in self.place.held:
            yield False
            return
        self.place.held.add(run_id)
        try:
            yield True
        finally:
            self.place.held.discard(run_id)

    async def left(self) -> Sequence[tuple[str, str]]:
        return [(one, kept.run.id) for one in self.place.runs for kept in self._of(one) if not kept.run.ended]

    async def wished(self, thread_id: str, run_id: str) -> None:
        while True:
            kept = await self.read(thread_id, run_id)
            if kept is None or kept.run.status == "cancelling":
                return
            async with self.place.changed:
                await self.place.changed.wait()

    async def put(self, kept: KeptRun) -> None:
        async with self._lock(kept.run.thread_id):
            await self._write(kept, True)

    async def withdraw(self, thread_id: str, run_id: str) -> None:
        self.place.runs.get(thread_id, {}).pop(run_id, None)
        async with self.place.changed:
            self.place.changed.notify_all()

    async def clear(self, thread_id: str) -> None:
        self.place.runs.pop(thread_id, None)
        async with self.place.changed:
            self.place.changed.notify_all()

    def _lock(self, thread_id: str) -> asyncio.Lock:
        return self.place.locks.setdefault(thread_id, asyncio.Lock())

    async def _write(self, kept: KeptRun, flush: bool) -> None:
        await asyncio.sleep(0)  # as a disk lets others go on
        if self.before_write is not None:
            await self.before_write(kept)
        self.place.writes.append((kept.run.status, flush))
        text = self.place.runs.setdefault(kept.run.thread_id, {})[kept.run.id] = kept.model_dump_json()
        if flush:
            self.place.lasting[kept.run.thread_id, kept.run.id] = text
        async with self.place.changed:
            self.place.changed.notify_all()


class Talk:
    """An app whose runs are kept in memory, one thread of it, and short names for what the tests do most."""

    def __init__(self, root: Path, place: Place | None = None, *, expires_seconds: int = 600, **more: Any) -> None:
        self.root = root
        self.place = place or Place()
        PLACES[root], EXPIRES[root] = self.place, expires_seconds
        modules = {name: path for name, path in EVERYTHING.items() if not name.startswith("runs")}
        own = {"chat-scripted": HERE, "runs-kept": HERE}
        self.jan: Jan = wired(
            root, more.pop("tables", None), modules={**modules, **own, **more.pop("modules", {})}, **more
        )
        self.thread = ""

    async def __aenter__(self) -> Talk:
        await self.jan.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.jan.__aexit__(None, None, None)

    @property
    def stored(self) -> StoredRuns:
        """The endpoint itself, behind the layers around it."""
        return BUILT[self.jan]

    @property
    def engine(self) -> Engine:
        """What answers here: it counts its streams, and keeps its requests."""
        found: Engine = ENGINES[self.jan]
        return found

    async def say(self, *texts: Any) -> str:
        """A new thread of these messages of a user; a text, or a script as a dictionary."""
        told = [one if isinstance(one, str) else json.dumps(one) for one in texts]
        made = await self.jan.threads.create(
            ThreadRequest(messages=[MessageRequest(role="user", content=one) for one in told])
        )
        self.thread = made.id
        return str(made.id)

    def request(self, **more: Any) -> RunRequest:
        return request(**more)

    async def run(self, **more: Any) -> Run:
        run: Run = await self.jan.runs.create(self.thread, request(**more))
        return run

    async def events(self, **more: Any) -> list[Any]:
        """All events of a run in the thread."""
        return [event async for event in self.jan.runs.create_stream(self.thread, request(**more))]

    async def end(self, run: Any) -> Run:
        """The run once it waits or has ended."""
        run_id = run if isinstance(run, str) else run.id
        async with asyncio.timeout(120):
            while True:
                found: Run = await self.jan.runs.retrieve(self.thread, run_id)
                if (found.ended or found.status == "requires_action") and not self.stored._loop.carries(run_id):
                    return found
                await asyncio.sleep(0.005)

    async def messages(self) -> list[Message]:
        found: list[Message] = (await self.jan.messages.list(self.thread, MessagesQuery(order="asc", limit=100))).data
        return found

    async def answers(self) -> list[tuple[str, str]]:
        """Status and text of what the assistant said."""
        return [(one.status, text_of(one)) for one in await self.messages() if one.role == "assistant"]

    async def steps(self, run: Run | str) -> list[RunStep]:
        run_id = run if isinstance(run, str) else run.id
        found: list[RunStep] = (
            await self.jan.runs.list_steps(self.thread, run_id, RunStepsQuery(order="asc", limit=100))
        ).data
        return found


PLACES: dict[Path, Place] = {}
EXPIRES: dict[Path, int] = {}
ENGINES: dict[Jan, Any] = {}
BUILT: dict[Jan, StoredRuns] = {}


@hookimpl
def provide_runs(settings: Any, jan: Jan) -> StoredRuns:
    expires_seconds = EXPIRES[jan.root]
    BUILT[jan] = StoredRuns(jan, InMemory(PLACES[jan.root]), expires_seconds=expires_seconds)
    return BUILT[jan]


@contextmanager
def around(talk: Talk, operation: str, wrapper: Callable[..., Awaitable[Any]]) -> Iterator[None]:
    """Put a wrapper around an operation for a while."""
    endpoint, _, name = operation.partition(".")
    implementation = talk.jan.endpoints[endpoint]
    inner = getattr(implementation, name)
    setattr(implementation, name, getattr(wrap(implementation, [Layer("the test", {name: wrapper})]), name))
    try:
        yield
    finally:
        setattr(implementation, name, inner)


def slow_calls(gate: asyncio.Event) -> Callable[..., Awaitable[Any]]:
    """A wrapper of `chat.create_stream`: calls go on behind their first piece once the gate is open."""

    async def slow(proceed: Any, body: Any) -> Any:
        chunks = await proceed(body)

        async def through() -> AsyncIterator[Any]:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
                    if chunk.choices and chunk.choices[0].delta.tool_calls:
                        await gate.wait()

        return through()

    return slow


def request(**more: Any) -> RunRequest:
    return RunRequest.model_validate({"assistant_id": "jan", **more})


def scripted(**what: Any) -> str:
    return json.dumps(what)


def text_of(message: Message) -> str:
    return "".join(part.text.value for part in message.content if part.type == "text")


def names(events: list[Any]) -> list[str]:
    """The names of events; deltas that follow each other count as one."""
    found: list[str] = []
    for event in events:
        if not (event.event.endswith(".delta") and found and found[-1] == event.event):
            found.append(event.event)
    return found


async def heard(feed: Feed) -> list[Any]:
    return [event async for event in feed.listen()]


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def talk(tmp_path: Path, place: Place) -> Talk:
    return Talk(tmp_path, place)


class Engine(ScriptedChat):
    """The scripted engine; it keeps the requests that it got."""

    def __init__(self, jan: Jan) -> None:
        super().__init__(jan)
        self.asked: list[Any] = []

    async def create_stream(self, body: Any) -> AsyncIterator[Any]:
        self.asked.append(body)
        async with aclosing(super().create_stream(body)) as chunks:
            async for chunk in chunks:
                yield chunk


@hookimpl
def provide_chat(settings: Any, jan: Jan) -> Engine:
    ENGINES[jan] = Engine(jan)
    return ENGINES[jan]
