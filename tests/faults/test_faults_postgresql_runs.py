"""Several real servers on one database: each serves every request about every run, any may be killed in the middle."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest
from jan_postgresql.testing import dsn_for

from jan_core.testing.contract.run_grammar import story
from tests.e2e.server import JanServer, until
from tests.faults.run_askers import FUNCTION, KINDS, Asker, Stream, scripted_root, words
from tests.faults.wire import Gone, Wire
from tests.parts import Site

pytestmark = [
    pytest.mark.faults,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
]

TAKEN_UP = 10.0
"""Seconds after which the runs of a server that was killed have been taken up by another one."""
SLACK = 20.0
"""Seconds that a machine may need besides that does much else."""


def roots(folder: Path, count: int) -> list[tuple[Path, Site]]:
    """Folders of servers that have nothing in common but a database."""
    made = []
    for number in range(count):
        (folder / str(number)).mkdir()
        root, site = scripted_root(folder / str(number))
        chosen = {"chat": "chat-scripted", "models": "models-memory"}
        chosen |= {name: f"{name}-postgresql" for name in ("threads", "messages", "runs")}
        lines = ["[endpoints]", *(f'{name} = "{module}"' for name, module in chosen.items())]
        lines += ["[jan-postgresql]", f"dsn = {json.dumps(dsn_for(folder))}", "max_connections = 5"]
        (root / "jan.toml").write_text("\n".join(lines) + "\n")
        made.append((root, site))
    return made


class Client:
    """An asker in a thread of its own, which asks some server that lives, and another one where that dies."""

    def __init__(self, asker: Asker, servers: list[JanServer], stop: threading.Event) -> None:
        self.asker, self.took, self.wrong = asker, list[float](), list[BaseException]()
        self._servers, self._stop, self._chance = servers, stop, random.Random(asker.kind.name)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        lost: float | None = None
        while not self._stop.is_set() or lost is not None:
            with closing(Stream(self._chance.choice(self._servers).port)) as wire:
                try:
                    if lost is None:
                        self.asker.work(wire)
                    else:
                        self.asker.go_on(wire)
                        self.took.append(time.monotonic() - lost)
                        lost = None
                except Gone:
                    lost = lost or time.monotonic()
                    self._stop.wait(0.05)
                except BaseException as error:
                    self.wrong.append(error)
                    return


def test_servers_are_killed_while_they_carry_runs_on(tmp_path: Path, full_counts: bool) -> None:
    kills, chance = 50 if full_counts else 5, random.Random(7)
    places = roots(tmp_path, 3)
    stop = threading.Event()
    with ExitStack() as stack:
        servers = [stack.enter_context(JanServer(root, site=site)) for root, site in places]
        with closing(Wire(servers[0].port)) as wire:
            askers = [Asker(kind, wire.good("POST", "/threads", {})["id"]) for kind in KINDS]
        clients = [Client(asker, servers, stop) for asker in askers]
        pause = threading.Event()
        try:
            killed = number = 0
            while killed < kills:
                pause.wait(chance.uniform(0.3, 1.5))
                # Every other time two of the three at once.
                victims = {number % 3, (number + number % 2) % 3}
                for one in victims:
                    servers[one].stop(signal.SIGKILL)
                for one in victims:
                    root, site = places[one]
                    servers[one] = stack.enter_context(JanServer(root, site=site))
                killed, number = killed + len(victims), number + 1
        finally:
            stop.set()
            for client in clients:
                client.thread.join(120)
        assert not [client.wrong for client in clients if client.wrong]
        assert not any(client.thread.is_alive() for client in clients)
        with closing(Stream(servers[0].port)) as wire:
            failed = 0
            for asker in askers:
                asker.go_on(wire)
                failed += asker.check(wire, all_steps=True)
    begun = sum(len(one.runs) for one in askers)
    took = sorted(one for client in clients for one in client.took)
    assert took, "nobody was asking the server that was killed, so nothing was tried"
    assert took[-1] < TAKEN_UP + SLACK
    print(
        f"\n3 servers on one database, one or two of them at once killed -9, {killed} in all: {begun} runs; "
        f"{len(took)} times a client had lost its server, and its run ended {took[len(took) // 2]:.1f} s later in the "
        f"middle, {took[-1]:.1f} s at most; {failed} runs failed because somebody had heard a part; 0 stuck, 0 lost, "
        "0 doubled"
    )


def test_any_of_them_serves_any_request_about_a_run(tmp_path: Path) -> None:
    (first_root, site), (second_root, _) = roots(tmp_path, 2)
    with JanServer(first_root, site=site) as first, JanServer(second_root, site=site) as second:
        one, other = closing(Wire(first.port)), closing(Wire(second.port))
        with one as here, other as there:
            path = f"/threads/{here.good('POST', '/threads', {})['id']}"
            said = json.dumps({"say": words("a", 1000), "rate": 20})
            asked = {"assistant_id": "jan", "model": "scripted"}
            here.good("POST", f"{path}/messages", {"role": "user", "content": said})
            run = here.good("POST", f"{path}/runs", asked)
            until(lambda: len(there.all(f"{path}/messages")) == 2, 20, "what is being said is listed elsewhere")
            assert there.all(f"{path}/messages")[-1]["status"] == "in_progress"
            assert there.good("GET", f"{path}/runs/{run['id']}")["status"] == "in_progress"
            assert there.ask("POST", f"{path}/messages", {"role": "user", "content": "no"})[0] == 400
            assert there.ask("POST", f"{path}/runs", asked)[0] == 400
            began = time.monotonic()
            assert there.good("POST", f"{path}/runs/{run['id']}/cancel", {})["status"] == "cancelling"
            until(lambda: here.good("GET", f"{path}/runs/{run['id']}")["status"] == "cancelled", 20, "the cancel")
            print(f"\ncancelled from another server in {1000 * (time.monotonic() - began):.0f} ms")
            assert there.all(f"{path}/messages")[-1]["status"] == "incomplete"
        _outputs_elsewhere(first, second)


def _outputs_elsewhere(first: JanServer, second: JanServer) -> None:
    """A run that waits on one server is gone on with on another, with the official client."""
    here, there = (
        openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none") for server in (first, second)
    )
    with here, there:
        script = json.dumps({"call": [{"name": "f", "arguments": {}}]})
        thread = here.beta.threads.create(messages=[{"role": "user", "content": script}]).id
        tools = [FUNCTION]
        run = here.beta.threads.runs.create_and_poll(
            thread_id=thread,
            assistant_id="jan",
            model="scripted",
            tools=tools,  # type: ignore[arg-type]
        )
        assert run.status == "requires_action"
        assert run.required_action is not None
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        output = json.dumps({"say": ["it ", "is ", "warm"]})
        with there.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread, tool_outputs=[{"tool_call_id": call.id, "output": output}]
        ) as stream:
            assert "".join(stream.text_deltas) == "it is warm"
        assert here.beta.threads.runs.retrieve(run.id, thread_id=thread).status == "completed"
        assert [step.type for step in here.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc")] == [
            "tool_calls",
            "message_creation",
        ]


def test_a_stream_of_a_run_that_another_server_carries_on_arrives_as_it_is_said(tmp_path: Path) -> None:
    (first_root, site), (second_root, _) = roots(tmp_path, 2)
    with JanServer(first_root, site=site) as first, JanServer(second_root, site=site) as second:
        here, there = (
            openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0)
            for server in (first, second)
        )
        with here, there:
            said = words("a", 120)
            script = json.dumps({"say": said, "rate": 20})
            thread = here.beta.threads.create(messages=[{"role": "user", "content": script}]).id
            asked: dict[str, Any] = {"thread_id": thread, "assistant_id": "jan", "model": "scripted"}
            asked["extra_headers"] = {"Idempotency-Key": "once"}
            events: list[tuple[str, Any]] = []
            pieces = 0
            with here.beta.threads.runs.create(**asked, stream=True) as heard:
                run = next(iter(heard)).data
                with there.beta.threads.runs.create(**asked, stream=True) as stream:
                    for event in stream:
                        events.append((event.event, event.data.to_dict(mode="json")))
                        if event.event == "thread.message.delta":
                            pieces += 1
                            if pieces in (1, 4):
                                state = here.beta.threads.runs.retrieve(run.id, thread_id=thread).status
                                assert state == "in_progress", f"piece {pieces} came when the run was {state}"
                            if pieces == 4:
                                assert _deafen(dsn_for(tmp_path)) == 2
            assert pieces >= 12, "what is said is stored once a second, as if nobody followed"
            told = story(events)
            assert told.run["id"] == run.id
            assert told.run["status"] == "completed"
            (message,) = told.messages.values()
            assert message["content"][0]["text"]["value"] == "".join(said)


def _deafen(dsn: str) -> int:
    """Take the connections away by which servers hear of each other; returns how many there were."""
    with psycopg.connect(dsn) as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN jan'"
        return len(connection.execute(f"{ended} AND datname = current_database()").fetchall())
