"""What a request costs where several Jan servers share a database, against servers that each have one to themselves.

Either side has as many servers with as much to do, so that the processors are as busy: what differs is that they share.

    python -m tests.benchmarks.replicas SECONDS < requests

is the client, in a process of its own, given the request for each port as JSON. It prints one line of JSON: how many
requests were answered.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import uvloop
from jan_postgresql.own_server import OwnServer
from typing_extensions import override

from tests.benchmarks.client import Connection, get, post
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.load import Asking
from tests.benchmarks.messages import BODY, path_of
from tests.benchmarks.processes import HOUSE, Server, jan_serve, python, serving, with_children

ABOUT = "replicas: CPU that a request costs with four servers on one database, against with a database each"
REPLICAS, CLIENTS, NEWEST = 4, 4, 20
"""Servers, clients of each, and messages of a page."""
RATE = 75
"""Requests a second of each server: together they leave the processors time."""
SECONDS = 4.0
PAIRS = 12
CONFIG = """
[endpoints]
assistants = "assistants-postgresql"
threads = "threads-postgresql"
messages = "messages-postgresql"
runs = "runs-postgresql"
[jan-postgresql]
dsn = {dsn}
[server]
log_requests = false
"""


@dataclass(frozen=True)
class Replica:
    """A server, and a thread that it may be asked for."""

    server: Server
    thread: str


@dataclass(frozen=True)
class Side:
    """Servers and their databases.

    Attributes:
        replicas: Jan's servers.
        databases: the first process of each database.
    """

    replicas: Sequence[Replica]
    databases: Sequence[int]

    def cost(self, append: bool) -> float:
        """Microseconds of CPU a request, of all servers and databases."""
        pids = [*(one.server.pid for one in self.replicas), *self.databases]
        asked = {one.server.port: _request(one.thread, append).decode() for one in self.replicas}
        before = sum(map(with_children, pids))
        command = python("-m", "tests.benchmarks.replicas", str(SECONDS))
        given = json.dumps(asked).encode()
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=60, cwd=HOUSE)
        return (sum(map(with_children, pids)) - before) / json.loads(done.stdout)["answered"] * 1_000_000


def run(bench: Bench) -> list[Row]:
    """Two figures: of an append, and of the newest messages."""
    with ExitStack() as stack:
        database = _database(bench, stack, "shared")
        first = _replica(bench, stack, "shared-0", database)
        others = [_replica(bench, stack, f"shared-{n}", database, first.thread) for n in range(1, REPLICAS)]
        shared = Side([first, *others], [_pid(database)])
        own = [_database(bench, stack, f"own-{number}") for number in range(REPLICAS)]
        alone = Side([_replica(bench, stack, f"alone-{n}", own[n]) for n in range(REPLICAS)], [*map(_pid, own)])
        rows = []
        for what, append in (("append", True), (f"newest {NEWEST}", False)):
            bench.say(what)
            shared.cost(append), alone.cost(append)
            pairs = bench.pairs(
                lambda _, append=append: shared.cost(append),  # type: ignore[misc]
                lambda _, append=append: alone.cost(append),  # type: ignore[misc]
                PAIRS,
            )
            named = f"{what}: CPU a request of {REPLICAS} servers on one database, ratio to on one each"
            rows.append(pairs.row(named, 1.1, unit=" us", at_least=False))
        return rows


def _request(thread: str, append: bool) -> bytes:
    return post(path_of(thread), BODY) if append else get(f"{path_of(thread)}?limit={NEWEST}")


def _database(bench: Bench, stack: ExitStack, name: str) -> OwnServer:
    database = OwnServer(bench.folder / f"{name}-postgresql")
    database.start()
    stack.callback(database.leave)
    return database


def _pid(database: OwnServer) -> int:
    pid = database.pid()
    assert pid is not None
    return pid


def _replica(bench: Bench, stack: ExitStack, name: str, database: OwnServer, thread: str = "") -> Replica:
    """A server on a database, and a thread with a page of messages, which is made where none is named."""
    root = bench.folder / name
    root.mkdir()
    (root / "jan.toml").write_text(CONFIG.format(dsn=json.dumps(database.dsn)))
    server = stack.enter_context(serving(jan_serve(root), bench.folder / f"{name}.log"))
    if not thread:
        connection = Connection(server.port)
        thread = str(json.loads(connection.ask(post("/v1/threads", {})))["id"])
        for _ in range(NEWEST):
            connection.ask(_request(thread, append=True))
        connection.close()
    return Replica(server, thread)


class Pacing(Asking):
    """A connection that asks when it is told to."""

    def __init__(self, request: bytes, failed: asyncio.Future[None]) -> None:
        super().__init__(request, failed)
        self._asked = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's derives from nothing

    @override
    def go_on(self, transport: asyncio.Transport) -> None:
        if self._asked > self.answered:
            transport.write(self.request)

    def ask(self) -> None:
        """Ask once more, as soon as what was asked before is answered."""
        assert self._transport is not None
        self._asked += 1
        if self._asked == self.answered + 1:
            self._transport.write(self.request)


async def _ask(asked: dict[str, str], seconds: float) -> dict[str, int]:
    """Ask servers in turn, each request at its time; a client that is still waiting asks as soon as it is answered.

    Args:
        asked: the request for each port.
        seconds: how long.
    """
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    clients = []
    for _ in range(CLIENTS):
        for port, request in asked.items():
            client = Pacing(request.encode(), failed)
            await loop.create_connection(lambda client=client: client, "127.0.0.1", int(port))  # type: ignore[misc]
            clients.append(client)
    rate = RATE * len(asked)
    began, count = loop.time(), round(seconds * rate)
    for number in range(count):
        await asyncio.wait({failed}, timeout=max(0.0, began + number / rate - loop.time()))
        clients[number % len(clients)].ask()
    while not failed.done() and sum(one.answered for one in clients) < count:
        await asyncio.wait({failed}, timeout=0.01)
    if failed.done():
        failed.result()
    return {"answered": count}


if __name__ == "__main__":
    try:
        found = uvloop.run(_ask(json.load(sys.stdin), float(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps(found))
