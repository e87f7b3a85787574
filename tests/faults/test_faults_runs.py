"""A real server that carries runs on, killed: every acknowledged run ends, and nothing is said or made twice."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import JanServer, until
from tests.faults.conversation import check_files
from tests.faults.wire import Gone, Wire
from tests.parts import Site

pytestmark = pytest.mark.faults

CONFIG = '[endpoints]\nchat = "chat-scripted"\nmodels = "models-memory"\nruns = "runs-json"\n'
PATIENCE = 60.0
"""Seconds in which a run that was left must end; a second or two on a machine that does nothing else."""
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def words(number: int, length: int) -> list[str]:
    return [f"{number}.{place} " for place in range(length)]


class Asker:
    """Begins one run after another in a thread of its own, each under a key, and sees it to its end.

    Args:
        name: tells its keys apart from those of others.
        kind: `plain`, `stream`, or `tools`: what its runs do, and how they are asked for.
        thread: the thread's id.
    """

    def __init__(self, name: str, kind: str, thread: str, chance: random.Random) -> None:
        self.name, self.kind, self.thread, self._chance = name, kind, thread, chance
        self.path = f"/threads/{thread}/runs"
        self.said: list[list[str]] = []
        self.runs: dict[int, str] = {}
        self.given: set[str] = set()

    def work(self, wire: Wire) -> None:
        """One run, from its beginning to its end."""
        self.said.append(words(len(self.said), self._chance.randrange(1, 30)))
        self.go_on(wire)

    def go_on(self, wire: Wire) -> None:
        """Ask once more for the newest run, which gives the one there is, and see it to its end."""
        number = len(self.said) - 1
        if number not in self.runs:
            self.runs[number] = self._begin(wire, number)
        run = self.rested(wire, self.runs[number])
        if run["status"] == "requires_action":
            self._give(wire, run)
            run = self.rested(wire, run["id"])
        assert run["status"] in ("completed", "failed" if self.kind == "stream" else "completed"), run

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

    def _script(self, number: int) -> str:
        answer: dict[str, Any] = {"say": self.said[number], "rate": self._chance.choice((0, 300, 1000))}
        if self.kind == "tools":
            answer = {"call": [{"name": "f", "arguments": {"number": number}}]}
        return json.dumps(answer)

    def _begin(self, wire: Wire, number: int) -> str:
        # The same body each time: it is what the key stands for.
        self._chance.seed(f"{self.name} {number}")
        body = {
            "assistant_id": "jan",
            "model": "scripted",
            "tools": [FUNCTION],
            "additional_messages": [{"role": "user", "content": self._script(number)}],
        }
        key = f"{self.name} {number}"
        if self.kind == "stream":
            return self._stream(wire, {**body, "stream": True}, key, number)
        return str(wire.good("POST", self.path, body, key=key)["id"])

    def _stream(self, wire: Wire, body: Any, key: str, number: int) -> str:
        events = wire.stream(f"{self.path}", body, key)
        name, run = next(events)
        assert name == "thread.run.created"
        self.runs[number] = run["id"]
        assert [name for name, _ in events][-1] == "done"
        return str(run["id"])

    def _give(self, wire: Wire, run: Any) -> None:
        (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        number = json.loads(call["function"]["arguments"])["number"]
        assert self.runs[number] == run["id"]
        output = json.dumps({"say": self.said[number], "rate": 1000})
        body = {"tool_outputs": [{"tool_call_id": call["id"], "output": output}]}
        status, reply = wire.ask("POST", f"{self.path}/{run['id']}/submit_tool_outputs", body)
        # An answer that did not arrive may have been given all the same.
        assert status == 200 or reply["error"]["code"] == "run_not_waiting", reply
        self.given.add(run["id"])

    def check(self, wire: Wire) -> None:
        """Everything that was acknowledged is there, once, and has ended."""
        runs = wire.all(self.path)
        assert [one["id"] for one in runs] == [self.runs[number] for number in range(len(self.said))], "lost or doubled"
        messages = wire.all(f"/threads/{self.thread}/messages")
        assert len({one["id"] for one in messages}) == len(messages)
        found = [self._text(one) for one in messages if one["role"] == "user"]
        assert len(found) == len(runs), "an additional message is lost or doubled"
        answers: dict[str, list[Any]] = {}
        for one in messages:
            if one["role"] == "assistant":
                answers.setdefault(one["run_id"], []).append(one)
        assert set(answers) <= set(self.runs.values())
        for number, run in enumerate(runs):
            self._check_run(wire, run, "".join(self.said[number]), answers.get(run["id"], []))

    def _check_run(self, wire: Wire, run: Any, text: str, answers: list[Any]) -> None:
        steps = wire.all(f"{self.path}/{run['id']}/steps")
        said = [one["step_details"]["message_creation"]["message_id"] for one in steps if one["type"] != "tool_calls"]
        assert [one["id"] for one in answers] == said, (run, steps, answers)
        assert not [one for one in (*steps, *answers) if one["status"] == "in_progress"]
        if run["status"] == "completed":
            assert [self._text(one) for one in answers] == [text]
            assert [one["type"] for one in steps] == ["tool_calls"] * (self.kind == "tools") + ["message_creation"]
            assert {one["status"] for one in (*steps, *answers)} == {"completed"}
            return
        assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
        assert all(text.startswith(self._text(one)) for one in answers)
        assert {one["status"] for one in answers} <= {"incomplete"}

    @staticmethod
    def _text(message: Any) -> str:
        return "".join(part["text"]["value"] for part in message["content"])


class Stream(Wire):
    """A connection that can also read the events of a run."""

    def stream(self, path: str, body: Any, key: str) -> Any:
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


def scripted_root(folder: Path) -> tuple[Path, Site]:
    """A root whose chat is the scripted engine, and what has to be installed for it."""
    site, root = Site(folder / "site"), folder / "root"
    site.folder.mkdir()
    modules = {"chat-scripted": "jan_core.testing.scripted", "models-memory": "jan_core.testing.memory"}
    site.add("jan-scripted", {}, {"modules": modules})
    root.mkdir()
    (root / "jan.toml").write_text(CONFIG)
    return root, site


def carried_on(server: JanServer, askers: list[Asker], seconds: float) -> list[BaseException]:
    """Let all of them ask until the server is killed, after so many seconds; what they complain of."""
    wrong: list[BaseException] = []
    begun, pause = threading.Barrier(len(askers) + 1), threading.Event()

    def ask(asker: Asker) -> None:
        wire = Stream(server.port)
        begun.wait()
        try:
            while True:
                asker.work(wire)
        except Gone:
            pass
        except BaseException as error:
            wrong.append(error)
        finally:
            wire.close()

    threads = [threading.Thread(target=ask, args=(asker,)) for asker in askers]
    for one in threads:
        one.start()
    begun.wait()
    pause.wait(seconds)
    server.stop(signal.SIGKILL)
    for one in threads:
        one.join(120)
        assert not one.is_alive()
    return wrong


def test_a_server_that_is_killed_while_runs_go_on_leaves_none_stuck(tmp_path: Path, full_counts: bool) -> None:
    chance, kills = random.Random(9), 200 if full_counts else 20
    root, site = scripted_root(tmp_path)
    askers: list[Asker] = []
    with JanServer(root, site=site) as server:
        wire = Wire(server.port)
        for number, kind in enumerate(("plain", "plain", "stream", "stream", "tools", "tools")):
            thread = wire.good("POST", "/threads", {})["id"]
            askers.append(Asker(f"{kind} {number}", kind, thread, random.Random(number)))
        wire.close()
    left = 0
    for _ in range(kills):
        with JanServer(root, site=site) as server:
            left += check(server.port, askers)
            check_files(root)
            wrong = carried_on(server, askers, chance.uniform(0.02, 0.4))
            assert not wrong, wrong
    with JanServer(root, site=site) as server:
        left += check(server.port, askers)
        check_files(root)
    ended = sum(len(one.runs) for one in askers)
    assert left > kills, "hardly a run was going on, so nothing was tried"
    print(
        f"\n{len(askers)} clients, killed -9 {kills} times: {ended} runs acknowledged, {left} of them left in the "
        "middle; 0 stuck, 0 lost, 0 doubled"
    )


def check(port: int, askers: list[Asker]) -> int:
    """See to it that every run ends, and look at all of them; returns how many had not when the server was killed."""
    left = 0
    wire = Stream(port)
    for asker in askers:
        if asker.said:
            ids = [asker.runs[number] for number in asker.runs]
            before = [wire.good("GET", f"{asker.path}/{one}") for one in ids[-1:]]
            left += len([one for one in before if one["status"] in ("queued", "in_progress", "requires_action")])
            left += len(asker.said) > len(ids)
            asker.go_on(wire)
        asker.check(wire)
    wire.close()
    return left


def test_a_server_takes_up_the_runs_of_one_that_died_beside_it(tmp_path: Path) -> None:
    root, site = scripted_root(tmp_path)
    with JanServer(root, site=site) as first, JanServer(root, site=site) as second:
        wire, other = Wire(first.port), Wire(second.port)
        made: list[tuple[str, str]] = []
        for number in range(4):
            thread = wire.good("POST", "/threads", {})["id"]
            script = json.dumps({"say": words(number, 40), "rate": 40})
            body = {
                "assistant_id": "jan",
                "model": "scripted",
                "additional_messages": [{"role": "user", "content": script}],
            }
            made.append((thread, wire.good("POST", f"/threads/{thread}/runs", body)["id"]))
        # What goes on there is seen, and can be cancelled, here.
        thread, run = made.pop()
        assert other.ask("POST", f"/threads/{thread}/messages", {"role": "user", "content": "no"})[0] == 400
        assert other.good("POST", f"/threads/{thread}/runs/{run}/cancel", {})["status"] == "cancelling"
        began = time.monotonic()
        until(lambda: other.good("GET", f"/threads/{thread}/runs/{run}")["status"] == "cancelled", 30, "the cancel")
        cancelled = time.monotonic() - began
        first.stop(signal.SIGKILL)
        began = time.monotonic()
        for number, (thread, run) in enumerate(made):
            path = f"/threads/{thread}/runs/{run}"
            until(lambda path=path: other.good("GET", path)["status"] == "completed", 60, "the run's end")  # type: ignore[misc]
            assert other.texts(thread)[1:] == ["".join(words(number, 40))]
            assert len(other.all(f"{path}/steps")) == 1
        print(
            f"\ncancelled from the other process in {1000 * cancelled:.0f} ms; 3 runs of a killed process completed by "
            f"the other in {time.monotonic() - began:.1f} s"
        )
        wire.close()
        other.close()
