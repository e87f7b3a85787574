"""Whatever is asked in whatever order: in place, by rewriting, and in memory all answer the same, whatever crashes."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from jan_core.errors import JanError
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message
from jan_core.schemas.threads import Thread
from tests.faults.conversation import REFERENCE, Opened, check_files
from tests.faults.crashes import lay
from tests.faults.disk import Disk
from tests.faults.recorder import Recorder

pytestmark = pytest.mark.faults

ID = re.compile(r"msg_[A-Za-z0-9]{24}|asst_[A-Za-z0-9]{24}|(?:jan|asst_[A-Za-z0-9]{24})-[0-9]{10}-[0-9a-z]{14}")
TIMES = ("created_at", "completed_at")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"},\n{"id":"msg_', "\n]\n", ",\n", "\\", "\x00\x1f", "\u2028", "é" * 3000, "[", "}", "\ufeff", "x" * 4090]
)
PAIRS = st.dictionaries(st.text("abc_", min_size=1, max_size=3), TEXT.filter(lambda text: len(text) < 500), max_size=2)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": TEXT.filter(bool)}, optional={"metadata": PAIRS}
)
THREAD = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT.filter(lambda text: len(text) < 500),
        "metadata": PAIRS,
        "model": st.sampled_from(["m", "n"]),
        "parameters": st.fixed_dictionaries({}, optional={"seed": st.integers(0, 9), "own": TEXT}),
    },
)
ASSISTANT = st.fixed_dictionaries(
    {}, optional={"name": st.text(max_size=5), "instructions": TEXT, "metadata": PAIRS, "temperature": st.floats(0, 2)}
)
EDITS = ("pretty", "crlf", "bom", "compact", "text", "one less", "none")
PAGE = st.fixed_dictionaries({}, optional={"limit": st.integers(1, 4), "order": st.sampled_from(["asc", "desc"])})


class Store:
    """One of the three, asked in words that all of them understand: `<0>` is the id that came first."""

    def __init__(
        self, root: Path, append: str, modules: dict[str, str] | None, more: dict[str, dict[str, Any]] | None = None
    ) -> None:
        self.root = root
        self._options: dict[str, Any] = {"append": append} if modules is None else {"modules": modules}
        self._options["more"] = more or {}
        self.ids: list[str] = []
        self.open()

    def open(self) -> None:
        self.app = Opened(self.root, **self._options)
        self.app.__enter__()

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """The status, and the reply in those words; of an error, its code and field."""
        reply = self.app.ask(method, self.own(path), body, **{name: self.own(value) for name, value in options.items()})
        if reply.status_code >= 400:
            error = reply.json()["error"]
            return reply.status_code, (error["code"], error["param"])
        return reply.status_code, self.common(reply.json())

    def do(self, work: Callable[[Store], Any]) -> Any:
        """An internal operation."""
        try:
            self.app.run(work(self))
        except JanError as error:
            return error.status, error.code
        return None

    def own(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return re.sub(r"<(\d+)>", lambda match: self.ids[int(match[1])], value)

    def common(self, value: Any) -> Any:
        def word(match: re.Match[str]) -> str:
            if match[0] not in self.ids:
                self.ids.append(match[0])
            return f"<{self.ids.index(match[0])}>"

        return _timeless(json.loads(ID.sub(word, json.dumps(value))))

    def all(self) -> Any:
        seen = dict(self.app.seen())
        # Those of one second stand in the order of their ids, which are of chance.
        assistants = sorted((self.common(one) for one in seen.pop("assistants")), key=lambda one: str(one["id"]))
        return assistants, self.common(seen)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: 0 if name in TIMES and one else _timeless(one) for name, one in value.items()}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


class Machine(RuleBasedStateMachine):
    """Three stores, of which two are on a disk that loses what was not flushed."""

    work: ClassVar[Path]
    patch: ClassVar[pytest.MonkeyPatch]
    numbers: ClassVar[itertools.count[int]]
    counts: ClassVar[dict[str, int]]

    threads: Bundle[str] = Bundle("threads")
    messages: Bundle[tuple[str, str]] = Bundle("messages")
    assistants: Bundle[str] = Bundle("assistants")

    def __init__(self) -> None:
        super().__init__()
        self.folder = self.work / str(next(self.numbers))
        (self.folder / "disk").mkdir(parents=True)
        self.undo = pytest.MonkeyPatch()
        self.recorder = Recorder(self.folder / "disk", self.undo)
        self.stores = [
            Store(self.folder / "disk" / "in-place", "in-place", None),
            Store(self.folder / "disk" / "rewrite", "rewrite", None),
            Store(self.folder / "reference", "", REFERENCE),
            *self.others(),
        ]
        self.copies = 0
        # What it is described as is each module's own affair.
        self.ask("POST", "/assistants/jan", {"description": None})

    def others(self) -> list[Store]:
        """Further stores that have to be like the first three; on no disk that loses anything. For subclasses."""
        return []

    def teardown(self) -> None:
        for store in self.stores:
            store.app.__exit__(None, None, None)
        self.undo.undo()
        shutil.rmtree(self.folder)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The reply that all of them give."""
        self.count("requests")
        replies = [store.ask(method, path, body, **options) for store in self.stores]
        assert all(one == replies[0] for one in replies), (method, path, body, options)
        return replies[0][1]

    def do(self, work: Callable[[Store], Any]) -> None:
        self.count("requests")
        results = [store.do(work) for store in self.stores]
        assert all(one == results[0] for one in results)

    @rule(target=threads, body=THREAD, first=st.lists(MESSAGE, max_size=3))
    def make_thread(self, body: Any, first: Any) -> Any:
        return self.ask("POST", "/threads", {**body, **({"messages": first} if first else {})})["id"]

    @rule(thread=threads, data=st.data())
    def know_messages(self, thread: str, data: st.DataObject) -> None:
        self.ask("GET", f"/threads/{thread}/messages", **data.draw(PAGE))

    @rule(target=messages, thread=threads, bodies=st.lists(MESSAGE, min_size=1, max_size=4))
    def append(self, thread: str, bodies: Any) -> Any:
        made = [self.ask("POST", f"/threads/{thread}/messages", body) for body in bodies]
        return multiple(*[(thread, one["id"]) for one in made if isinstance(one, dict)])

    @rule(target=messages, thread=threads, body=MESSAGE, key=st.sampled_from("pqr"))
    def append_once(self, thread: str, body: Any, key: str) -> Any:
        made = self.ask("POST", f"/threads/{thread}/messages", body, key=key)
        return (thread, made["id"]) if isinstance(made, dict) else multiple()

    @rule(message=messages, pairs=PAIRS)
    def change_message(self, message: tuple[str, str], pairs: Any) -> None:
        self.ask("POST", f"/threads/{message[0]}/messages/{message[1]}", {"metadata": pairs})

    @rule(message=messages)
    def look_at_message(self, message: tuple[str, str]) -> None:
        self.ask("GET", f"/threads/{message[0]}/messages/{message[1]}")

    @rule(message=consumes(messages))
    def delete_message(self, message: tuple[str, str]) -> None:
        self.ask("DELETE", f"/threads/{message[0]}/messages/{message[1]}")

    @rule(message=messages, page=PAGE, side=st.sampled_from(["after", "before"]))
    def list_from(self, message: tuple[str, str], page: Any, side: str) -> None:
        self.ask("GET", f"/threads/{message[0]}/messages", **page, **{side: message[1]})

    @rule(thread=threads, body=MESSAGE, run=st.sampled_from([None, "run_1"]))
    def put_message(self, thread: str, body: Any, run: str | None) -> None:
        self.copies += 1
        values = {
            "id": f"msg_put{self.copies % 3}",
            "created_at": self.copies,
            "role": body["role"],
            "content": [{"type": "text", "text": {"value": body["content"], "annotations": []}}],
            "run_id": run,
        }
        if isinstance(self.ask("GET", f"/threads/{thread}"), dict):
            self.do(
                lambda store: store.app.jan.messages.put(
                    Message.model_validate({**values, "thread_id": store.own(thread)})
                )
            )
            self.ask("GET", f"/threads/{thread}/messages", run_id="run_1")

    @rule(thread=threads, body=THREAD)
    def change_thread(self, thread: str, body: Any) -> None:
        self.ask("POST", f"/threads/{thread}", body)

    @rule(thread=consumes(threads))
    def delete_thread(self, thread: str) -> None:
        self.ask("DELETE", f"/threads/{thread}")
        self.ask("GET", f"/threads/{thread}/messages")
        for store in self.stores:
            store.app.settle()

    @rule(target=threads, body=THREAD, number=st.integers(1, 3))
    def put_thread(self, body: Any, number: int) -> str:
        self.do(
            lambda store: store.app.jan.threads.put(
                Thread.model_validate({**body, "id": f"copied-{number}", "created_at": number})
            )
        )
        return f"copied-{number}"

    @rule(page=PAGE, thread=threads, side=st.sampled_from(["after", "before", ""]))
    def list_threads(self, page: Any, thread: str, side: str) -> None:
        self.ask("GET", "/threads", **page, **({side: thread} if side else {}))

    @rule(target=assistants, body=ASSISTANT)
    def make_assistant(self, body: Any) -> Any:
        return self.ask("POST", "/assistants", {"model": "m", **body})["id"]

    @rule(assistant=assistants | st.just("jan"), body=ASSISTANT)
    def change_assistant(self, assistant: str, body: Any) -> None:
        self.ask("POST", f"/assistants/{assistant}", body)

    @rule(assistant=consumes(assistants) | st.just("jan"))
    def delete_assistant(self, assistant: str) -> None:
        self.ask("DELETE", f"/assistants/{assistant}")
        self.ask("GET", f"/assistants/{assistant}")

    @rule(number=st.integers(1, 2), body=ASSISTANT)
    def put_assistant(self, number: int, body: Any) -> None:
        values = {"model": "m", **body, "id": f"copied-{number}", "created_at": number}
        self.do(lambda store: store.app.jan.assistants.put(Assistant.model_validate(values)))

    @rule(thread=threads, how=st.sampled_from(EDITS), data=st.data())
    def edit_by_hand(self, thread: str, how: str, data: st.DataObject) -> None:
        listed = self.ask("GET", f"/threads/{thread}/messages", limit=100, order="asc")
        if not isinstance(listed, dict) or not listed["data"]:
            return
        self.count("edits by hand")
        number = data.draw(st.integers(0, len(listed["data"]) - 1))
        for store in self.stores[:2]:
            path = store.root / "threads" / store.own(thread) / "messages.json"
            raw = path.read_bytes()
            values = json.loads(raw)
            if how == "text":
                values[number]["content"] = [{"type": "text", "text": {"value": "by hand", "annotations": []}}]
            if how == "one less":
                del values[number]
            new = {
                "crlf": raw.replace(b"\n", b"\r\n"),
                "bom": b"\xef\xbb\xbf" + raw,
                "compact": json.dumps(values, separators=(",", ":")).encode(),
            }.get(how, json.dumps(values, indent=2).encode())
            path.write_bytes(b"" if how == "none" else new)
        # The same, told to those that have no files.
        place = f"/threads/{thread}/messages"
        gone = listed["data"] if how == "none" else listed["data"][number : number + 1] if how == "one less" else []
        for other in self.stores[2:]:
            for one in gone:
                assert other.ask("DELETE", f"{place}/{one['id']}")[0] == 200
            if how == "text":
                _, one = other.ask("GET", f"{place}/{listed['data'][number]['id']}")
                one["content"] = [{"type": "text", "text": {"value": "by hand", "annotations": []}}]
                edited = Message.model_validate(json.loads(other.own(json.dumps(one))))
                other.do(lambda store, edited=edited: store.app.jan.messages.put(edited))
        self.flush_by_hand()

    def flush_by_hand(self) -> None:
        """What a person saved is on the disk, and so is all that was flushed before."""
        self.recorder.look_again()

    @rule(number=st.integers(0, 10_000))
    def crash(self, number: int) -> None:
        """The power goes; what every request was answered is there all the same."""
        for store in self.stores[:2]:
            store.app.abandon()
        self.recorder.close_all()
        disk = Disk()
        for event in self.recorder.events:
            disk.add(event)
        states = list(disk.states(20))
        self.count("crashes")
        shutil.rmtree(self.folder / "disk")
        (self.folder / "disk").mkdir()
        lay(states[number % len(states)], self.folder / "disk")
        self.recorder.look_again()
        for store in self.stores[:2]:
            store.open()

    @rule()
    def restart(self) -> None:
        """The process is killed, and its files stay as they are."""
        self.count("restarts")
        for store in self.stores[:2]:
            store.app.abandon()
            self.recorder.close_all()
            store.open()

    @invariant()
    def all_see_the_same(self) -> None:
        seen = [store.all() for store in self.stores]
        assert all(one == seen[0] for one in seen)
        for store in self.stores[:2]:
            for path in store.root.glob("threads/*/thread.json"):
                check_files(path.parent, but=("messages.json",))


def test_in_place_by_rewriting_and_in_memory_are_the_same(
    work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    check_histories(Machine, work, monkeypatch, full_counts)


def check_histories(machine: type[Machine], work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool) -> None:
    """Have histories of random requests told to all stores of a machine, and print how many they were."""
    machine.work, machine.patch, machine.numbers, machine.counts = work, monkeypatch, itertools.count(), {}
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if full_counts else 6,
            stateful_step_count=30 if full_counts else 20,
            deadline=None,
            database=None,
            derandomize=not full_counts,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"\n{next(machine.numbers)} histories: {machine.counts}; 0 differences")
