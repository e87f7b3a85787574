"""Appending and listing in PostgreSQL: against bare routes with one statement, and at a million against a thousand."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from jan_postgresql.own_server import OwnServer

from tests.benchmarks.client import Connection, get, post
from tests.benchmarks.common import Bench, Pairs, Row
from tests.benchmarks.load import Load, load, told
from tests.benchmarks.messages import BODY, alternating, path_of
from tests.benchmarks.processes import Server, jan_serve, reference, serving

ABOUT = "postgresql: append and newest 20, against bare routes with one statement, and at a million against a thousand"
MANY, FEW = 1_000_000, 1_000
CLIENTS, NEWEST = 16, 20
SECONDS = 1.0
PAIRS = 16
CONFIG = """
[endpoints]
assistants = "assistants-postgresql"
threads = "threads-postgresql"
messages = "messages-postgresql"
runs = []
[jan-postgresql]
dsn = {dsn}
[server]
log_requests = false
"""
FILL_MESSAGES = """INSERT INTO jan.messages
        (thread_id, place, id, created_at, completed_at, role, status, content, attachments, metadata)
    SELECT %s, nextval('jan.message_places'), 'msg_' || md5(n::text), n, n, 'user', 'completed', %s::json, '[]', '{}'
    FROM generate_series(1, %s) AS n"""
FILL_THREADS = """INSERT INTO jan.threads (id, created_at, fields)
    SELECT 'jan-' || n || '-' || md5(n::text), n, '{"metadata":{}}' FROM generate_series(1, %s) AS n"""
CONTENT = json.dumps([{"type": "text", "text": {"value": BODY["content"], "annotations": []}}])


def run(bench: Bench) -> list[Row]:
    """Six figures."""
    server = OwnServer(bench.folder / "postgresql")
    server.start()
    try:
        with _jan(bench, server.dsn, "jan") as jan:
            thread = _made(jan)
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                connection.execute("CREATE TABLE bare_messages (LIKE jan.messages INCLUDING ALL)")
            rows = [*_against_bare(bench, jan, server.dsn, thread), *_many_messages(bench, jan, server.dsn)]
        return [*rows, *_many_threads(bench, server)]
    finally:
        server.leave()


@contextmanager
def _jan(bench: Bench, dsn: str, name: str) -> Iterator[Server]:
    root: Path = bench.folder / name
    root.mkdir()
    (root / "jan.toml").write_text(CONFIG.format(dsn=json.dumps(dsn)))
    with serving(jan_serve(root), bench.folder / f"{name}.log") as jan:
        yield jan


def _asked(jan: Server, request: bytes) -> bytes:
    connection = Connection(jan.port)
    try:
        return connection.ask(request)
    finally:
        connection.close()


def _made(jan: Server) -> str:
    return str(json.loads(_asked(jan, post("/v1/threads", {})))["id"])


def _against_bare(bench: Bench, jan: Server, dsn: str, thread: str) -> list[Row]:
    for _ in range(NEWEST):
        _asked(jan, post(path_of(thread), BODY))
    rows = []
    with serving(reference("inserting", dsn, thread), bench.folder / "inserting.log") as bare:
        for _ in range(NEWEST):
            _asked(bare, post("/messages", BODY))
        for what, ours, theirs, threshold in (
            (f"append, {CLIENTS} clients, requests/s, ratio to a bare route with one INSERT",
             post(path_of(thread), BODY), post("/messages", BODY), 0.5),
            (f"newest {NEWEST}, {CLIENTS} clients, requests/s, ratio to a bare route with one SELECT",
             get(f"{path_of(thread)}?limit={NEWEST}"), get("/messages"), 0.4),
        ):  # fmt: skip
            bench.say(what)
            rows.append(_rates(bench, what, (jan, ours), (bare, theirs), threshold))
    return rows


def _rates(bench: Bench, what: str, ours: tuple[Server, bytes], theirs: tuple[Server, bytes], threshold: float) -> Row:
    loads: dict[str, list[Load]] = {"jan": [], "bare": []}

    def measured(name: str, server: Server, request: bytes) -> float:
        loads[name].append(load(server, request, connections=CLIENTS, seconds=SECONDS))
        return loads[name][-1].rate

    load(*ours, connections=CLIENTS), load(*theirs, connections=CLIENTS)
    pairs = bench.pairs(lambda _: measured("jan", *ours), lambda _: measured("bare", *theirs), PAIRS)
    return pairs.row(what, threshold, unit="/s", remark=told(loads["jan"], loads["bare"]))


def _many_messages(bench: Bench, jan: Server, dsn: str) -> list[Row]:
    bench.say(f"writing a thread of {MANY} messages, and one of {FEW}")
    many, few = _made(jan), _made(jan)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for thread, count in ((many, MANY), (few, FEW)):
            connection.execute(FILL_MESSAGES, [thread, CONTENT, count])
        connection.execute("VACUUM ANALYZE jan.messages")
        connection.execute("CHECKPOINT")
    rows = []
    for what, large, small in (
        ("append", post(path_of(many), BODY), post(path_of(few), BODY)),
        (f"newest {NEWEST}", get(path_of(many)), get(path_of(few))),
    ):
        bench.say(f"{what} at {MANY} messages, and at {FEW}")
        blocks = alternating(bench, jan, large, [small])
        rows.append(_row(f"{what} at {MANY:,} messages in one thread, ratio to at {FEW:,}", blocks))
    return rows


def _many_threads(bench: Bench, server: OwnServer) -> list[Row]:
    """Two databases: one with many threads, one with few."""
    servers = []
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE few")
    few_dsn = psycopg.conninfo.make_conninfo(server.dsn, dbname="few")
    with _jan(bench, server.dsn, "many") as many, _jan(bench, few_dsn, "few") as few:
        for one, dsn, count in ((many, server.dsn, MANY), (few, few_dsn, FEW)):
            bench.say(f"writing {count} threads")
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(FILL_THREADS, [count])
                connection.execute("VACUUM ANALYZE jan.threads")
                connection.execute("CHECKPOINT")
            servers.append((one, _made(one)))
        rows = []
        for what, requests in (
            ("append", [post(path_of(thread), BODY) for _, thread in servers]),
            (f"newest {NEWEST} threads", [get("/v1/threads")] * 2),
        ):
            bench.say(f"{what} at {MANY} threads, and at {FEW}")
            blocks = alternating(bench, many, requests[0], [requests[1]], few)
            rows.append(_row(f"{what} at {MANY:,} threads, ratio to at {FEW:,}", blocks))
        return rows


def _row(what: str, blocks: Sequence[tuple[list[float], list[float]]]) -> Row:
    pairs = Pairs([statistics.median(one) for one, _ in blocks], [statistics.median(one) for _, one in blocks])
    return pairs.row(what, 1.2, unit=" ms", at_least=False)
