"""An app with runs under test, and short names for what the clauses do most.

The model is the scripted engine: what the last message of a request says is what it does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jan_core import call
from jan_core.endpoint import Endpoint
from jan_core.endpoints.runs import Runs
from jan_core.errors import JanError
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.messages import MessagesQuery
from jan_core.schemas.runs import RunRequest, RunsQuery, RunStepsQuery, ThreadRunRequest, ToolOutputsRequest
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.contract.case import Broken, Case, check_type, same, segment, written
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.objects_case import body_of
from jan_core.testing.contract.run_grammar import ENDS, Story, run_stands, step_stands, story
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_runs import LIVE
from jan_core.validation import parse_query

if TYPE_CHECKING:
    from jan_core.app import Jan

T = TypeVar("T")

SOON = 20.0
"""Seconds in which what is to happen must have happened, on however slow a machine."""
ADD: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}
"""A tool that the scripts call."""
Pair = tuple[str, dict[str, Any]]


def script(**what: Any) -> str:
    """What the engine is to do; see `jan_core.testing.scripted`."""
    return json.dumps(what)


def calling(*names: str, **what: Any) -> str:
    """A script that calls functions, each with its place as the argument `n`."""
    return script(call=[{"name": name, "arguments": {"n": n}} for n, name in enumerate(names or ("add",))], **what)


LONG = script(say=["once ", "upon ", "a ", "time "], rate=50, hang=True)
"""A script that says something, and never comes to its end."""


class RunsCase(Case):
    """An app with everything else in memory, and runs under test."""

    brief: Callable[[Path], Jan]
    """Builds an app whose runs expire after two seconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directly = itertools.cycle((True, False))
        self._assistant: str | None = None

    @asynccontextmanager
    async def expiring(self) -> AsyncIterator[RunsCase]:
        """A second app on the same storage, whose runs expire after two seconds."""
        async with RunsCase(self.brief, self._name, self._folder) as other:
            yield other

    async def assistant(self, **fields: Any) -> str:
        """The id of a new assistant, with one tool where nothing else is said."""
        body = {"model": "scripted", "tools": [ADD], **fields}
        return str((await self.ask("assistants.create", body_of(AssistantRequest, body))).id)

    async def usual(self) -> str:
        """The id of the assistant that answers where no other is named."""
        if self._assistant is None:
            self._assistant = await self.assistant()
        return self._assistant

    async def thread(self, *texts: str, **fields: Any) -> str:
        """The id of a new thread in which a user said these texts."""
        body = {"messages": [{"role": "user", "content": text} for text in texts], **fields}
        return str((await self.ask("threads.create", body_of(ThreadRequest, body))).id)

    async def say(self, thread: str, text: str) -> None:
        """Add a message of the user."""
        status, told = await self.send("POST", f"/threads/{thread}/messages", {"role": "user", "content": text})
        same("the status of a message to add", (status, told.get("error")), (200, None))

    async def begin(self, thread: str, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Begin a run, by turns directly and over HTTP; the reply."""
        body = {"assistant_id": fields.pop("assistant_id", None) or await self.usual(), **fields}
        if next(self._directly):
            return dict(written(await self.ask("runs.create", thread, body_of(RunRequest, body), key=key)))
        return await self.sent("POST", thread, body=body, key=key)

    async def sent(self, method: str, thread: str, *ids: str, **how: Any) -> dict[str, Any]:
        """A request below `/threads/{thread}/runs` that is answered; see `Case.send`."""
        path = "/".join([f"/threads/{segment(thread)}/runs", *(segment(id) for id in ids)])
        status, told = await self.send(method, path, **how)
        if status != 200:
            raise Broken(f"{method} {path[:200]} answered {status}: {told}")
        return dict(told)

    async def hear(self, thread: str, **fields: Any) -> Story:
        """Begin a run, by turns directly and over HTTP, and listen to its end."""
        return story(await self.heard(thread, **fields))

    async def heard(self, thread: str, key: str | None = None, **fields: Any) -> list[Pair]:
        """Begin a run, by turns directly and over HTTP, and listen to its end; what was heard."""
        body = {"assistant_id": fields.pop("assistant_id", None) or await self.usual(), **fields}
        if next(self._directly):
            return await self.listened("runs.create_stream", thread, body_of(RunRequest, body), key=key)
        return await self.sent_stream(f"/threads/{segment(thread)}/runs", body, key=key)

    async def listened(self, operation: str, *arguments: Any, key: str | None = None) -> list[Pair]:
        """The events of a stream that other modules get."""

        async def request() -> list[Pair]:
            call.enter(call.Call("req_contract", idempotency_key=key))
            found = []
            async for event in getattr(self.tested, operation.rpartition(".")[2])(*arguments):
                check_type(
                    f"an event of {operation}", type(self.tested).operations()["create_stream"].types().item, event
                )
                found.append((event.event, written(event.data)))
            return found

        try:
            async with asyncio.timeout(SOON):
                return await asyncio.create_task(request())
        except (JanError, AssertionError):
            raise
        except TimeoutError:
            raise Broken(f"the stream of {operation} has no end within {SOON:.0f} seconds") from None
        except Exception as error:
            raise Broken(f"{operation} raised {error!r}") from error

    async def sent_stream(self, path: str, body: dict[str, Any], key: str | None = None) -> list[Pair]:
        """The events of a stream over HTTP, which ends with `done`."""
        headers = {"idempotency-key": key} if key is not None else {}
        try:
            async with asyncio.timeout(SOON):
                reply = await self.http.request("POST", path, json={**body, "stream": True}, headers=headers)
        except TimeoutError:
            raise Broken(f"the stream of POST {path} has no end within {SOON:.0f} seconds") from None
        if reply.status_code != 200:
            raise Broken(f"POST {path} as a stream answered {reply.status_code}: {reply.text}")
        same("the type of a stream", reply.headers["content-type"].split(";")[0], "text/event-stream")
        blocks = [block.split("\n") for block in reply.text.split("\n\n") if block]
        same("the last event", blocks[-1:], [["event: done", "data: [DONE]"]])
        return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks[:-1]]

    async def until(self, thread: str, run: str, *statuses: str) -> dict[str, Any]:
        """The run as soon as it has one of these statuses.

        Raises:
            Broken: it does not come to have one.
        """
        told = None
        try:
            async with asyncio.timeout(SOON):
                while True:
                    told = written(await self.ask("runs.retrieve", thread, run))
                    if told["status"] in statuses:
                        break
                    if told["status"] in ENDS:
                        raise Broken(f"a run ended {told['status']}, and not {' or '.join(statuses)}: {told}")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            status = told["status"] if told else "unknown"
            raise Broken(f"a run is still {status} after {SOON:.0f} seconds, and not {' or '.join(statuses)}") from None
        run_stands(told)
        return dict(told)

    async def ended(self, thread: str, run: str, status: str = "completed") -> dict[str, Any]:
        """The run, once it has ended so, read both ways."""
        await self.until(thread, run, status)
        return await self.read(thread, run)

    async def done(self, thread: str, status: str = "completed", **fields: Any) -> dict[str, Any]:
        """Begin a run, and wait for its end."""
        return await self.ended(thread, (await self.begin(thread, **fields))["id"], status)

    async def waiting(self, text: str = "", **fields: Any) -> tuple[str, dict[str, Any], list[str]]:
        """A new thread with a run that waits for outputs: the thread, the run, and the ids of the calls."""
        thread = await self.thread(text or calling())
        made = await self.begin(thread, **fields)
        run = await self.until(thread, made["id"], "requires_action")
        return thread, run, self.calls(run)

    @staticmethod
    async def in_time(begin: Callable[[], Awaitable[T]]) -> T:
        """What a run that expires soon comes to: begun again, some times, where a slow machine let it expire before."""
        for _ in range(4):
            try:
                return await begin()
            except Broken as error:
                if "ended expired" not in str(error):
                    raise
        return await begin()

    @staticmethod
    def calls(run: dict[str, Any]) -> list[str]:
        """The ids of the calls that a run waits for."""
        return [one["id"] for one in run["required_action"]["submit_tool_outputs"]["tool_calls"]]

    async def answering(self, text: str = LONG, **fields: Any) -> tuple[str, dict[str, Any]]:
        """A new thread with a run that is saying something: the thread, and the run. It has said `once ` at least."""
        thread = await self.thread(text)
        run = await self.begin(thread, **fields)
        try:
            async with asyncio.timeout(SOON):
                while True:
                    told = await self.ask("runs.unfinished", thread)
                    if told is not None and told.message is not None and told.message.content:
                        return thread, run
                    ended = (await self.ask("runs.retrieve", thread, run["id"])).status
                    if ended in ENDS:
                        raise Broken(f"a run ended {ended} before `unfinished` showed any text of it")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise Broken(f"`unfinished` shows no text within {SOON:.0f} seconds, of an answer that goes on") from None

    async def submit(self, thread: str, run: str, outputs: Mapping[str, str]) -> dict[str, Any]:
        """Give outputs of tools, by turns directly and over HTTP; the reply."""
        body = outputs_of(outputs)
        if next(self._directly):
            given = body_of(ToolOutputsRequest, body)
            return dict(written(await self.ask("runs.submit_tool_outputs", thread, run, given)))
        return await self.sent("POST", thread, run, "submit_tool_outputs", body=body)

    async def submit_heard(self, thread: str, run: str, outputs: Mapping[str, str]) -> list[Pair]:
        """Give outputs of tools, by turns directly and over HTTP, and listen to the end; what was heard."""
        body = outputs_of(outputs)
        if next(self._directly):
            given = body_of(ToolOutputsRequest, body)
            return await self.listened("runs.submit_tool_outputs_stream", thread, run, given)
        return await self.sent_stream(f"/threads/{segment(thread)}/runs/{segment(run)}/submit_tool_outputs", body)

    async def cancel(self, thread: str, run: str) -> dict[str, Any]:
        """Cancel a run, by turns directly and over HTTP; the reply."""
        if next(self._directly):
            return dict(written(await self.ask("runs.cancel", thread, run)))
        return await self.sent("POST", thread, run, "cancel")

    async def read(self, thread: str, run: str) -> dict[str, Any]:
        """A run that stands still, read both ways."""
        found = written(await self.ask("runs.retrieve", thread, run))
        same("the run over HTTP, against the one that other modules get", await self.sent("GET", thread, run), found)
        run_stands(found)
        return dict(found)

    async def page(self, thread: str, **query: Any) -> dict[str, Any]:
        """A page of runs, read both ways."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        found = written(await self.ask("runs.list", thread, parse_query(RunsQuery, given)))
        over_http = await self.sent("GET", thread, query=given)
        same(f"the page {given} over HTTP, against the one that other modules get", over_http, found)
        return dict(found)

    async def runs(self, thread: str) -> list[dict[str, Any]]:
        """All runs, oldest first."""
        return list((await self.page(thread, order="asc", limit=100))["data"])

    async def steps(self, thread: str, run: str, **query: Any) -> list[dict[str, Any]]:
        """The steps of a run that stands still, oldest first unless told otherwise, read both ways."""
        given = {"order": "asc", **{name: str(value) for name, value in query.items()}}
        page = written(await self.ask("runs.list_steps", thread, run, parse_query(RunStepsQuery, given)))
        same("the steps over HTTP", await self.sent("GET", thread, run, "steps", query=given), page)
        for one in page["data"]:
            step_stands(one)
        return list(page["data"])

    async def only_step(self, thread: str, run: str) -> dict[str, Any]:
        """The one step of a run that stands still.

        Raises:
            Broken: it has none, or several.
        """
        found = await self.steps(thread, run)
        same("how many steps the run has", len(found), 1)
        return found[0]

    async def answer(self, thread: str) -> dict[str, Any]:
        """The one answer to the one message of a thread.

        Raises:
            Broken: there is none, or there are several.
        """
        found = await self.messages(thread)
        same("how many messages the thread has", len(found), 2)
        return found[1]

    async def messages(self, thread: str, **query: Any) -> list[dict[str, Any]]:
        """The messages of a thread, oldest first."""
        page = await self.ask("messages.list", thread, MessagesQuery(order="asc", limit=100, **query))
        return [written(one) for one in page.data]

    async def texts(self, thread: str) -> list[str]:
        """The text of each message, oldest first."""
        return ["".join(part["text"]["value"] for part in one["content"]) for one in await self.messages(thread)]

    @contextmanager
    def asked(self) -> Iterator[list[dict[str, Any]]]:
        """What the model is asked meanwhile, as chat requests."""
        found: list[dict[str, Any]] = []

        async def look(proceed: Callable[..., Any], body: Any) -> Any:
            found.append(body.model_dump(mode="json", exclude_none=True))
            return await proceed(body)

        with self.around("chat.create_stream", look):
            yield found

    def thread_run(self, body: dict[str, Any]) -> ThreadRunRequest:
        """A body for a thread and its run."""
        return body_of(ThreadRunRequest, body)  # type: ignore[return-value]


def outputs_of(outputs: Mapping[str, str]) -> dict[str, Any]:
    """The body that gives outputs, by the id of the call."""
    return {"tool_outputs": [{"tool_call_id": id, "output": text} for id, text in outputs.items()]}


def text_of(message: dict[str, Any]) -> str:
    """The text of a message."""
    return "".join(part["text"]["value"] for part in message["content"])


class OfRuns(Contract):
    """What the parts of the contract share.

    A module under test takes the setting `expires_seconds`: how long a run waits.
    """

    endpoint: ClassVar[type[Endpoint]] = Runs
    letter: ClassVar[str] = "R"
    case: ClassVar[type[Case]] = RunsCase
    live: ClassVar[Mapping[str, type[Watch]]] = LIVE
    _brief: ClassVar[Mapping[str, Any]] = {"expires_seconds": 2}

    def app(self, root: Path, module: str, settings: Mapping[str, Any] | None = None, **how: Any) -> Jan:
        """See `Contract`."""
        settings = {**(settings or {}), **self.__dict__.get("_added", {})}
        return super().app(root, module, settings, **how)

    def make_brief(self, tmp_path: Path) -> Jan:
        """As `make`, with runs that expire after two seconds. To be written where `make` does not use `app`."""
        self.__dict__["_added"] = self._brief
        try:
            return self.make(tmp_path)
        finally:
            del self.__dict__["_added"]

    def opened(self, folder: Path) -> Case:
        """See `Contract`."""
        case = super().opened(folder)
        assert isinstance(case, RunsCase)
        case.brief = self.make_brief
        return case
