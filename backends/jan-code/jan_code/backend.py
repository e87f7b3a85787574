"""The backend: the assistants whose code is in use, each in a process of its own that stays warm between calls."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anyio
import anyio.to_thread
from pydantic import ConfigDict, TypeAdapter, ValidationError

from jan_code import limits, walls
from jan_code.process import CodeProcess, Ended
from jan_code.settings import CodeSettings
from jan_code.source import Source, find
from jan_core.backend import Backend
from jan_core.errors import InvalidRequest, JanError, Unavailable
from jan_core.folder.layout import Layout
from jan_core.schemas.tools import FunctionName

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan

THREADS = 4
"""Blocking looks at the disk that go on at once."""

log = logging.getLogger("jan")


class BrokenCode(InvalidRequest):
    """The code of an assistant cannot be loaded; the message names file and line."""

    code = "broken_code"


@dataclass(frozen=True)
class CodeTool:
    """A function of an assistant's code, as a tool.

    Attributes:
        name: what it is called by.
        description: what it does, for the model to read.
        parameters: the JSON schema of its arguments.
    """

    name: FunctionName
    description: str
    parameters: dict[str, Any]


TOLD: TypeAdapter[tuple[list[CodeTool], list[str]]] = TypeAdapter(
    tuple[list[CodeTool], list[str]], config=ConfigDict(defer_build=True)
)
"""What a process tells of the code that it has loaded. The code may have told it instead."""


@dataclass(eq=False)
class Running:
    """An assistant's code in use.

    Attributes:
        lock: held while something is asked of the process.
        process: the process; None where none runs.
        private: the folder of its own.
        source: what its tools were told from.
        tools: its tools.
        timer: ends the process when it has been idle for long enough.
        calls: how many there were.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: CodeProcess | None = None
    private: str = ""
    source: Source | None = None
    tools: tuple[CodeTool, ...] = ()
    timer: asyncio.TimerHandle | None = None
    calls: int = 0


class Code(Backend):
    """The own code of assistants. See `Backend`."""

    name: ClassVar[str] = "jan-code"
    settings_model: ClassVar[type[BaseModel]] = CodeSettings
    settings: CodeSettings

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        self._layout = Layout(jan.root)
        self._running: dict[str, Running] = {}
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
        running, self._running = list(self._running.values()), {}
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
        source = self._source(assistant_id)
        if source is None:
            return ()
        running = self._running.setdefault(assistant_id, Running())
        if running.source is not None and source.same(running.source):
            return running.tools  # without waiting for a call that goes on
        async with running.lock:
            if running.source is None or not source.same(running.source):
                await self._start(running, source)
            return running.tools

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
        source = self._source(assistant_id)
        if source is None:
            raise BrokenCode(
                f"The assistant {assistant_id!r} has no code (any more) to carry out {name!r} with; it was in "
                f"{self._layout.assistant_folder(assistant_id)}{os.sep}src."
            )
        running = self._running.setdefault(assistant_id, Running())
        async with running.lock:
            process = running.process
            if process is None or not process.alive or running.source is None or not source.same(running.source):
                process = await self._start(running, source)
            self._stop_timer(running)
            running.calls += 1
            number = running.calls
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
            return str(answer["output"])
        return f"error: {answer.get('error')}"

    def has_code(self, assistant_id: str) -> bool:
        """True where the assistant has code that may be run; one look at the disk.

        Raises:
            InvalidRequest: see `find`.
        """
        return self._source(assistant_id) is not None

    def _source(self, assistant_id: str) -> Source | None:
        return find(self._layout, assistant_id) if self.settings.enabled else None

    async def _start(self, running: Running, source: Source) -> CodeProcess:
        """Start a process and have it load the code; of one that was there before nothing is left."""
        self._end_process(running)
        running.source, running.tools = None, ()
        if not self._tried:
            self._bwrap, told = await self._blocking(walls.find_bwrap)
            self._tried = True
            log.info("code of assistants runs %s bubblewrap: %s", "inside" if self._bwrap else "without", told)
        given = await self._blocking(lambda: limits.of(self.settings, walls=self._bwrap is not None))
        private = running.private = await self._blocking(lambda: tempfile.mkdtemp(prefix="jan-code-"))
        process = running.process = CodeProcess(source.assistant_id, self.settings.output_bytes)
        command = walls.plain() if self._bwrap is None else walls.walled(self._bwrap, source, private)
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
            self._forget(private)
            raise Unavailable(f"The code of the assistant {source.assistant_id!r} cannot be started: {error}") from None
        except BaseException:
            self._end_process(running)
            raise
        if (broken := answer.get("broken")) is not None:
            self._end_process(running)
            raise _broken(source, broken)
        try:
            tools, told = TOLD.validate_python((answer.get("tools"), answer.get("told")))
        except ValidationError:
            self._end_process(running)
            raise BrokenCode(f"{source.index} could not be loaded: it wrote into the server's channel.") from None
        for sentence in told:
            log.warning("%s, %s", source.index, sentence)
        running.tools = tuple(tools)
        running.source = source
        self._set_timer(running)
        return process

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
            task = asyncio.create_task(self._clear(process, private))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _clear(self, process: CodeProcess, private: str) -> None:
        await asyncio.wait({process.exited}, timeout=10)
        await self._blocking(lambda: shutil.rmtree(private, ignore_errors=True))

    def _forget(self, private: str) -> None:
        task = asyncio.create_task(self._blocking(lambda: shutil.rmtree(private, ignore_errors=True)))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _broken(source: Source, broken: Any) -> JanError:
    told = broken if isinstance(broken, dict) else {}
    place = told.get("file") or source.index
    line = f":{told['line']}" if told.get("line") else ""
    hint = ""
    if str(told.get("error", "")).startswith("ModuleNotFoundError"):
        hint = f" `jan assistants install {source.assistant_id}` installs what its pyproject.toml names."
    return BrokenCode(f"The code of the assistant cannot be used: {place}{line}: {told.get('error')}.{hint}")
