"""All four modules on PostgreSQL in one app, over HTTP: what people send, and a newer version beside it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from jan_postgresql.migrations import OWN, Migration, migrate, migrations_of
from jan_postgresql.testing import dsn_for

from jan_core.app import Jan
from jan_core.inprocess import client
from jan_core.testing.wired import wired

pytestmark = pytest.mark.anyio

NAMES = ("assistants", "threads", "messages", "runs")
MODULES = {
    "models-memory": "jan_core.testing.memory",
    "chat-scripted": "jan_core.testing.scripted",
    **{f"{name}-postgresql": f"jan_{name}_postgresql" for name in NAMES},
}
OWNERS = (("jan-postgresql", OWN), *((f"{name}-postgresql", f"jan_{name}_postgresql") for name in NAMES))
PLANES = [
    "".join(chr(plane << 16 | low) for low in (0, 1, 0x41, 0x3FF, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF))
    for plane in range(17)
]
"""The first and last characters of each plane of Unicode, and some between; the first has a NUL."""
HALVES = ("\\ud800", "\\udfff", "a\\ud83d", "\\ude00\\ud83d")
"""Halves of characters, as JSON; no text has them."""


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return dsn_for(tmp_path)


def app(folder: Path, dsn: str) -> Jan:
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    tables = {"jan-postgresql": {"dsn": dsn}, "server": {"log_requests": False}}
    return wired(folder, tables, modules=MODULES, backends=backends)


@pytest.fixture
async def http(tmp_path: Path, dsn: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with app(tmp_path / "root", dsn) as jan, client(jan) as found:
        yield found


async def made(http: httpx2.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    """What was stored, and is read again as it was answered."""
    answer = await http.post(path, json=fields)
    assert answer.status_code == 200, answer.text[:300]
    found: dict[str, Any] = answer.json()
    return found


async def read(http: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text[:300]
    found: dict[str, Any] = answer.json()
    return found


async def stored_everywhere(http: httpx2.AsyncClient, text: str) -> None:
    """Store a text in every field of every object that takes one, and read all of them."""
    pairs = {text[:64]: text[:512], "own": text[:512]}
    fields: dict[str, Any] = {"name": text[:256], "description": text[:512], "instructions": text, "metadata": pairs}
    assistant = await made(http, "/assistants", model="scripted", **fields)
    thread = await made(http, "/threads", title=text[:512], metadata=pairs, parameters={"stop": text[:20], "own": text})
    path = f"/threads/{thread['id']}"
    message = await made(http, f"{path}/messages", role="user", content=text, metadata=pairs)
    more = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    asked = {"instructions": text, "metadata": pairs, "additional_messages": more, "tools": []}
    run = await made(http, f"{path}/runs", assistant_id=assistant["id"], **asked)
    while (told := await read(http, f"{path}/runs/{run['id']}"))["status"] in ("queued", "in_progress"):
        await asyncio.sleep(0.02)
    found = await read(http, f"/assistants/{assistant['id']}")
    assert {name: found[name] for name in fields} == fields
    found = await read(http, path)
    assert (found["title"], found["metadata"], found["parameters"]["own"]) == (text[:512], pairs, text)
    assert (told["instructions"], told["metadata"]) == (text, pairs)
    listed = (await read(http, f"{path}/messages?order=asc"))["data"]
    assert [one["content"][0]["text"]["value"] for one in listed[:2]] == [text, text]
    assert listed[0] == message
    steps = (await read(http, f"{path}/runs/{run['id']}/steps"))["data"]
    assert all(one["run_id"] == run["id"] for one in steps)
    for listing in ("/assistants", "/threads", f"{path}/runs"):
        await read(http, listing)


@pytest.mark.parametrize("text", PLANES, ids=[f"plane-{number}" for number in range(17)])
async def test_characters_of_every_plane(http: httpx2.AsyncClient, text: str) -> None:
    await stored_everywhere(http, text)


@pytest.mark.parametrize("character", ["a", "\0", "\U0001f600", "\\", '"'])
async def test_the_longest_texts(http: httpx2.AsyncClient, character: str) -> None:
    await stored_everywhere(http, character * 200_000)


async def test_a_message_of_a_megabyte_is_stored_in_parts_and_refused_as_one_text(http: httpx2.AsyncClient) -> None:
    thread = (await made(http, "/threads"))["id"]
    path = f"/threads/{thread}/messages"
    parts = [{"type": "text", "text": "x\0" * 125_000}] * 4
    message = await made(http, path, role="user", content=parts)
    assert await read(http, f"{path}/{message['id']}") == message
    assert (await http.post(path, json={"role": "user", "content": "x" * 2**20})).status_code == 400
    for field in ("instructions", "name", "description"):
        body = {"model": "scripted", field: "x" * 2**20}
        assert (await http.post("/assistants", json=body)).status_code == 400
    assert (await http.post("/threads", json={"title": "x" * 2**20})).status_code == 400
    for where in (f"/threads/{thread}/runs", "/threads/runs"):
        body = {"assistant_id": "jan", "metadata": {"a": "x" * 2**20}}
        assert (await http.post(where, json=body)).status_code == 400


@pytest.mark.parametrize("half", HALVES)
async def test_half_a_character_is_refused_wherever_it_stands(http: httpx2.AsyncClient, half: str) -> None:
    thread = (await made(http, "/threads"))["id"]
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/assistants", {"model": "scripted", "instructions": "HALF"}),
        ("/assistants", {"model": "scripted", "metadata": {"HALF": "a"}}),
        ("/threads", {"title": "HALF"}),
        ("/threads", {"parameters": {"own": {"HALF": 1}}}),
        ("/threads", {"metadata": {"a": "HALF"}}),
        (f"/threads/{thread}/messages", {"role": "user", "content": "HALF"}),
        (f"/threads/{thread}/messages", {"role": "user", "content": "a", "metadata": {"a": "HALF"}}),
        (f"/threads/{thread}/runs", {"assistant_id": "HALF"}),
        (f"/threads/{thread}/runs", {"assistant_id": "jan", "instructions": "HALF"}),
        (f"/threads/{thread}", {"title": "HALF"}),
    ]
    for path, body in bodies:
        text = json.dumps(body).replace("HALF", half)
        answer = await http.post(path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 400, (path, body, answer.text[:300])


async def test_ids_and_keys_that_no_column_holds(http: httpx2.AsyncClient) -> None:
    thread = (await made(http, "/threads"))["id"]
    for id in ("%00", "a%00b", "%ED%A0%80", "%FF", "%F0%9F%98%80"):
        for path in (f"/assistants/{id}", f"/threads/{id}", f"/threads/{thread}/messages/{id}"):
            assert (await http.get(path)).status_code in (400, 404)
        assert (await http.get(f"/threads/{thread}/runs/{id}")).status_code in (400, 404)
        for listing in ("/assistants", "/threads", f"/threads/{thread}/messages", f"/threads/{thread}/runs"):
            assert (await http.get(f"{listing}?after={id}")).status_code == 400


# What a newer version may bring: it adds, and takes nothing away.
NEWER = [
    Migration(
        f"{name}-postgresql",
        99,
        "0099_newer.sql",
        f"ALTER TABLE jan.{name} ADD COLUMN newer json, ADD COLUMN counted bigint NOT NULL DEFAULT 1;"
        f"CREATE INDEX {name}_newer ON jan.{name} (counted);",
    )
    for name in NAMES
]


async def test_an_old_replica_goes_on_while_a_newer_one_brings_its_tables(tmp_path: Path, dsn: str) -> None:
    """Writers and readers of an old version meanwhile; and it starts again on the newer tables."""
    async with app(tmp_path / "root", dsn) as jan, client(jan) as http:
        assistant = (await made(http, "/assistants", model="scripted"))["id"]
        over = asyncio.Event()

        async def use(writer: int) -> int:
            count = 0
            while not over.is_set() or count < 20:
                thread = (await made(http, "/threads", title=f"{writer}", metadata={"n": f"{count}"}))["id"]
                path = f"/threads/{thread}/messages"
                said = await made(http, path, role="user", content=f"{writer}-{count}")
                assert (await read(http, path))["data"] == [said]
                await made(http, f"/assistants/{assistant}", metadata={"n": f"{count}"})
                await made(http, f"/threads/{thread}", title="changed")
                await read(http, "/threads")
                count += 1
            return count

        async def bring() -> None:
            try:
                async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                    wanted = [one for owner in OWNERS for one in migrations_of(*owner)]
                    assert await migrate(connection, [*wanted, *NEWER]) == NEWER
            finally:
                over.set()

        await asyncio.gather(*(use(writer) for writer in range(4)), bring())
        await stored_everywhere(http, "after it")
    async with app(tmp_path / "again", dsn) as jan, client(jan) as http:
        await stored_everywhere(http, "started on newer tables")


@pytest.mark.parametrize("owner", OWNERS, ids=[owner for owner, _ in OWNERS])
def test_a_migration_takes_nothing_from_an_older_version(owner: tuple[str, str]) -> None:
    """Replicas are replaced one by one: the older ones read and write the newer tables meanwhile."""
    for one in migrations_of(*owner):
        text = re.sub(r"--.*", "", files(owner[1]).joinpath("migrations", one.name).read_text("utf-8"))
        for forbidden in (r"\bDROP\b", r"\bRENAME\b", r"\bTYPE\b", r"\bSET NOT NULL\b", r"\bTRUNCATE\b"):
            assert re.search(forbidden, text, re.IGNORECASE) is None, (one.name, forbidden)
        for added in re.findall(r"ADD (?:COLUMN|CONSTRAINT)[^,;]*", text, re.IGNORECASE):
            assert "NOT NULL" not in added or "DEFAULT" in added, (one.name, added)
            assert not re.search(r"\b(CHECK|UNIQUE|REFERENCES|CONSTRAINT)\b", added), (one.name, added)
