"""The backend: the assistants whose code is in use, each in a process of its own that stays warm between calls."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anyio
import anyio.to_thread
from pydantic import ValidationError

from jan_code.loaded import TOLD, BrokenCode, CodeTool, Places, RunFailed, Running, broken_code, check_ended, storable
from jan_code.settings import CodeSettings
from jan_core import call
from jan_core.backend import Backend
from jan_core.errors import Unavailable
from jan_core.folder.layout import Layout

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.types import ASGIApp

    from jan_code.conversation import Begins, Said, Stepped, Used
    from jan_code.process import CodeProcess
    from jan_code.source import Seen, Source
    from jan_core.app import Jan

# What only code needs is imported where it begins: most servers start without any.
THREADS = 4
"""Blocking looks at the disk that go on at once."""

log = logging.getLogger("jan")


class Code(Backend):
    """The own code of assistants. See `Backend`."""

    name: ClassVar[str] = "jan-code"
    settings_model: ClassVar[type[BaseModel]] = CodeSettings
    settings: CodeSettings

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        self._layout = Layout(jan.root)
        self._running: dict[str, Running] = {}
        self._places: dict[tuple[str, int], Places] = {}
        self._seen: dict[str, Seen] = {}
        self._app: ASGIApp | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._bwrap: str | None = None
        self._tried = False
        self._disk: anyio.CapacityLimiter | None = None

    async def __aenter__(self) -> Self:
        self._disk = anyio.CapacityLimiter(THREADS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running = [*self._running.values(), *(one for places in self._places.values() for one in places.free)]
        self._running, self._places = {}, {}
        for one in running:
            self._let_go(one, "the server stops")
        while self._ending:
            await asyncio.wait(list(self._ending))

    async def tools(self, assistant_id: str) -> Sequence[CodeTool]:
        """What the assistant's functions are as tools; nothing where it has no code, or code is switched off.

        They are told anew after every change of the code.

        Raises:
            BrokenCode: `index.py` cannot be loaded.
            InvalidRequest: it may not be; see `find`.
            Unavailable: the process cannot be started.
        """
        known = await self._known(assistant_id)
        return () if known is None else known.tools

    async def has_run(self, assistant_id: str) -> bool:
        """Whether the assistant's code has a `run` of its own.

        Raises:
            JanError: as `tools`.
        """
        known = await self._known(assistant_id)
        return known is not None and known.own_run

    async def has(self, assistant_id: str) -> tuple[bool, Sequence[CodeTool]]:
        """What `has_run` and `tools` tell, with one look at the code.

        Raises:
            JanError: as `tools`.
        """
        known = await self._known(assistant_id)
        return (False, ()) if known is None else (known.own_run, known.tools)

    async def _known(self, assistant_id: str) -> Running | None:
        """What is known of the code as it is now; None where there is none."""
        source = await self._source(assistant_id)
        if source is None:
            return None
        running = self._running.setdefault(assistant_id, Running())
        if running.source is not None and source.same(running.source):
            return running  # without waiting for a call that goes on
        async with running.lock:
            if running.source is None or not source.same(running.source):
                await self._start(running, source)
            return running

    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        """Carry out a function. Calls of one assistant wait for each other.

        Cancelling it ends the process, and with it what the function is at.

        Args:
            assistant_id: whose it is.
            name: the function, one that `tools` told.
            arguments: what the model wrote: JSON, perhaps invalid.

        Returns:
            What it gave, as text; or `error: …` where it failed, took too long, or ended its process.

        Raises:
            BrokenCode: `index.py` cannot be loaded any more.
            InvalidRequest: as `tools`, or the assistant has no code any more.
            Unavailable: as `tools`.
        """
        from jan_code.process import Ended

        source = await self._needed(assistant_id, name)
        running = self._running.setdefault(assistant_id, Running())
        async with running.lock:
            process, number = await self._ready(running, source)
            asked = {"call": {"number": number, "name": name, "arguments": arguments}}
            try:
                answer = await process.ask(asked, self.settings.call_seconds)
            except Ended as error:
                self._end_process(running)
                log.warning("the code of the assistant %s was ended during %s: %s", assistant_id, name, error)
                return f"error: {name} was ended: {error}"
            except asyncio.CancelledError:
                self._end_process(running)
                raise
            self._set_timer(running)
        if answer.get("number") == number and isinstance(answer.get("output"), str):
            return storable(answer["output"])
        return storable(f"error: {answer.get('error')}")

    async def run(
        self, assistant_id: str, context: Mapping[str, Any]
    ) -> AsyncGenerator[Begins | Said | Stepped | Used]:
        """Carry out the assistant's own `run`, and give what it says and does.

        It has a process for itself; as many as `[jan-code] runs` go on at once, others wait. Those that such a run asks
        for are counted by themselves. What its code asks of the
        server is done in the name of the current call. The first event is `Begins`. Closing this early ends the
        process.

        Args:
            assistant_id: whose it is.
            context: what it gets, as JSON: `thread`, `assistant`, `run`, `messages`, `request`.

        Raises:
            RunFailed: it failed, or was ended.
            BrokenCode: `index.py` cannot be loaded any more.
            InvalidRequest: as `tools`, or the assistant has no code any more.
            Unavailable: as `tools`.
        """
        from jan_code.conversation import Begins, Conversation
        from jan_code.process import Ended

        caller = call.current()
        depth = 0 if caller is None else caller.depth
        # A run within a run has a place of another level: one that waits for it does not wait for its own place.
        level = assistant_id, depth
        places = self._places.get(level)
        if places is None:
            places = self._places[level] = Places(asyncio.Semaphore(self.settings.runs), [])
        async with places.room:
            source = await self._needed(assistant_id, "run")
            running = places.free.pop() if places.free else Running()
            try:
                process, number = await self._ready(running, source)
                tools = [{"type": "function", "function": vars(tool)} for tool in running.tools]
                asked = {"run": {"number": number, "context": {**context, "tools": tools}}}
                yield Begins()
                conversation = Conversation(process, self._application(), self.settings.output_bytes)
                async with aclosing(conversation.hold(asked, self.settings.run_seconds)) as events:
                    async for event in events:
                        yield event
                self._set_timer(running)
            except Ended as error:
                log.warning("the code of the assistant %s was ended during its run: %s", assistant_id, error)
                raise RunFailed(f"The assistant's own run was ended: {error}.") from None
            finally:
                if running.timer is None:
                    self._end_process(running)
                places.free.append(running)
            check_ended(conversation.answer, number)

    async def has_code(self, assistant_id: str) -> bool:
        """True where the assistant has code that may be run.

        Raises:
            InvalidRequest: see `find`.
        """
        return await self._source(assistant_id) is not None

    async def _needed(self, assistant_id: str, name: str) -> Source:
        source = await self._source(assistant_id)
        if source is None:
            raise BrokenCode(
                f"The assistant {assistant_id!r} has no code (any more) to carry out {name!r} with; it was in "
                f"{self._layout.assistant_folder(assistant_id)}{os.sep}src."
            )
        return source

    async def _ready(self, running: Running, source: Source) -> tuple[CodeProcess, int]:
        """A process that has loaded the code as it is now, and the number of what it is asked next."""
        process = running.process
        if process is None or not process.alive or running.source is None or not source.same(running.source):
            process = await self._start(running, source)
        self._stop_timer(running)
        running.calls += 1
        return process, running.calls

    def _application(self) -> ASGIApp:
        """The app that the code's requests go to: the server's, or one of its own where nobody serves."""
        found = self.jan.application or self._app
        if found is None:
            from jan_core.asgi import create_app

            found = self._app = create_app(self.jan)
        return found

    async def _source(self, assistant_id: str) -> Source | None:
        if not self.settings.enabled:
            return None
        from jan_code.source import Seen, find, is_there

        seen = self._seen.get(assistant_id)
        if seen is None:
            if not is_there(self._layout, assistant_id):
                return None
            seen = Seen()
        look = partial(find, self._layout, assistant_id, seen)
        source: Source | None = look() if seen.few else await self._blocking(look)
        if source is None:
            self._seen.pop(assistant_id, None)
        else:
            self._seen[assistant_id] = seen
        return source

    async def _start(self, running: Running, source: Source) -> CodeProcess:
        """Start a process and have it load the code; of one that was there before nothing is left."""
        from jan_code import limits, walls
        from jan_code.process import CodeProcess, Ended

        self._end_process(running)
        running.source, running.tools, running.own_run = None, (), False
        if not self._tried:
            self._bwrap, told = await self._blocking(walls.find_bwrap)
            self._tried = True
            log.info("code of assistants runs %s bubblewrap: %s", "inside" if self._bwrap else "without", told)
        given = await self._blocking(lambda: limits.of(self.settings, walls=self._bwrap is not None))
        private = running.private = await self._private()
        process = running.process = CodeProcess(source.assistant_id, self.settings.output_bytes)
        command = walls.command(self._bwrap, source, private, given)
        environment = walls.environment(private if self._bwrap is None else "/tmp")
        asked = {**given, "index": source.index, "src": source.src}
        asked["packages"] = [] if source.packages is None else [source.packages]
        try:
            await process.start(command, environment, private)
            answer = await process.ask({"load": asked}, self.settings.load_seconds)
        except Ended as error:
            self._end_process(running)
            raise BrokenCode(f"{source.index} could not be loaded: {error}.") from None
        except OSError as error:
            running.process = None
            self._later(self._remove(private))
            raise Unavailable(f"The code of the assistant {source.assistant_id!r} cannot be started: {error}") from None
        except BaseException:
            self._end_process(running)
            raise
        if (broken := answer.get("broken")) is not None:
            self._end_process(running)
            raise broken_code(source, broken)
        try:
            tools, told, own_run = TOLD.validate_python((answer.get("tools"), answer.get("told"), answer.get("run")))
        except ValidationError:
            self._end_process(running)
            raise BrokenCode(f"{source.index} could not be loaded: it wrote into the server's channel.") from None
        for sentence in told:
            log.warning("%s, %s", source.index, sentence)
        running.tools, running.own_run = tuple(tools), own_run
        running.source = source
        self._set_timer(running)
        return process

    async def _private(self) -> str:
        """A new folder for a process. Where nobody waits for it any more, it is removed when it is there."""
        import tempfile

        making = asyncio.create_task(self._blocking(lambda: tempfile.mkdtemp(prefix="jan-code-")))
        try:
            return str(await asyncio.shield(making))
        except asyncio.CancelledError:
            self._later(self._unmake(making))
            raise

    async def _unmake(self, making: asyncio.Task[str]) -> None:
        with suppress(OSError):  # there is none
            await self._remove(await making)

    async def _blocking(self, work: Any) -> Any:
        return await anyio.to_thread.run_sync(work, limiter=self._disk)

    def _set_timer(self, running: Running) -> None:
        self._stop_timer(running)
        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(self.settings.idle_seconds, self._idle, running)

    def _stop_timer(self, running: Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None

    def _idle(self, running: Running) -> None:
        running.timer = None
        if not running.lock.locked():
            self._let_go(running, "it was idle")

    def _end_process(self, running: Running) -> None:
        self._let_go(running, "it is not needed any more")

    def _let_go(self, running: Running, why: str) -> None:
        """End the process of an assistant, where there is one; its tools stay known."""
        self._stop_timer(running)
        process, running.process = running.process, None
        private, running.private = running.private, ""
        if process is not None:
            process.kill(why)
            self._later(self._clear(process, private))

    async def _clear(self, process: CodeProcess, private: str) -> None:
        await asyncio.wait({process.exited}, timeout=10)
        await self._remove(private)

    async def _remove(self, private: str) -> None:
        import shutil

        await self._blocking(lambda: shutil.rmtree(private, ignore_errors=True))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for but the end of the server."""
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
