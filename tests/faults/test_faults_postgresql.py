"""PostgreSQL that is killed, stopped, full or silent while sixteen clients write: on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from jan_postgresql.own_server import OwnServer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jan_core.inprocess import client
from jan_core.testing.wired import wired

pytestmark = [pytest.mark.faults, pytest.mark.anyio]

WRITERS = 16
WAIT, ANSWER = 2.0, 4.0
"""Seconds of the settings."""
BACK = 5.0
"""Seconds after the database is back until requests are answered, at most."""
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jan'"
"""Ends the sessions of the server under test; no row where it has none."""
MODULES = {
    "assistants-postgresql": "jan_assistants_postgresql",
    "threads-postgresql": "jan_threads_postgresql",
    "messages-postgresql": "jan_messages_postgresql",
}


@pytest.fixture
def server(work: Path) -> Iterator[OwnServer]:
    """A server that nobody watches over: what dies stays dead until the test starts it."""
    found = OwnServer(work / "postgresql", ["max_connections = 20"])
    found.start()
    yield found
    found.begin()
    found.leave()


class Proxy:
    """Carries bytes between a port and the server's socket, and holds them back when told to."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._socket)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while piece := await source.read(65536):
                    await self._flows.wait()
                    target.write(piece)
                    await target.drain()
            except ConnectionError:
                pass
            finally:
                target.close()

        for one in (pump(reader, back), pump(there, writer)):
            task = asyncio.create_task(one)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class Load:
    """Sixteen clients that write to four threads.

    Every other one has a key for each message, and repeats what was answered 503 under it; the others have none, and
    go on with their next message, since nobody knows whether the last one was stored.
    """

    def __init__(self, http: httpx2.AsyncClient, threads: list[str]) -> None:
        self.http = http
        self.threads = threads
        self.acknowledged: dict[str, str] = {}
        self.away = 0
        self.longest = 0.0
        self.last_answer = time.monotonic()
        self.wrong: list[str] = []
        self._ends = asyncio.Event()
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]

    async def _write(self, writer: int) -> None:
        thread, number = self.threads[writer % len(self.threads)], 0
        while not self._ends.is_set():
            text = f"{writer}-{number}"
            body = {"role": "user", "content": text}
            begun = time.monotonic()
            headers = {"idempotency-key": text} if writer % 2 else {}
            reply = await self.http.post(f"/threads/{thread}/messages", json=body, headers=headers, timeout=60)
            self.longest = max(self.longest, time.monotonic() - begun)
            if reply.status_code == 200:
                self.acknowledged[text] = reply.json()["id"]
                self.last_answer = time.monotonic()
                number += 1
            elif reply.status_code == 503 and int(reply.headers["retry-after"]) >= 1:
                self.away += 1
                number += not headers
            else:
                self.wrong.append(f"{reply.status_code} {reply.text[:300]}")
                number += 1

    async def more(self, count: int = WRITERS) -> float:
        """Wait until so many more were answered; return the seconds that it took."""
        begun, wanted = time.monotonic(), len(self.acknowledged) + count
        async with asyncio.timeout(60):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.01)
        return time.monotonic() - begun

    async def end(self) -> None:
        self._ends.set()
        await asyncio.gather(*self._tasks)

    async def check(self, what: str, back: float | None) -> None:
        """Look at what is stored, and print the figures."""
        await self.end()
        stored: dict[str, str] = {}
        count = 0
        for thread in self.threads:
            after = None
            while True:
                query = {"order": "asc", "limit": "100", **({"after": after} if after else {})}
                page = (await self.http.get(f"/threads/{thread}/messages", params=query)).json()
                for one in page["data"]:
                    stored[one["content"][0]["text"]["value"]] = one["id"]
                    count += 1
                after = page["last_id"]
                if not page["has_more"]:
                    break
        lost = [text for text, id in self.acknowledged.items() if stored.get(text) != id]
        told = "" if back is None else f", back after {back:.1f} s"
        print(
            f"\n{what}: {len(self.acknowledged)} acknowledged, {len(lost)} lost, {count - len(stored)} doubled, "
            f"{self.away} times 503, longest {self.longest:.1f} s{told}"
        )
        assert not self.wrong, self.wrong[:3]
        assert not lost
        assert count == len(stored)
        assert self.longest < ANSWER + 2
        assert back is None or back < BACK


@asynccontextmanager
async def load_on(dsn: str, root: Path) -> AsyncIterator[Load]:
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    table = {"dsn": dsn, "wait_seconds": WAIT, "answer_seconds": ANSWER, "connect_seconds": 3, "max_connections": 8}
    jan = wired(
        root,
        {"jan-postgresql": table, "server": {"log_requests": False}},
        modules={"models-memory": "jan_core.testing.memory", **MODULES},
        backends=backends,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(jan)
        http = await stack.enter_async_context(client(jan))
        threads = [(await http.post("/threads", json={})).json()["id"] for _ in range(4)]
        load = Load(http, threads)
        try:
            await load.more()
            yield load
        finally:
            await load.end()


async def under(
    server: OwnServer, work: Path, what: str, fault: Callable[[Load], Awaitable[None]], rounds: int
) -> None:
    async with load_on(server.dsn, work / "root") as load:
        back = 0.0
        for _ in range(rounds):
            await fault(load)
            back = max(back, await load.more())
        await load.check(f"{what}, {rounds} times", back)


async def test_sessions_that_are_terminated(server: OwnServer, work: Path, full_counts: bool) -> None:
    async def fault(load: Load) -> None:
        async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as connection:
            await connection.execute(ENDED)

    await under(server, work, "sessions terminated", fault, 50 if full_counts else 5)


async def test_an_immediate_stop(server: OwnServer, work: Path, full_counts: bool) -> None:
    async def fault(load: Load) -> None:
        await asyncio.to_thread(server.control, "stop", "-m", "immediate", "-w")
        await asyncio.sleep(3 if full_counts else 1)  # for so long it is away
        await asyncio.to_thread(server.begin)

    await under(server, work, "stopped immediately and started again", fault, 10 if full_counts else 2)


async def test_a_killed_postmaster(server: OwnServer, work: Path, full_counts: bool) -> None:
    async def fault(load: Load) -> None:
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while server.pid() is not None:  # else it would count as running
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.begin)

    await under(server, work, "postmaster killed", fault, 10 if full_counts else 2)


async def test_no_connection_left(server: OwnServer, work: Path) -> None:
    async def fault(load: Load) -> None:
        others: list[psycopg.AsyncConnection[Any]] = []

        async def take() -> None:
            try:
                others.append(await psycopg.AsyncConnection.connect(server.dsn, autocommit=True))
            except psycopg.OperationalError:
                pass

        try:
            await take()
            async with asyncio.timeout(30):
                while await (await others[0].execute(ENDED)).fetchall():
                    await asyncio.gather(*(take() for _ in range(20)))
            await asyncio.sleep(WAIT + 1)  # for so long there is none
        finally:
            for one in others:
                await one.close()
        assert load.away > 0

    await under(server, work, "connection limit reached", fault, 1)


async def test_a_network_that_stalls(server: OwnServer, work: Path) -> None:
    socket = f"{conninfo_to_dict(server.dsn)['host']}/.s.PGSQL.5432"
    async with Proxy(str(socket)).running() as proxy:
        dsn = make_conninfo(server.dsn, host="127.0.0.1", port=proxy.port)
        async with load_on(dsn, work / "root") as load:
            proxy.stall()
            await asyncio.sleep(10)  # the stall
            before = load.away
            proxy.flow()
            back = await load.more()
            assert before > 0
            await load.check("a network that stalls for 10 s", back)


def test_what_is_served_while_the_database_is_away(work: Path) -> None:
    """A server starts without its database, tells so at once, and goes on when the database is there."""
    own = OwnServer(work / "postgresql")
    own.start()
    dsn = own.dsn
    own.leave()

    async def run() -> Any:
        backends = {one.name: one for one in entry_points(group="jan.backends")}
        table = {"dsn": dsn, "wait_seconds": 1.0, "answer_seconds": 2.0}
        modules = {"models-memory": "jan_core.testing.memory", **MODULES}
        jan = wired(work / "root", {"jan-postgresql": table}, modules=modules, backends=backends)
        async with jan, client(jan) as http:
            away = await http.get("/threads")
            assert (away.status_code, away.json()["error"]["code"]) == (503, "storage_unavailable")
            assert int(away.headers["retry-after"]) >= 1
            await asyncio.to_thread(own.start)
            async with asyncio.timeout(BACK):
                while (await http.get("/threads")).status_code != 200:
                    await asyncio.sleep(0.05)
            assert (await http.get("/assistants/jan")).status_code == 200

    asyncio.run(run())
    own.leave()
