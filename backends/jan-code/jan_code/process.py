"""The server's end of a process of code: starting it, its answers, what it prints, and its death."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from jan_code.frames import STRAY, Frames, NoFrame, pack, pack_in_pieces

HEAD_BYTES = 64 << 10
"""Bytes that a message may have besides what a call gives back."""
LINE = 500
"""Characters of a printed line that reach the log."""
LINES = 100
"""Lines of each call that reach the log."""
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
"""What stands in the log for a character that a terminal might obey."""
GRACE = 0.2
"""Seconds after its death in which what it wrote last is still read."""

log = logging.getLogger("jan")


class Ended(Exception):
    """The process ended, or was ended, before it answered; says why."""


class CodeProcess(asyncio.SubprocessProtocol):
    """A process of one assistant's code. It does one thing at a time.

    Args:
        name: whose it is, for the log.
        output_bytes: what an answer may have, and what may be printed for each, in bytes.
    """

    def __init__(self, name: str, output_bytes: int) -> None:
        self.alive = False
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name, self._output_bytes = name, output_bytes
        # A character may be written as six bytes.
        self._frames = Frames(6 * output_bytes + HEAD_BYTES)
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._take: Callable[[dict[str, Any]], bool] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._printed, self._lines, self._last, self._half = 0, 0, "", b""
        self._why = ""
        self._transport: asyncio.SubprocessTransport | None = None

    async def start(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            environment: all of its environment variables.
            folder: its working folder.

        Raises:
            OSError: it cannot be started.
        """
        loop = asyncio.get_running_loop()
        await loop.subprocess_exec(
            lambda: self, *command, env=environment, cwd=folder, start_new_session=os.name == "posix"
        )
        self.alive = True

    async def ask(
        self, message: dict[str, Any], seconds: float, take: Callable[[dict[str, Any]], bool] | None = None
    ) -> dict[str, Any]:
        """Send a message and return the answer.

        Args:
            message: see `jan_code.frames`.
            seconds: how long it may take.
            take: called at once with each message that arrives; True where that is not the answer. It raises
                `NoFrame` where the process must not send it.

        Raises:
            Ended: there is no answer, and no process any more.
        """
        if not self.alive:
            raise Ended(self._why or "it had ended")
        self._answer, self._take = asyncio.get_running_loop().create_future(), take
        self._printed = self._lines = 0
        try:
            async with asyncio.timeout(seconds):
                if take is None:
                    self.send(message)
                else:  # a run, with all the messages of its thread
                    self._write(await asyncio.to_thread(pack_in_pieces, message))
                return await asyncio.shield(self._answer)
        except TimeoutError:
            self.kill(f"it took longer than {seconds:g} s")
            raise Ended(self._why) from None
        except asyncio.CancelledError:
            self.kill("nobody waits for it any more")
            raise
        finally:
            if self._answer.done() and not self._answer.cancelled():
                self._answer.exception()  # looked at, also where nobody waits any more
            self._answer = self._take = None

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; nothing where the process has ended."""
        if self.alive:
            self._write(pack(message))

    def _write(self, frame: bytes) -> None:
        pipe = None if self._transport is None else self._transport.get_pipe_transport(0)
        if self.alive and pipe is not None:
            cast(asyncio.WriteTransport, pipe).write(frame)

    async def sent(self) -> None:
        """Return when the process has read most of what was sent to it, or has ended."""
        if self.alive:
            await self._writable.wait()

    def read_on(self, on: bool) -> None:
        """Stop reading what it sends, so that it waits, or go on."""
        pipe = None if self._transport is None else self._transport.get_pipe_transport(1)
        if pipe is not None and on != self._reading and not pipe.is_closing():
            self._reading = on
            reading = cast(asyncio.ReadTransport, pipe)
            (reading.resume_reading if on else reading.pause_reading)()

    def kill(self, why: str) -> None:
        """End it at once, with all that it started.

        Args:
            why: what those who wait are told.
        """
        self._why = self._why or why
        self.alive = False
        self._writable.set()
        transport = self._transport
        if transport is None or transport.get_returncode() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(transport.get_pid(), signal.SIGKILL)
            else:
                transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Called by asyncio with what the process wrote."""
        assert isinstance(data, bytes)
        if fd == 2:
            self._print(data)
        elif not self._why:
            try:
                for message in self._frames.feed(data):
                    if self._answer is None or self._answer.done():
                        raise NoFrame(STRAY)
                    if self._take is None or not self._take(message):
                        self._answer.set_result(message)
            except NoFrame as error:
                self._fail(str(error))

    def pause_writing(self) -> None:
        """Called by asyncio: the process does not read what it is sent."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio: it does again."""
        self._writable.set()

    def process_exited(self) -> None:
        """Called by asyncio when the process has ended, by itself or not; what it wrote last may not be read yet."""
        self.alive = False
        transport = self._transport
        if transport is not None and os.name == "posix":
            # What it started and left behind. Its own number is not given to another as long as its group has members.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
        asyncio.get_running_loop().call_later(GRACE, self._gone)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the pipes are closed too: what it wrote last has been read."""
        self._gone()

    def _gone(self) -> None:
        self.alive = False
        self._writable.set()
        transport = self._transport
        if transport is not None:
            code = transport.get_returncode()
            self._fail(self._why or (f"it ended by itself ({_how(code)})" + (f": {self._last}" if self._last else "")))
            transport.close()
        if not self.exited.done():
            self.exited.set_result(None)

    def _fail(self, why: str) -> None:
        self.kill(why)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Ended(self._why))

    def _print(self, data: bytes) -> None:
        """Pass on what it prints to the log, as far as that is reasonable."""
        self._printed += len(data)
        if self._printed > self._output_bytes:
            self._fail(f"it printed more than {self._output_bytes} bytes")
            return
        *lines, self._half = (self._half + data).split(b"\n")
        if len(self._half) > LINE * 4:
            lines, self._half = [*lines, self._half], b""
        for line in lines:
            text = "".join(one if one.isprintable() else UNPRINTABLE for one in line.decode(errors="replace"))
            self._lines += 1
            self._last = text[:LINE] or self._last
            if self._lines <= LINES:
                log.info("assistant %s printed: %s", self._name, text[:LINE])
            elif self._lines == LINES + 1:
                log.info("assistant %s printed more than %d lines; the others are left out", self._name, LINES)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
