"""Hostile ids and names on every route, in every field of a request and of a file: no path leaves the root."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jan_core.endpoints.assistants import Assistants
from jan_core.endpoints.messages import Messages
from jan_core.endpoints.threads import Threads
from jan_core.errors import JanError
from jan_core.folder.names import is_name
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message
from jan_core.schemas.threads import Thread
from tests.faults.conversation import Opened, check_files
from tests.faults.hostile import names

pytestmark = pytest.mark.faults

SECRET = "what lies outside of the root"
OPERATIONS = [
    one
    for endpoint in (Assistants, Threads, Messages)
    for one in endpoint.operations().values()
    if one.path and not one.stream
]
BODIES: dict[str, Any] = {
    "assistants.create": {"model": "m"},
    "assistants.update": {"name": "changed"},
    "threads.create": {},
    "threads.update": {"title": "changed"},
    "messages.create": {"role": "user", "content": "x"},
    "messages.update": {"metadata": {"changed": "yes"}},
}


class Guarded:
    """An app whose root has neighbours that look like what it keeps, and that nobody may read or change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "deep" / "root"
        secret = {"id": "secret", "object": "thread", "created_at": 1, "metadata": {"secret": SECRET}}
        message = {**secret, "object": "thread.message", "role": "user", "thread_id": "secret", "content": []}
        for place in (folder, folder / "deep", folder / "deep" / "threads"):
            target = place / "secret"
            target.mkdir(parents=True)
            (target / "thread.json").write_text(json.dumps(secret))
            (target / "assistant.json").write_text(json.dumps({**secret, "object": "assistant", "model": SECRET}))
            (target / "model.json").write_text(json.dumps({"id": SECRET}))
            (target / "messages.json").write_text(json.dumps([message]))
        self.app = Opened(self.root)
        self.statuses: dict[int, int] = {}

    def start(self) -> None:
        self.app.__enter__()
        body = {"messages": [{"role": "user", "content": "mine"}], "title": "mine"}
        self.thread = self.app.post("/threads", body)
        self.assistant = self.app.post("/assistants", {"model": "m", "name": "mine"})
        self.message = self.app.all(f"/threads/{self.thread['id']}/messages")[0]
        self.outside = self.look_outside()

    def look_outside(self) -> dict[str, str]:
        """What lies around the root, and its content."""
        found = {}
        for path in self.folder.rglob("*"):
            if not path.is_relative_to(self.root):
                content = b"" if path.is_dir() else path.read_bytes()
                found[str(path)] = hashlib.sha256(content).hexdigest()
        return found

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        reply = self.app.ask(method, path, body, **options)
        self.statuses[reply.status_code] = self.statuses.get(reply.status_code, 0) + 1
        assert reply.status_code < 500, (method, path, body, options, reply.text)
        assert SECRET not in reply.text, (method, path, body, options)
        if reply.status_code >= 400:
            assert [*reply.json()["error"]] == ["message", "type", "param", "code"], reply.text
            assert len(reply.content) < 20_000
        return reply

    def check(self) -> None:
        """Nothing outside was touched, nothing inside hidden, and no odd name made."""
        assert self.look_outside() == self.outside
        assert self.thread in self.app.all("/threads")
        assert self.assistant in self.app.all("/assistants")
        assert self.app.all(f"/threads/{self.thread['id']}/messages") == [self.message]
        for path in self.root.rglob("*"):
            parts = path.relative_to(self.root).parts
            assert path.resolve().is_relative_to(self.root.resolve())
            hidden = [part for part in parts if part.startswith(".")]
            assert hidden or all(is_name(part) for part in parts), path
        check_files(self.root)


@pytest.fixture
def guarded(work: Path) -> Iterator[Guarded]:
    made = Guarded(work)
    made.start()
    yield made
    made.app.settle()
    made.check()
    made.app.__exit__(None, None, None)


def in_url(name: str, chance: random.Random) -> str:
    """A name as a part of a URL's path: quoted as it should be, or only as far as it must be to arrive."""
    raw = name.encode("utf-8", "surrogatepass")
    if chance.random() < 0.7:
        return quote(raw, safe="").replace(".", "%2E")
    return quote(raw, safe="/.;:%\\")


def test_hostile_ids_on_every_route(guarded: Guarded, full_counts: bool) -> None:
    chance, asked = random.Random(2), 0
    with_ids = [one for one in OPERATIONS if one.path and "{" in one.path]
    assert len(with_ids) >= 11
    everywhere = itertools.cycle(with_ids)
    for name in names(10_000 if full_counts else 400, "secret"):
        operation = next(everywhere)
        assert operation.path is not None
        fields = re.findall(r"\{(\w+)\}", operation.path)
        hostile = chance.choice(fields)
        path = operation.path.removeprefix("/v1")
        good = {"thread_id": guarded.thread["id"], "assistant_id": guarded.assistant["id"], "message_id": "msg_none"}
        for field in fields:
            path = path.replace(f"{{{field}}}", in_url(name, chance) if field == hostile else good[field])
        deletes_for_real = operation.method == "DELETE" and name in (guarded.thread["id"], guarded.assistant["id"])
        assert not deletes_for_real
        guarded.ask(operation.method, path, BODIES.get(operation.qualified))
        asked += 1
        if asked % 500 == 0:
            guarded.check()
    print(f"\n{asked} hostile ids on {len(with_ids)} routes: {guarded.statuses}; 0 paths left the root, 0 of 5xx")


def fields_of(guarded: Guarded) -> list[Callable[[str], Any]]:
    """Every field of a request that is, or may become, a name or a path."""
    thread, ask = f"/threads/{guarded.thread['id']}", guarded.ask
    text = {"role": "user", "content": "x"}
    body = {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "x"}}]}

    def of_message(name: str) -> Any:
        part = {"type": "image_file", "image_file": {"file_id": name}}
        made = ask("POST", f"{thread}/messages", {**body, "content": [part]})
        if made.status_code == 200:
            ask("DELETE", f"{thread}/messages/{made.json()['id']}")

    def attached(name: str) -> Any:
        made = ask("POST", f"{thread}/messages", {**text, "attachments": [{"file_id": name, "tools": []}]})
        if made.status_code == 200:
            ask("DELETE", f"{thread}/messages/{made.json()['id']}")

    def keyed(name: str) -> Any:
        key = name.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "").replace("\0", "").strip()
        made = ask("POST", f"{thread}/messages", text, key=key)
        if made.status_code == 200:
            ask("DELETE", f"{thread}/messages/{made.json()['id']}")
        ask("POST", "/threads", {}, key=key)
        ask("POST", "/assistants", {"model": "m"}, key=key)

    return [
        of_message,
        attached,
        keyed,
        lambda name: ask("POST", "/threads", {"assistants": [{"assistant_id": name}]}),
        lambda name: ask("POST", "/threads", {"assistants": [{"assistant_id": "jan", "model": name}]}),
        lambda name: ask("POST", "/threads", {"model": name, "title": name, "metadata": {name[:60]: name}}),
        lambda name: ask("POST", "/threads", {"tool_resources": {"file_search": {"vector_store_ids": [name]}}}),
        lambda name: ask("POST", "/threads", {"parameters": {name: name}}),
        lambda name: ask("POST", "/assistants", {"model": "m", "thread_location": name}),
        lambda name: ask("POST", "/assistants", {"model": "m", "thread_location": "ROOT/" + name}),
        lambda name: ask("POST", "/assistants", {"model": name, "name": name, "avatar": name}),
        lambda name: ask("POST", "/assistants/jan", {"thread_location": name}),
        lambda name: ask("GET", "/threads", after=name),
        lambda name: ask("GET", "/threads", before=name, assistant_id=name),
        lambda name: ask("GET", "/threads", **{f"metadata[{name}]": name}),
        lambda name: ask("GET", "/assistants", after=name),
        lambda name: ask("GET", f"{thread}/messages", after=name),
        lambda name: ask("GET", f"{thread}/messages", before=name, run_id=name),
    ]


def sendable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_hostile_names_in_every_field_of_a_request(guarded: Guarded, full_counts: bool) -> None:
    fields = fields_of(guarded)
    cases = [name for name in names(10_000 if full_counts else 400, "secret", seed=5) if sendable(name)]
    for number, name in enumerate(cases):
        fields[number % len(fields)](name)
        if number % 1000 == 999:
            guarded.check()
    print(f"\n{len(cases)} hostile names in {len(fields)} fields: {guarded.statuses}; 0 paths left the root, 0 of 5xx")


def test_hostile_names_given_to_internal_operations(guarded: Guarded, full_counts: bool) -> None:
    jan, refused, cases = guarded.app.jan, 0, list(names(2000 if full_counts else 200, "secret", seed=7))
    body: dict[str, Any] = {"role": "user", "created_at": 1, "content": []}
    for name in cases:
        for work in (
            lambda name: jan.threads.put(Thread(id=name, created_at=1)),
            lambda name: jan.threads.check(name),
            lambda name: jan.threads.forget(name),
            lambda name: jan.threads.layers(name),
            lambda name: jan.assistants.put(Assistant(id=name, created_at=1, model="m")),
            lambda name: jan.assistants.layers(name),
            lambda name: jan.messages.put(Message(id=name, thread_id=guarded.thread["id"], **body)),
            lambda name: jan.messages.put(Message(id="msg_x", thread_id=name, **body)),
            lambda name: jan.messages.start(name, []),
            lambda name: jan.messages.clear(name),
        ):
            try:
                guarded.app.run(work(name))
            except JanError as error:
                refused += 1
                if error.status >= 500:
                    raise
    for one in guarded.app.all(f"/threads/{guarded.thread['id']}/messages"):
        if one != guarded.message:
            guarded.app.delete(f"/threads/{guarded.thread['id']}/messages/{one['id']}")
    print(f"\n{len(cases)} hostile names x 10 internal operations: {refused} refused; 0 paths left the root")


def test_hostile_names_in_every_field_of_a_file(guarded: Guarded, full_counts: bool) -> None:
    folder = guarded.root / "threads" / "edited"
    assistant = guarded.root / "assistants" / "edited"
    folder.mkdir(), assistant.mkdir()
    good_thread = {"id": "edited", "object": "thread", "created_at": 5, "metadata": {}}
    good_assistant = {"id": "edited", "object": "assistant", "created_at": 5, "model": "m"}
    message = {**guarded.message, "id": "msg_edited", "thread_id": "edited"}
    files: list[tuple[Path, Any, list[str]]] = [
        (folder / "thread.json", good_thread, ["id", "object", "title", "model", "metadata", "assistants"]),
        (folder / "model.json", {}, ["id", "parameters", "source", "settings"]),
        (folder / "messages.json", message, ["id", "thread_id", "assistant_id", "run_id", "content", "attachments"]),
        (assistant / "assistant.json", good_assistant, ["id", "model", "thread_location", "name", "tools", "metadata"]),
        (assistant / "model.json", {}, ["id", "parameters"]),
    ]
    places = [(path, good, field) for path, good, fields in files for field in fields]
    cases = list(names(10_000 if full_counts else 300, "secret", seed=9))
    for number, name in enumerate(cases):
        for path, good, _ in files:
            path.write_text(json.dumps([good] if path.name == "messages.json" else good))
        path, good, field = places[number % len(places)]
        value: Any = name
        if field == "assistants":
            value = [{"assistant_id": name}]
        elif field in ("metadata", "parameters"):
            value = {name: name}
        elif field == "attachments":
            value = [{"file_id": name}]
        changed = {**good, field: value}
        path.write_text(json.dumps([changed] if path.name == "messages.json" else changed))
        thread = "/threads/edited"
        for route in (thread, f"{thread}/messages", f"{thread}/messages/msg_edited", "/assistants/edited"):
            guarded.ask("GET", route)
        if path.name == "messages.json":
            guarded.ask("POST", "/threads/edited/messages/msg_edited", {"metadata": {"a": "b"}})
        elif path.parent == folder:
            guarded.ask("POST", "/threads/edited", {"metadata": {"a": "b"}})
        else:
            guarded.ask("POST", "/assistants/edited", {"description": "x"})
            made = guarded.ask("POST", "/threads", {"assistants": [{"assistant_id": "edited"}]})
            if made.status_code == 200:
                guarded.ask("DELETE", f"/threads/{made.json()['id']}")
        if number % 500 == 499:
            guarded.check()
    folder_files = [path for path, _, _ in files]
    for path in folder_files:
        path.unlink(missing_ok=True)
    print(f"\n{len(cases)} hostile names in {len(places)} fields of files: {guarded.statuses}; 0 left, 0 of 5xx")
