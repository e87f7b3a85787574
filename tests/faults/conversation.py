"""Assistants, threads and messages on the modules that keep them in the root: opened, asked, and read as a whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from jan_core.app import Jan
from jan_core.inprocess import client
from jan_core.testing.wired import wired

MODULES = {
    "models-memory": "jan_core.testing.memory",
    "assistants-json": "jan_assistants_json",
    "threads-json": "jan_threads_json",
    "messages-json": "jan_messages_json",
}
REFERENCE = {
    "models-memory": "jan_core.testing.memory",
    "assistants-memory": "jan_core.testing.memory_assistants",
    "threads-memory": "jan_core.testing.memory_threads",
    "messages-memory": "jan_core.testing.memory_messages",
}
Kept = tuple[str, str, Any, str, Any]
Seen = Mapping[str, Any]
"""Everything that a client can see: `assistants` and `threads`, and the messages of each thread under its id."""


class Opened:
    """An app on a root, in a loop of its own, for the time of a `with`.

    Args:
        root: its root folder.
        append: how messages are appended: the setting of `messages-json`.
        modules: entry points of the modules.
        more: further tables of settings, such as that of a backend.
        runner: a loop to use, which stays open.

    Attributes:
        kept: what was asked under a key and answered: method, path, body, key, reply.
    """

    def __init__(
        self,
        root: Path,
        append: str = "in-place",
        modules: Mapping[str, str] = MODULES,
        runner: asyncio.Runner | None = None,
        more: Mapping[str, dict[str, Any]] = {},
    ) -> None:
        tables: dict[str, dict[str, Any]] = {"server": {"log_requests": False}, **more}
        if append != "in-place":
            tables["messages-json"] = {"append": append}
        self.jan: Jan = wired(
            root, tables, modules=modules, backends={one.name: one for one in entry_points(group="jan.backends")}
        )
        self._own = runner is None
        self._runner = runner or asyncio.Runner()
        self.kept: list[Kept] = []
        self._http = client(self.jan, base_url="http://localhost")

    def __enter__(self) -> Self:
        self._runner.run(self.jan.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run(self.jan.__aexit__(None, None, None))
        if self._own:
            self.abandon()

    def abandon(self) -> None:
        """Leave it as a process that is killed leaves it."""
        self._runner.close()

    def run(self, work: Any) -> Any:
        """Wait for something asynchronous."""
        return self._runner.run(work)

    def settle(self, is_dead: Callable[[], bool] = lambda: False) -> None:
        """Wait until deletions are finished, or this app is dead."""

        async def settled() -> None:
            work = asyncio.ensure_future(self.jan.reconciler.settled())
            while not is_dead() and not (await asyncio.wait([work], timeout=0.05))[0]:
                pass
            work.cancel()

        self.run(settled())

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> httpx2.Response:
        """Send a request."""
        headers = {} if key is None else {"idempotency-key": key}
        options = {} if body is None else {"json": body}
        reply = self.run(self._http.request(method, f"/v1{path}", headers=headers, params=query, **options))
        if key is not None and reply.status_code == 200:
            self.kept.append((method, path, body, key, reply.json()))
        return reply

    def get(self, path: str, **query: Any) -> Any:
        """The reply to a request that must work."""
        return good(self.ask("GET", path, **query))

    def post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        """The reply to a request that must work."""
        return good(self.ask("POST", path, body, key=key))

    def delete(self, path: str) -> Any:
        """The reply to a request that must work."""
        return good(self.ask("DELETE", path))

    def all(self, path: str) -> list[Any]:
        """All pages of a listing, oldest first."""
        found: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = self.get(path, limit=100, order="asc", **after)
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}

    def seen(self) -> Seen:
        """Everything that a client can see."""
        threads = self.all("/threads")
        messages = {thread["id"]: self.all(f"/threads/{thread['id']}/messages") for thread in threads}
        return {"assistants": self.all("/assistants"), "threads": threads, **messages}


class Refused(AssertionError):
    """A reply is an error, where one of success was wanted."""

    def __init__(self, reply: httpx2.Response) -> None:
        super().__init__(f"{reply.request.method} {reply.request.url}: {reply.status_code} {reply.text}")
        self.reply = reply


def good(reply: httpx2.Response) -> Any:
    """What a reply holds that must be one of success."""
    if reply.status_code != 200:
        raise Refused(reply)
    return reply.json()


def check_files(root: Path, *, but: Iterable[str] = ()) -> int:
    """Fail where a file of an object, or of messages, is not strictly JSON; returns how many there are."""
    found = 0
    for path in filter(Path.is_file, root.rglob("*.json")):
        shown = path.relative_to(root).as_posix()
        if shown in but or any(part.startswith(".") for part in shown.split("/")):
            continue
        with path.open(encoding="utf-8") as file:
            try:
                json.load(file, parse_constant=_refuse)
            except ValueError as error:
                raise AssertionError(f"{shown} is no JSON: {error}; it holds {path.read_bytes()[-400:]!r}") from None
        found += 1
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


Step = Callable[[Opened], Any]
"""One request, or several; what it returns is of no interest."""
