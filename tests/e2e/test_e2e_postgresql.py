"""Several servers on one root with its own PostgreSQL: any of them serves any request, and the last one stops it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
from jan_postgresql.own_server import OwnServer
from jan_postgresql.testing import dsn_for
from psycopg.conninfo import make_conninfo

from tests.e2e.server import JanServer, run_jan, until, write_config

ENDPOINTS: dict[str, Any] = {
    **{name: [] for name in ("chat", "completions", "embeddings", "runs")},
    **{name: f"{name}-postgresql" for name in ("assistants", "threads", "messages")},
}

SAID = {"role": "user", "content": "hello"}


def status(server: JanServer, path: str) -> int:
    return httpx2.get(f"http://127.0.0.1:{server.port}/v1{path}", timeout=30).status_code


def test_three_servers_that_start_at_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_config(root, endpoints=ENDPOINTS)
    own = OwnServer(root / "postgresql")
    with ThreadPoolExecutor(3) as at_once:
        servers = list(at_once.map(lambda _: JanServer(root), range(3)))
    try:
        first, second, third = servers
        made = httpx2.post(f"http://127.0.0.1:{first.port}/v1/threads", json={"messages": [SAID]}, timeout=30).json()
        path = f"/threads/{made['id']}/messages"
        assert [status(server, path) for server in servers] == [200, 200, 200]
        first.process.kill()
        first.process.wait()
        assert status(second, path) == 200
        second.process.terminate()
        assert second.process.wait(30) == 0
        assert status(third, path) == 200
        pid = own.pid()
        assert pid is not None
        own.control("stop", "-m", "immediate")
        until(lambda: own.pid() not in (None, pid), 30, "the database runs again")
        until(lambda: status(third, path) == 200, 30, "a request is answered again")
        third.process.terminate()
        assert third.process.wait(30) == 0
        assert own.pid() is None
    finally:
        for server in servers:
            server.close()


def test_a_server_that_cannot_use_its_database_says_why(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dsn = make_conninfo(dsn_for(tmp_path), dbname="nothing")
    write_config(root, endpoints=ENDPOINTS, jan_postgresql={"dsn": dsn})
    told = run_jan("serve", "--root", str(root), "--port", "0")
    assert told.returncode == 2
    assert 'database "nothing" does not exist' in told.stderr
    assert "jan.toml, line" in told.stderr
    assert "Traceback" not in told.stderr
