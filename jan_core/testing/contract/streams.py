"""An app whose endpoint under test streams: the ways to ask it, and to leave it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import sys
import weakref
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from jan_core import call
from jan_core.errors import JanError
from jan_core.testing.contract.case import Broken, Case, check_type, same

T = TypeVar("T")

SOON = 10.0
"""Seconds in which what is to end at once must have ended, on however slow a machine."""
_HELD_UP = "it has not ended within {:.0f} seconds"
_numbers = itertools.count()


class StreamCase(Case):
    """A case with streams."""

    model_id: str | None = None
    """The model to ask; None for the first one that is listed."""

    async def model(self) -> str:
        """The id of the model to ask."""
        if self.model_id is None:
            listed = (await self.jan.models.list()).data
            if not listed:
                raise Broken("there is no model to ask; have `make` put one there, or set `model` in your class")
            self.model_id = listed[0].id
        return self.model_id

    async def counted(self, operation: str, body: Any) -> tuple[Any, call.Call]:
        """Ask for a reply; returns it, and the call with what the implementation told it."""
        context = _call()
        endpoint, _, name = operation.partition(".")
        implementation = self.jan.endpoints[endpoint]
        reply = await _within(context, getattr(implementation, name)(body), operation)
        check_type(operation, implementation.operations()[name].types().reply, reply)
        return reply, context

    async def streamed(self, operation: str, body: Any) -> tuple[list[Any], call.Call]:
        """Ask for a stream and read it to its end; returns its events, and the call.

        Raises:
            JanError: as it was raised.
            Broken: it raised anything else, or an event is of another type than declared.
        """
        context = _call()
        endpoint, _, name = operation.partition(".")
        implementation = self.jan.endpoints[endpoint]
        item = implementation.operations()[name].types().item

        async def read() -> list[Any]:
            found: list[Any] = []
            async with contextlib.aclosing(getattr(implementation, name)(body)) as events:
                async for event in events:
                    check_type(f"an event of {operation}", item, event)
                    found.append(event)
            return found

        return await _within(context, read(), operation), context

    async def sent_stream(self, path: str, body: dict[str, Any]) -> list[Any]:
        """Ask for a stream over HTTP; returns its events.

        Raises:
            Broken: it is refused, an event is no JSON or an error, or the end is not `[DONE]`.
        """
        found: list[Any] = []
        done = False
        async with self.http.stream("POST", path, json={**body, "stream": True}) as reply:
            if reply.status_code != 200:
                raise Broken(f"POST {path} as a stream answered {reply.status_code}: {await reply.aread()!r}")
            same("the type of a stream", reply.headers["content-type"].split(";")[0], "text/event-stream")
            raw = b"".join([piece async for piece in reply.aiter_raw()])
        for event in raw.decode("utf-8").split("\n\n"):
            if not event:
                continue
            if done:
                raise Broken(f"the stream goes on after [DONE]: {event[:200]}")
            if event == "data: [DONE]":
                done = True
                continue
            told = json.loads(event.removeprefix("data: "))
            if "error" in told:
                raise Broken(f"POST {path} as a stream failed: {told}")
            found.append(told)
        if not done:
            raise Broken(f"the stream of POST {path} does not end with [DONE]")
        return found

    async def left(self, events: AsyncIterator[Any], after: int) -> None:
        """Read some events of a stream, close it, and look that nothing comes after that.

        Raises:
            Broken: closing it fails, takes long, or does not end it.
        """
        try:
            async with asyncio.timeout(SOON):
                for _ in range(after):
                    await anext(events)
        except TimeoutError:
            raise Broken(f"there are no {after} events within {SOON:.0f} seconds") from None
        except StopAsyncIteration:
            raise Broken(f"there are fewer than {after} events; give your class a `long` that says more") from None
        try:
            async with asyncio.timeout(SOON):
                await events.aclose()  # type: ignore[attr-defined]
                more = [event async for event in events]
        except TimeoutError:
            raise Broken(f"closing a stream: {_HELD_UP.format(SOON)}") from None
        except Exception as error:
            raise Broken(f"closing a stream raised {error!r}") from error
        same("the events after a stream was closed", more, [])

    async def given_up(self, asked: Coroutine[Any, Any, Any], after: float) -> None:
        """Cancel what is asked, and look that it ends.

        Args:
            asked: what is asked.
            after: seconds after which it is cancelled.

        Raises:
            Broken: it does not end.
        """
        task = asyncio.ensure_future(asked)
        await asyncio.wait({task}, timeout=after)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=SOON)
        if not done:
            raise Broken(f"a request was cancelled: {_HELD_UP.format(SOON)}")
        if not task.cancelled() and task.exception() is not None:
            raise Broken(f"a request was cancelled, and raised {task.exception()!r}")

    @contextlib.asynccontextmanager
    async def no_stream_left(self) -> AsyncIterator[None]:
        """Look that every generator that is begun in the block was also run to its end, or closed.

        Raises:
            Broken: one waits for being asked on, and holds what it holds.
        """
        begun: weakref.WeakSet[Any] = weakref.WeakSet()
        first, last = sys.get_asyncgen_hooks()

        def begins(generator: Any) -> None:
            begun.add(generator)
            if first is not None:
                first(generator)

        sys.set_asyncgen_hooks(begins, last)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(first, last)
        if any(one.ag_frame is not None for one in begun):
            gc.collect()  # one that nobody holds any more is closed as it goes
            await asyncio.sleep(0.01)
        left = sorted({one.__qualname__ for one in begun if one.ag_frame is not None})
        same("the generators that were begun and neither ended nor closed", left, [])

    async def quiet(self, before: set[asyncio.Task[Any]]) -> None:
        """Look that no more tasks go on than at a moment before, when the app had answered something already.

        Raises:
            Broken: there are more, also after a while.
        """
        try:
            async with asyncio.timeout(SOON / 4):
                # By their number: what the app waits with is a new task each time.
                while len(now := asyncio.all_tasks()) > len(before):  # noqa: ASYNC110 - tasks tell nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            names = sorted(str(task.get_coro()) for task in now - before)
            raise Broken(f"a request has ended, and goes on in the background: {names}") from None


def _call() -> call.Call:
    return call.Call(f"req_contract_{next(_numbers)}")


async def _within(context: call.Call, asked: Coroutine[Any, Any, T], operation: str) -> T:
    """What is asked, as a request of its own."""

    async def request() -> T:
        call.enter(context)
        return await asked

    try:
        return await asyncio.create_task(request())
    except (JanError, AssertionError):
        raise
    except Exception as error:
        raise Broken(f"{operation} raised {error!r}") from error
