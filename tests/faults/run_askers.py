"""Clients that begin one run after another on a server that may be killed at any time, and know how each must end."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.wire import Gone, Wire
from tests.parts import Site

CONFIG = '[endpoints]\nchat = "chat-scripted"\nmodels = "models-memory"\nruns = "runs-json"\n'
CODE = '''
def carry_out(number: int, then: str) -> str:
    """What it gives tells the engine what to say next."""
    return then
'''
PATIENCE = 60.0
"""Seconds in which a run that was left must end; a second or two on a machine that does nothing else."""
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@dataclass(frozen=True)
class Kind:
    """What the runs of a client do.

    Attributes:
        name: of the kind.
        first: the model says something before it calls.
        calls: the function that it calls: `f`, which the client has, `carry_out`, which the assistant has, or none.
        streams: the client listens, so that an answer that breaks off is one that somebody heard.
    """

    name: str
    first: bool = False
    calls: str = ""
    streams: bool = False

    @property
    def steps(self) -> list[str]:
        """The types of the steps of a run that is completed."""
        return ["message_creation"] * self.first + ["tool_calls"] * bool(self.calls) + ["message_creation"]


KINDS = (
    Kind("plain"),
    Kind("stream", streams=True),
    Kind("calls", calls="f"),
    Kind("says and calls", first=True, calls="f"),
    Kind("says and calls, heard", first=True, calls="f", streams=True),
    Kind("own", calls="carry_out", first=True),
    Kind("own, heard", calls="carry_out", streams=True),
)


class Asker:
    """Begins one run after another in a thread of its own, each under a key, and sees it to its end.

    Args:
        kind: what its runs do.
        thread: the thread's id.
    """

    def __init__(self, kind: Kind, thread: str) -> None:
        self.kind, self.thread = kind, thread
        self.path = f"/threads/{thread}/runs"
        self.said: list[list[list[str]]] = []
        self.runs: dict[int, str] = {}
        self.given: set[str] = set()
        self._checked = 0

    def work(self, wire: Stream) -> None:
        """One run, from its beginning to its end."""
        number = len(self.said)
        chance = self._chance(number)
        self.said.append([words(f"{number}{which}", chance.randrange(1, 30)) for which in "ab"[not self.kind.first :]])
        self.go_on(wire)

    def go_on(self, wire: Stream) -> None:
        """Ask once more for the newest run, which gives the one there is, and see it to its end."""
        number = len(self.said) - 1
        if number not in self.runs:
            self.runs[number] = self._begin(wire, number)
        run = self.rested(wire, self.runs[number])
        if run["status"] == "requires_action":
            self._give(wire, run)
            run = self.rested(wire, run["id"])
        # What was said in front of calls is in the thread, whoever read it, and is not said again.
        may_fail = self.kind.streams or self.kind.first or self.kind.calls == "carry_out"
        assert run["status"] in ("completed", "failed" if may_fail else "completed"), run

    def rested(self, wire: Wire, run_id: str) -> Any:
        """A run once it waits or has ended."""
        until, pause = time.monotonic() + PATIENCE, threading.Event()
        while True:
            run = wire.good("GET", f"{self.path}/{run_id}")
            if run["status"] not in ("queued", "in_progress") and (
                run["status"] != "requires_action" or run_id not in self.given
            ):
                return run
            assert time.monotonic() < until, f"stuck: {run}"
            pause.wait(0.01)

    def _chance(self, number: int) -> random.Random:
        # The same each time: a request that is sent again under its key has the same body.
        return random.Random(f"{self.kind.name} {number}")

    def _script(self, number: int) -> str:
        *first, last = self.said[number]
        rate = self._chance(number).choice((0, 300, 1000))
        then = json.dumps({"say": last, "rate": rate})
        if not self.kind.calls:
            return then
        arguments = {"number": number, **({} if self.kind.calls == "f" else {"then": then})}
        call = {"name": self.kind.calls, "arguments": arguments}
        return json.dumps({"say": first[0] if first else [], "rate": rate, "call": [call]})

    def _begin(self, wire: Stream, number: int) -> str:
        body = {
            "assistant_id": "jan",
            "model": "scripted",
            "tools": [FUNCTION],
            "additional_messages": [{"role": "user", "content": self._script(number)}],
        }
        key = f"{self.kind.name} {number}"
        if not self.kind.streams:
            return str(wire.good("POST", self.path, body, key=key)["id"])
        events = wire.stream(self.path, {**body, "stream": True}, key)
        name, run = next(events)
        assert name == "thread.run.created"
        self.runs[number] = run["id"]
        assert [name for name, _ in events][-1] == "done"
        return str(run["id"])

    def _give(self, wire: Wire, run: Any) -> None:
        (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        number = json.loads(call["function"]["arguments"])["number"]
        assert self.runs[number] == run["id"]
        output = json.dumps({"say": self.said[number][-1], "rate": 1000})
        body = {"tool_outputs": [{"tool_call_id": call["id"], "output": output}]}
        # They may have been taken before, by a request whose reply did not arrive.
        wire.good("POST", f"{self.path}/{run['id']}/submit_tool_outputs", body)
        self.given.add(run["id"])

    def check(self, wire: Wire, *, all_steps: bool = False) -> int:
        """Everything that was acknowledged is there, once, and has ended; returns how many runs failed.

        Args:
            wire: to a server.
            all_steps: look at the steps of every run, not only of those that were not looked at before.
        """
        runs = wire.all(self.path)
        assert [one["id"] for one in runs] == [self.runs[number] for number in range(len(self.said))], "lost or doubled"
        messages = wire.all(f"/threads/{self.thread}/messages")
        assert len({one["id"] for one in messages}) == len(messages)
        found = [text_of(one) for one in messages if one["role"] == "user"]
        assert found == [self._script(number) for number in range(len(runs))], "a message is lost, doubled or misplaced"
        answers: dict[str, list[Any]] = {}
        for one in messages:
            if one["role"] == "assistant":
                answers.setdefault(one["run_id"], []).append(one)
        assert set(answers) <= set(self.runs.values())
        for number, run in enumerate(runs):
            said = ["".join(one) for one in self.said[number]]
            steps = wire.all(f"{self.path}/{run['id']}/steps") if all_steps or number >= self._checked else None
            self._check_run(run, steps, said, answers.get(run["id"], []))
        self._checked = len(runs)
        return len([one for one in runs if one["status"] == "failed"])

    def _check_run(self, run: Any, steps: list[Any] | None, texts: list[str], answers: list[Any]) -> None:
        found = [text_of(one) for one in answers]
        states = [one["status"] for one in answers]
        if run["status"] == "completed":
            assert found == texts, f"{self.kind.name}: {found} instead of {texts}: {run}"
            assert set(states) == {"completed"}
        else:
            assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
            # Each but the last was said to its end, and nothing twice.
            assert len(found) <= len(texts), found
            assert [*found[:-1], found[-1] if "completed" in states[-1:] else ""][: len(found)] == [
                *texts[: max(0, len(found) - 1)],
                texts[len(found) - 1] if "completed" in states[-1:] else "",
            ][: len(found)], found
            assert not found or texts[len(found) - 1].startswith(found[-1]), found
            assert set(states) <= {"completed", "incomplete"}
            assert set(states[:-1]) <= {"completed"}
        if steps is None:
            return
        said = [one["step_details"]["message_creation"]["message_id"] for one in steps if one["type"] != "tool_calls"]
        assert [one["id"] for one in answers] == said, (run, steps, answers)
        types = [one["type"] for one in steps]
        if run["status"] == "completed":
            assert types == self.kind.steps
            assert {one["status"] for one in steps} == {"completed"}
        else:
            assert types == self.kind.steps[: len(types)]
            assert {one["status"] for one in steps} <= {"completed", "failed"}
        calls = [call for one in steps if one["type"] == "tool_calls" for call in one["step_details"]["tool_calls"]]
        assert len({call["id"] for call in calls}) == len(calls)


class Stream(Wire):
    """A connection that can also read the events of a run."""

    def stream(self, path: str, body: Any, key: str) -> Iterator[tuple[str, Any]]:
        """The events, by name.

        Raises:
            Gone: they broke off.
        """
        headers = {"content-type": "application/json", "idempotency-key": key}
        try:
            self._http.request("POST", f"/v1{path}", json.dumps(body), headers)
            reply = self._http.getresponse()
            assert reply.status == 200, reply.read()
            name = ""
            for line in reply:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    name = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    data = text.removeprefix("data: ")
                    yield name, data if name == "done" else json.loads(data)
            if name != "done":
                raise OSError("the stream ended before its end")
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise Gone(repr(error)) from error


def words(name: object, length: int) -> list[str]:
    """Pieces of a text that no other run says."""
    return [f"{name}.{place} " for place in range(length)]


def text_of(message: Any) -> str:
    """What a message says."""
    return "".join(part["text"]["value"] for part in message["content"])


def scripted_root(folder: Path, more: str = "", code: str = CODE) -> tuple[Path, Site]:
    """A root whose chat is the scripted engine, and what has to be installed for it.

    Args:
        folder: where both are made.
        more: of `jan.toml`.
        code: what the default assistant brings with it.
    """
    site, root = Site(folder / "site"), folder / "root"
    site.folder.mkdir()
    modules = {"chat-scripted": "jan_core.testing.scripted", "models-memory": "jan_core.testing.memory"}
    site.add("jan-scripted", {}, {"modules": modules})
    index = root / "assistants" / "jan" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text(code)
    (root / "jan.toml").write_text(CONFIG + more)
    return root, site
