"""What crashes are tried in: every operation that writes, a few requests at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message
from jan_core.schemas.threads import Thread
from tests.faults.conversation import Opened, Step

LONG = 'Größe 漢字 \\ " { } [ ] , \n' * 220
"""A text that takes more than two pages."""


class Ids:
    """What steps remember of each other."""

    def __init__(self) -> None:
        self.thread = ""
        self.assistant = ""
        self.messages: list[str] = []

    @property
    def path(self) -> str:
        return f"/threads/{self.thread}/messages"


@dataclass(frozen=True)
class Scenario:
    """Requests, and what is there before them.

    Attributes:
        name: of the scenario.
        before: makes it.
        steps: the requests.
        fresh: there is not even a root before, so the start of the app is one of the things that happen.
        append: the setting of `messages-json`.
    """

    name: str
    before: Callable[[Opened, Ids], Any]
    steps: Sequence[Callable[[Opened, Ids], Any]]
    fresh: bool = False
    append: str = "in-place"

    def bound(self, ids: Ids) -> list[Step]:
        """The steps, for one play."""
        return [lambda app, step=step: step(app, ids) for step in self.steps]  # type: ignore[misc]


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def nothing(app: Opened, ids: Ids) -> None:
    pass


def a_thread(app: Opened, ids: Ids) -> None:
    body = {"messages": [message("one"), message("two")], "title": "T", "metadata": {"a": "b"}}
    ids.thread = app.post("/threads", body)["id"]
    ids.messages = [one["id"] for one in app.all(ids.path)]


def an_empty_thread(app: Opened, ids: Ids) -> None:
    ids.thread = app.post("/threads", {})["id"]


def nearly_a_page(app: Opened, ids: Ids) -> None:
    a_thread(app, ids)
    # Of the first page, some two hundred bytes are left.
    app.post(ids.path, message("x" * 2500))


def an_assistant(app: Opened, ids: Ids) -> None:
    ids.assistant = app.post("/assistants", {"model": "m", "name": "A", "instructions": "x" * 700})["id"]


def append(app: Opened, ids: Ids) -> None:
    ids.messages.append(app.post(ids.path, message("three é"))["id"])


def append_long(app: Opened, ids: Ids) -> None:
    app.post(ids.path, message(LONG))


def append_once(app: Opened, ids: Ids) -> None:
    app.post(ids.path, message("once", metadata={"once": "message"}), key="message")


def change_message(app: Opened, ids: Ids) -> None:
    app.post(f"{ids.path}/{ids.messages[0]}", {"metadata": {"changed": "yes"}})


def delete_message(app: Opened, ids: Ids) -> None:
    app.delete(f"{ids.path}/{ids.messages[1]}")


def put_message(app: Opened, ids: Ids) -> None:
    made = app.get(f"{ids.path}/{ids.messages[0]}")
    made["metadata"] = {"put": "again"}
    app.run(app.jan.messages.put(Message.model_validate(made)))


def put_new_message(app: Opened, ids: Ids) -> None:
    made = app.get(f"{ids.path}/{ids.messages[0]}")
    app.run(app.jan.messages.put(Message.model_validate({**made, "id": "msg_put", "created_at": 1})))


def make_thread(app: Opened, ids: Ids) -> None:
    app.post("/threads", {"title": "made", "model": "m", "parameters": {"seed": 1}})


def make_thread_with_messages(app: Opened, ids: Ids) -> None:
    app.post("/threads", {"messages": [message("first"), message(LONG)]})


def make_thread_once(app: Opened, ids: Ids) -> None:
    body = {"messages": [message("first", metadata={"once": "first"})], "metadata": {"once": "thread"}}
    app.post("/threads", body, key="thread")


def change_thread(app: Opened, ids: Ids) -> None:
    app.post(f"/threads/{ids.thread}", {"title": "changed", "metadata": {}})


def change_settings(app: Opened, ids: Ids) -> None:
    app.post(f"/threads/{ids.thread}", {"model": "other", "parameters": {"temperature": 0.5}})


def drop_settings(app: Opened, ids: Ids) -> None:
    app.post(f"/threads/{ids.thread}", {"model": None, "parameters": None})


def change_both(app: Opened, ids: Ids) -> None:
    app.post(f"/threads/{ids.thread}", {"title": "both", "model": "third"})


def put_thread(app: Opened, ids: Ids) -> None:
    made = app.get(f"/threads/{ids.thread}")
    app.run(app.jan.threads.put(Thread.model_validate({**made, "title": "put"})))


def put_new_thread(app: Opened, ids: Ids) -> None:
    app.run(app.jan.threads.put(Thread(id="copied", created_at=5, title="put")))


def put_it_again(app: Opened, ids: Ids) -> None:
    app.run(app.jan.threads.put(Thread(id=ids.thread, created_at=6, title="again")))


def delete_thread(app: Opened, ids: Ids) -> None:
    app.delete(f"/threads/{ids.thread}")


def settle(app: Opened, ids: Ids) -> None:
    app.settle()


def make_assistant(app: Opened, ids: Ids) -> None:
    app.post("/assistants", {"model": "m", "name": "é" * 200, "tools": [{"type": "file_search"}]})


def make_assistant_once(app: Opened, ids: Ids) -> None:
    app.post("/assistants", {"model": "m", "metadata": {"once": "assistant"}}, key="assistant")


def change_assistant(app: Opened, ids: Ids) -> None:
    app.post(f"/assistants/{ids.assistant}", {"instructions": "y" * 900})


def change_default(app: Opened, ids: Ids) -> None:
    app.post("/assistants/jan", {"name": "My own"})


def put_assistant(app: Opened, ids: Ids) -> None:
    app.run(app.jan.assistants.put(Assistant(id="copied", created_at=7, model="m", name="put")))


def delete_assistant(app: Opened, ids: Ids) -> None:
    app.delete(f"/assistants/{ids.assistant}")


def an_assistant_with_threads(app: Opened, ids: Ids) -> None:
    body = {"model": "m", "name": "own", "thread_location": "threads"}
    ids.assistant = app.post("/assistants", body)["id"]


def make_own_thread(app: Opened, ids: Ids) -> None:
    body = {"assistants": [{"assistant_id": ids.assistant}], "messages": [message("own")]}
    ids.thread = app.post("/threads", body)["id"]


EVERY = [
    Scenario("first start", nothing, [make_thread_with_messages, make_assistant_once], fresh=True),
    Scenario("first message", an_empty_thread, [append, append]),
    Scenario("first message once", an_empty_thread, [append_once]),
    Scenario("append", a_thread, [append, append]),
    Scenario("append across a page", nearly_a_page, [append, append]),
    Scenario("append of pages", a_thread, [append_long, append]),
    Scenario("append once", a_thread, [append_once, append]),
    Scenario("change messages", a_thread, [change_message, append, delete_message]),
    Scenario("put messages", a_thread, [put_message, put_new_message]),
    Scenario("make threads", a_thread, [make_thread, make_thread_with_messages]),
    Scenario("make a thread once", a_thread, [make_thread_once, append]),
    Scenario("change a thread", a_thread, [change_thread, change_settings, drop_settings, change_both]),
    Scenario("put threads", a_thread, [put_thread, put_new_thread]),
    Scenario("delete a thread", a_thread, [delete_thread, settle]),
    Scenario("put a deleted thread", a_thread, [delete_thread, settle, put_it_again, append]),
    Scenario("threads of an assistant", an_assistant_with_threads, [make_own_thread, append, delete_thread]),
    Scenario("make assistants", nothing, [make_assistant, make_assistant_once]),
    Scenario("change assistants", an_assistant, [change_assistant, change_default, put_assistant]),
    Scenario("delete an assistant", an_assistant, [delete_assistant]),
    Scenario("append by rewriting", a_thread, [append, append_once, delete_message], append="rewrite"),
]
