"""What a request costs the database: its statements, listed; none has more when there is more to look through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jan_postgresql.testing import dsn_for, log_statements, statements_of

from jan_core.inprocess import client
from jan_core.testing.wired import wired

pytestmark = pytest.mark.anyio

MODULES = {
    "models-memory": "jan_core.testing.memory",
    "assistants-postgresql": "jan_assistants_postgresql",
    "threads-postgresql": "jan_threads_postgresql",
    "messages-postgresql": "jan_messages_postgresql",
}
SAID: dict[str, Any] = {"role": "user", "content": "hello"}
CHECK = "SELECT jan.threads"
ONE = ["SELECT jan.messages"]
COSTS: list[tuple[str, str, Any, str | None, list[str]]] = [
    ("POST", "/threads", {}, None, ["WITH jan.threads"]),
    ("POST", "/threads", {"metadata": {"a": "b"}}, None, ["WITH jan.threads"]),
    (
        "POST",
        "/threads",
        {"title": "k"},
        "k",
        ["SELECT jan.replies", "BEGIN", "INSERT jan.replies", "WITH jan.threads", "COMMIT"],
    ),
    ("POST", "/threads", {"title": "k"}, "k", ["SELECT jan.replies"]),
    (
        *("POST", "/threads", {"messages": [SAID] * 3}, None),
        [
            "INSERT jan.threads",
            *("BEGIN", "SELECT", "DELETE jan.messages", "INSERT jan.messages", "COMMIT"),
            "WITH jan.threads",
        ],
    ),
    ("GET", "/threads/{thread}", None, None, ["SELECT jan.threads"]),
    ("GET", "/threads", None, None, ["SELECT jan.threads"]),
    ("GET", "/threads?metadata[a]=b", None, None, ["SELECT jan.thread_labels"]),
    ("GET", "/threads?after={thread}", None, None, ["SELECT jan.threads"] * 2),
    (
        "POST",
        "/threads/{thread}",
        {"title": "x"},
        None,
        ["BEGIN", "SELECT jan.threads", "UPDATE jan.threads", "COMMIT"],
    ),
    ("POST", "/threads/{thread}/messages", SAID, None, [CHECK, "INSERT jan.messages"]),
    ("POST", "/threads/{thread}/messages", SAID, "k", [CHECK, "WITH jan.replies"]),
    ("POST", "/threads/{thread}/messages", SAID, "k", [CHECK, "WITH jan.replies", "SELECT jan.replies"]),
    ("GET", "/threads/{thread}/messages", None, None, [CHECK, *ONE]),
    ("GET", "/threads/{thread}/messages?after={message}", None, None, [CHECK, *ONE, *ONE]),
    ("GET", "/threads/{thread}/messages/{message}", None, None, [CHECK, *ONE]),
    ("POST", "/threads/{thread}/messages/{message}", {"metadata": {"a": "b"}}, None, [CHECK, "UPDATE jan.messages"]),
    ("DELETE", "/threads/{thread}/messages/{message}", None, None, [CHECK, "DELETE jan.messages"]),
    ("GET", "/assistants/jan", None, None, ["SELECT jan.assistants"]),
    ("GET", "/assistants", None, None, ["SELECT jan.assistants"]),
    ("POST", "/assistants", {"model": "m"}, None, ["INSERT jan.assistants"]),
    ("POST", "/assistants", {"model": "m"}, "k", ["WITH jan.replies"]),
    (
        "POST",
        "/assistants/jan",
        {"name": "x"},
        None,
        ["BEGIN", "SELECT jan.assistants", "UPDATE jan.assistants", "COMMIT"],
    ),
]


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    dsn = dsn_for(tmp_path)
    log_statements(dsn)
    tables = {"jan-postgresql": {"dsn": dsn}, "server": {"log_requests": False}}
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    jan = wired(tmp_path / "root", tables, modules=MODULES, backends=backends)
    async with jan, client(jan) as found:
        yield found


@pytest.mark.parametrize("many", [0, 60])
async def test_the_statements_of_each_request(http: httpx2.AsyncClient, tmp_path: Path, many: int) -> None:
    dsn = dsn_for(tmp_path)
    thread = (await http.post("/threads", json={"messages": [SAID]})).json()["id"]
    message = (await http.post(f"/threads/{thread}/messages", json=SAID)).json()["id"]
    for number in range(many):
        await http.post(f"/threads/{thread}/messages", json=SAID)
        await http.post("/threads", json={"metadata": {"a": "b", "n": f"{number}"}})
        await http.post("/assistants", json={"model": "m"})
    told = []
    for method, path, body, key, _ in COSTS:
        headers = {"idempotency-key": key} if key else {}
        where = path.format(thread=thread, message=message)

        async def ask(method: str = method, where: str = where, body: Any = body, headers: Any = headers) -> None:
            reply = await http.request(method, where, json=body, headers=headers)
            assert reply.status_code == 200, reply.text

        told.append((method, path, await statements_of(dsn, ask)))
    assert told == [(method, path, costs) for method, path, _, _, costs in COSTS]
