"""Two Starlette routes on PostgreSQL: one INSERT of a message's row, and one SELECT of the newest.

python -m tests.benchmarks.references.inserting DSN THREAD
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.references.lifetime import follow_stdin

INSERT = """INSERT INTO bare_messages
        (thread_id, place, id, created_at, completed_at, role, status, content, metadata)
    VALUES (%s, nextval('jan.message_places'), %s, %s, %s, %s, 'completed', %s, '{}')"""
SELECT = """SELECT id, created_at, completed_at, incomplete_at, role, status, assistant_id, run_id, content,
        attachments, incomplete_details, metadata
    FROM bare_messages WHERE thread_id = %s ORDER BY place DESC LIMIT %s"""
NAMES = (
    *("id", "created_at", "completed_at", "incomplete_at", "role", "status", "assistant_id", "run_id", "content"),
    *("attachments", "incomplete_details", "metadata"),
)


def main() -> None:
    """Serve on a free port until stdin ends."""
    follow_stdin()
    dsn, thread = sys.argv[1:]
    pool = AsyncConnectionPool(dsn, min_size=1, max_size=10, open=False, kwargs={"autocommit": True})

    async def insert(request: Request) -> Response:
        body = json.loads(await request.body())
        now, id = int(time.time()), "msg_" + secrets.token_hex(12)
        content = json.dumps([{"type": "text", "text": {"value": body["content"], "annotations": []}}])
        async with pool.connection() as connection:
            await connection.execute(INSERT, [thread, id, now, now, body["role"], content])
        return Response(json.dumps({"id": id, "created_at": now}), media_type="application/json")

    async def select(request: Request) -> Response:
        async with pool.connection() as connection:
            cursor = await connection.execute(SELECT, [thread, 20])
            rows = await cursor.fetchall()
        found = {"data": [dict(zip(NAMES, row, strict=True)) for row in rows]}
        return Response(json.dumps(found), media_type="application/json")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with pool:
            yield

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        routes = [Route("/messages", insert, methods=["POST"]), Route("/messages", select, methods=["GET"])]
        app = Starlette(routes=routes, lifespan=lifespan)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
