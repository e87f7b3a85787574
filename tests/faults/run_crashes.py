"""Every crash of a run: recorded once, then taken up from every state that the disk may be left in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jan_core.schemas.runs import RunRequest
from tests.faults.conversation import MODULES, Opened, check_files
from tests.faults.crashes import ROOT, Lost, check_whole, lay, line_of, shown
from tests.faults.disk import Answered, Disk, Event, Flushed, Tree
from tests.faults.recorder import BEFORE, Recorder
from tests.faults.run_askers import FUNCTION, text_of

RUNS = {**MODULES, "chat-scripted": "jan_core.testing.scripted", "runs-json": "jan_runs_json"}
STUCK = 10.0
"""Seconds in which a run that was left must end; a tenth of one on a machine that does nothing else."""
Fact = dict[str, Any]
"""Something that a client was told, or began to ask for: what a crash afterwards may not take back."""


@dataclass
class Record:
    """What happened to the disk from `start` on, and what was told: `Answered(n)` stands behind the first `n` facts."""

    events: list[Event]
    facts: list[Fact]
    scenario: RunScenario
    start: int

    def without(self, site: str) -> Record:
        """The same, as if the code at `site` never flushed."""
        events = [one for one in self.events if not (isinstance(one, Flushed) and line_of(one.site) == site)]
        return Record(events, self.facts, self.scenario, self.start)

    def sites(self) -> list[str]:
        """The lines of code that flush something."""
        found = [line_of(one.site) for one in self.events if isinstance(one, Flushed)]
        return [one for one in dict.fromkeys(found) if one != BEFORE]


class Play:
    """Requests about runs, and what was told of them.

    Args:
        app: the app that is asked.
        recorder: watches its disk.

    Attributes:
        thread: the thread of most of them.
    """

    def __init__(self, app: Opened, recorder: Recorder) -> None:
        self.app, self.recorder, self.facts = app, recorder, list[Fact]()
        self.thread = ""

    @property
    def path(self) -> str:
        """Of the thread's runs."""
        return f"/threads/{self.thread}/runs"

    def told(self, what: str, **more: Any) -> None:
        """A client was told something, or asks for it from now on."""
        self.facts.append({"what": what, "thread": self.thread, **more})
        self.recorder.answered(len(self.facts))

    def begin(self, *scripts: Any, key: str | None = None, **more: Any) -> str:
        """Begin a run with additional messages; returns its id."""
        additional = [{"role": "user", "content": json.dumps(one)} for one in scripts]
        body = {"assistant_id": "jan", "model": "scripted", "additional_messages": additional, **more}
        run = self.app.post(self.path, body, key=key)
        self.told("run", run=run["id"], said=[one["content"] for one in additional], key=key, body=body)
        return str(run["id"])

    def stream(self, script: Any, **more: Any) -> str:
        """Begin a run, and listen to it until it waits or has ended; returns its id."""
        said = [{"role": "user", "content": json.dumps(script)}]
        body = {"assistant_id": "jan", "model": "scripted", "additional_messages": said, **more}
        run_id = ""

        async def listen() -> None:
            nonlocal run_id
            async for event in self.app.jan.runs.create_stream(self.thread, RunRequest.model_validate(body)):
                data = event.data.model_dump(mode="json") if event.data is not None else {}  # type: ignore[union-attr]
                if event.event == "thread.run.created":
                    run_id = data["id"]
                    self.told("run", run=run_id, said=[said[0]["content"]], key=None)
                elif event.event in ("thread.message.completed", "thread.message.incomplete"):
                    self.told("message", run=run_id, message=data)
                elif event.event == "thread.run.step.completed":
                    self.told("step", run=run_id, step=data)
                elif event.event.startswith("thread.run.") and "step" not in event.event:
                    self.told("status", run=run_id, status=data["status"])

        self.app.run(listen())
        return run_id

    def rested(self, run_id: str) -> Any:
        """A run once it waits or has ended, which is told."""
        run = rested(self.app, self.thread, run_id)
        self.told("status", run=run_id, status=run["status"])
        return run

    def saying(self) -> None:
        """Return when something is being said, and was stored as it is."""
        until = time.monotonic() + STUCK
        while not [one for one in self.app.all(f"/threads/{self.thread}/messages") if one["role"] == "assistant"]:
            assert time.monotonic() < until
            self.app.run(asyncio.sleep(0.01))
        self.app.run(asyncio.sleep(0.25))

    def give(self, run: Any, script: Any) -> None:
        """Give the outputs of all calls."""
        calls = [one["id"] for one in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
        outputs = {one: json.dumps(script) for one in calls}
        self.told("wish", run=run["id"])
        given = [{"tool_call_id": one, "output": output} for one, output in outputs.items()]
        self.app.post(f"{self.path}/{run['id']}/submit_tool_outputs", {"tool_outputs": given})
        self.told("outputs", run=run["id"], outputs=outputs)

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.told("wish", run=run_id)
        self.app.post(f"{self.path}/{run_id}/cancel", {})
        self.told("cancel", run=run_id)


@dataclass(frozen=True)
class RunScenario:
    """Requests about runs.

    Attributes:
        name: of the scenario.
        texts: what the model is to say, answer by answer.
        steps: asks for them.
        hangs: the model never comes to an end.
    """

    name: str
    texts: Sequence[str]
    steps: Callable[[Play], None]
    hangs: bool = False


def recorded(scenario: RunScenario, recorder: Recorder) -> Record:
    """Let a scenario happen, and see what it does."""
    with Opened(Path(recorder.folder) / ROOT, modules=RUNS) as app:
        play = Play(app, recorder)
        play.thread = app.post("/threads", {})["id"]
        app.settle()
        recorder.look_again()
        start = len(recorder.events)
        scenario.steps(play)
        app.settle()
    check_whole(recorder)
    return Record(list(recorder.events), play.facts, scenario, start)


@dataclass(frozen=True)
class RunCrash:
    """The power goes.

    Attributes:
        place: in the record, for people.
        tree: what the disk holds.
        facts: what was told by then.
    """

    place: str
    tree: Tree
    facts: list[Fact]

    def key(self) -> bytes:
        """The same for crashes that leave the same."""
        digest = hashlib.sha256(str(len(self.facts)).encode())
        for path, content in sorted((_CHANCE.sub("", path), content or b"") for path, content in self.tree.items()):
            digest.update(f"\0{path}\0".encode() + content)
        return digest.digest()


def crashes(record: Record, most: int) -> Iterator[RunCrash]:
    """Every crash, at most so many states at each point."""
    disk, known = Disk(), 0
    for place, event in enumerate(record.events):
        disk.add(event)
        if isinstance(event, Answered):
            known = event.number
        for tree in disk.states(most) if place >= record.start else ():
            yield RunCrash(f"after event {place}, {event}"[:300], tree, record.facts[:known])


def check(record: Record, crash: RunCrash, folder: Path, runner: asyncio.Runner) -> None:
    """Fail unless everything that was told is there, every run ends, and the next one works.

    Raises:
        Lost: it is not so.
    """
    lay(crash.tree, folder)
    try:
        with Opened(folder / ROOT, modules=RUNS, runner=runner) as app:
            app.run(app.jan.runs.serving())
            if not record.scenario.hangs:
                _left_alone(app, folder / ROOT)
            _check(app, record, crash.facts)
            app.settle()
        check_files(folder / ROOT)
    except AssertionError as error:
        raise Lost(f"{crash.place}\n{[one['what'] for one in crash.facts]}\n{shown(crash.tree)}\n{error}") from error


def _left_alone(app: Opened, root: Path) -> None:
    """Return when no run goes on any more, without asking for any: one that nobody asks for ends as well."""
    until = time.monotonic() + STUCK
    while going := [path.name for path in root.glob("threads/*/runs/run_*.json") if _goes_on(path)]:
        assert time.monotonic() < until, f"stuck, as long as nobody asks for them: {going}"
        app.run(asyncio.sleep(0.003))


def _goes_on(path: Path) -> bool:
    return json.loads(path.read_text("utf-8"))["status"] not in (*ENDED, "requires_action")


def _check(app: Opened, record: Record, facts: list[Fact]) -> None:
    deleted = {one["thread"] for one in facts if one["what"] == "deleted"}
    deleting = {one["thread"] for one in facts if one["what"] == "deleting"}
    threads = [one["id"] for one in app.all("/threads")]
    assert not deleted & set(threads), "a deleted thread is back"
    for thread in {one["thread"] for one in facts} - deleting:
        assert thread in threads, "a thread is lost"
    said = {one["run"]: one["said"] for one in facts if one["what"] == "run"}
    for thread in threads:
        path = f"/threads/{thread}/runs"
        for run in app.all(path):
            if record.scenario.hangs and run["status"] not in ENDED:
                app.ask("POST", f"{path}/{run['id']}/cancel", {})
        runs = [rested(app, thread, one["id"]) for one in app.all(path)]
        _check_thread(app, thread, runs, record.scenario.texts)
        for run in runs:
            _check_facts(app, run, [one for one in facts if one.get("run") == run["id"]])
        there = {one["id"] for one in runs}
        lost = [run for run, one in said.items() if _thread_of(facts, run) == thread and run not in there]
        assert not lost, f"the runs {lost} are lost"
        _go_on(app, thread, runs)
    for fact in facts:
        if fact["what"] == "run" and fact["key"] and fact["thread"] in threads:
            again = app.post(f"/threads/{fact['thread']}/runs", fact["body"], key=fact["key"])
            assert again["id"] == fact["run"], f"begun again under its key: {again}"


def _thread_of(facts: list[Fact], run: str) -> str:
    return next(str(one["thread"]) for one in facts if one["what"] == "run" and one["run"] == run)


def _check_thread(app: Opened, thread: str, runs: list[Any], texts: Sequence[str]) -> None:
    messages = app.all(f"/threads/{thread}/messages")
    assert len({one["id"] for one in messages}) == len(messages), "a message is doubled"
    asked = [text_of(one) for one in messages if one["role"] == "user"]
    assert len(set(asked)) == len(asked), f"an additional message is doubled: {asked}"
    answers = [one for one in messages if one["role"] == "assistant"]
    assert {one["run_id"] for one in answers} <= {one["id"] for one in runs}, "an answer of no run"
    for run in runs:
        mine = [one for one in answers if one["run_id"] == run["id"]]
        steps = app.all(f"/threads/{thread}/runs/{run['id']}/steps")
        made = [one["step_details"]["message_creation"]["message_id"] for one in steps if "creation" in one["type"]]
        assert [one["id"] for one in mine] == made, f"{steps} made {mine} of {run}"
        waits = run["status"] == "requires_action"
        going = [one["type"] for one in steps if one["status"] == "in_progress"]
        assert going == (["tool_calls"] if waits else []), f"{steps} of {run}"
        found = [text_of(one) for one in mine]
        if run["status"] == "completed":
            assert found == list(texts), f"{found} instead of {texts}"
        for place, (text, message) in enumerate(zip(found, mine, strict=True)):
            whole = message["status"] == "completed"
            assert text == texts[place] if whole else texts[place].startswith(text), f"{found} instead of {texts}"
            assert whole or place == len(found) - 1, f"something follows what is incomplete: {found}"


def _check_facts(app: Opened, run: Any, facts: list[Fact]) -> None:
    path, status = f"/threads/{run['thread_id']}", run["status"]
    for place, fact in enumerate(facts):
        if fact["what"] == "run":
            asked = [text_of(one) for one in app.all(f"{path}/messages") if one["role"] == "user"]
            assert [one for one in asked if one in fact["said"]] == fact["said"], f"additional messages: {asked}"
        elif fact["what"] == "message":
            assert app.get(f"{path}/messages/{fact['message']['id']}") == fact["message"]
        elif fact["what"] == "step":
            assert app.get(f"{path}/runs/{run['id']}/steps/{fact['step']['id']}") == fact["step"]
        elif fact["what"] == "cancel":
            assert status == "cancelled", f"it was cancelled: {run}"
        elif fact["what"] == "outputs":
            steps = app.all(f"{path}/runs/{run['id']}/steps")
            calls = [call for one in steps for call in one["step_details"].get("tool_calls", ())]
            found = {call["id"]: call["function"]["output"] for call in calls}
            assert fact["outputs"].items() <= found.items(), f"outputs: {found}"
            assert status != "requires_action", f"its outputs were taken: {run}"
        elif fact["what"] == "status" and fact["status"] in ENDED:
            assert status == fact["status"], f"it was {fact['status']}: {run}"
        elif fact["what"] == "status" and fact["status"] == "requires_action":
            further = [one for one in facts[place:] if one["what"] == "wish"]
            assert status == "requires_action" or further, f"it waited: {run}"


ENDED = ("completed", "failed", "cancelled", "incomplete", "expired")


def _go_on(app: Opened, thread: str, runs: list[Any]) -> None:
    """The thread is as good as new: what waits can be cancelled, and another run answers."""
    for run in runs:
        if run["status"] == "requires_action":
            app.post(f"/threads/{thread}/runs/{run['id']}/cancel", {})
            assert rested(app, thread, run["id"])["status"] == "cancelled"
    said = {"role": "user", "content": json.dumps({"say": ["after ", "the crash"]})}
    app.post(f"/threads/{thread}/messages", said)
    run = app.post(f"/threads/{thread}/runs", {"assistant_id": "jan", "model": "scripted", "tools": [FUNCTION]})
    run = rested(app, thread, run["id"])
    assert run["status"] == "completed", run
    assert text_of(app.all(f"/threads/{thread}/messages")[-1]) == "after the crash"


def rested(app: Opened, thread: str, run_id: str) -> Any:
    """A run once it waits for outputs, or has ended."""
    until = time.monotonic() + STUCK
    while True:
        run = app.get(f"/threads/{thread}/runs/{run_id}")
        if run["status"] in (*ENDED, "requires_action"):
            return run
        assert time.monotonic() < until, f"stuck: {run}"
        app.run(asyncio.sleep(0.003))


_CHANCE = re.compile(r"(?<=\.tmp-)[0-9a-f]+")
