"""One upstream: its connections, its key, its models, and how it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from jan_core.refusal import Refusal
from jan_upstreams.events import Events, TooLong
from jan_upstreams.failures import SHOWN, Failure, refused, unreachable, within
from jan_upstreams.health import Health

if TYPE_CHECKING:
    import aiohttp

    from jan_upstreams.settings import UpstreamSettings

WHOLE = 64 << 20
"""Bytes of a reply that is no stream, at most."""
ERROR = 1 << 16
"""Bytes of a refusal that are looked at."""
MODEL_SECONDS = 10.0
"""How long a list of models may take."""
DRAIN_SECONDS = 0.2
"""How long a connection may take to say that an answer that has ended is over; then it is not used again."""


class Broken(Exception):
    """A stream that broke off after it had begun. Its text is a sentence for a person."""


class Upstream:
    """One server.

    Args:
        settings: where it is, and how it is asked.

    Raises:
        Refusal: its key is not there.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.name = settings.shown
        self.health = Health()
        self.models: frozenset[str] | None = None if settings.models is None else frozenset(settings.models)
        """The models that it has; None before it was first heard."""
        self.why = ""
        """Why its models are not known, for a person."""
        self.under_way = 0
        self._key = _key(settings)
        self._session: aiohttp.ClientSession | None = None
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """True where it has as many requests as it may be given."""
        return self.under_way >= self.settings.requests

    async def close(self) -> None:
        """End its connections."""
        for task in list(self._draining):
            task.cancel()
        if self._draining:
            await asyncio.wait(self._draining)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def look(self) -> frozenset[str]:
        """Ask for its models.

        Raises:
            Failure: it does not tell them.
        """
        try:
            async with asyncio.timeout(MODEL_SECONDS), self._asked("GET", "/models", None) as response:
                found = from_json(await self._whole(response))
            listed = found["data"] if isinstance(found, dict) else None
            names = [one["id"] for one in listed or () if isinstance(one, dict) and isinstance(one.get("id"), str)]
            if listed is None or len(names) < len(listed):
                raise ValueError
        except TimeoutError:
            raise unreachable(self.name, "did not tell its models in time") from None
        except (ValueError, KeyError, TypeError):
            raise unreachable(self.name, "does not list its models as OpenAI does; name them in its `models`") from None
        return frozenset(one for one in names if 0 < len(one) <= 256)

    async def ask(self, path: str, body: bytes, model: str) -> Any:
        """Ask for a whole answer; returns what its JSON holds.

        Args:
            path: of the operation, behind the url.
            body: the request, as JSON.
            model: that is asked for.

        Raises:
            Failure: there is none.
        """
        seconds = self.settings.first_seconds
        try:
            async with asyncio.timeout(seconds), self._asked("POST", path, body, model) as response:
                return from_json(await self._whole(response))
        except TimeoutError:
            raise unreachable(self.name, f"did not answer within {seconds:g} seconds") from None
        except ValueError:
            raise unreachable(self.name, "answered with what is no JSON") from None

    async def stream(self, path: str, body: bytes, model: str) -> AsyncIterator[dict[str, Any]]:
        """Ask for an answer piece by piece; closing the iterator ends the generation.

        Args:
            path: of the operation, behind the url.
            body: the request, as JSON.
            model: that is asked for.

        Raises:
            Failure: before the first piece.
            Broken: after it.
        """
        loop, settings, begun, late = asyncio.get_running_loop(), self.settings, False, False
        seconds = settings.first_seconds
        deadline = loop.time() + seconds

        def give_up() -> None:
            nonlocal late
            late = True
            response.close()  # what waits for its next piece is told so

        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    response = await stack.enter_async_context(self._asked("POST", path, body, model))
                if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
                    raise unreachable(self.name, "did not answer with a stream of events")
                events, read = Events(), response.content.readany
                while True:
                    # A bare timer: `asyncio.timeout` takes three times as long, for every event.
                    timer = loop.call_at(deadline, give_up)
                    try:
                        data = await read()
                    finally:
                        timer.cancel()
                    if not data:
                        break
                    told = False
                    for found in events.feed(data):
                        if found == b"[DONE]":
                            self._drain(response, stack)
                            return
                        piece = self._piece(found, begun, model)
                        told = begun = True
                        yield piece
                    if told:  # the time that the caller took is not the server's
                        seconds = settings.silence_seconds
                        deadline = loop.time() + seconds
            except TooLong:
                raise self._broken(begun, "sent an event that has no end") from None
            except _network_errors() as error:
                if late or isinstance(error, TimeoutError):
                    raise self._broken(begun, f"said nothing for {seconds:g} seconds") from None
                raise self._broken(begun, f"closed the connection within its answer ({_short(error)})") from None
        raise self._broken(begun, "ended its answer without its end mark")

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: bytes | None, model: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A reply that is 200, whose connection is closed at the end unless all of it was read."""
        headers = {"Accept": "text/event-stream, application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        response = await self._answered(method, path, body, headers)
        try:
            if response.status != 200:
                try:
                    found = await response.content.read(ERROR)
                except _network_errors():
                    found = b""
                raise refused(self.name, response.status, response.headers, found, key=self._key, model=model)
            yield response
        finally:
            response.close()

    async def _answered(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        import aiohttp

        session, url = self._connected(), self.settings.url + path
        kept = True
        while True:
            try:
                return await session.request(method, url, data=body, headers=headers, allow_redirects=False)
            except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
                raise unreachable(self.name, f"cannot be reached ({_short(error)})", gone=True) from None
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A kept connection may have been closed just as it was used: that is nobody's failure.
                if not kept:
                    raise unreachable(self.name, "closes connections without an answer") from None
                kept = False
            except _network_errors() as error:
                raise unreachable(self.name, f"does not answer as HTTP has it ({_short(error)})") from None

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        try:
            while data := await response.content.readany():
                chunks.append(data)
                size += len(data)
                if size > WHOLE:
                    raise unreachable(self.name, "sent an answer that has no end")
        except _network_errors() as error:
            raise unreachable(self.name, f"closed the connection within its answer ({_short(error)})") from None
        response.release()
        return b"".join(chunks)

    def _piece(self, found: bytes, begun: bool, model: str) -> dict[str, Any]:
        try:
            piece = from_json(found)
        except ValueError:
            raise self._broken(begun, "sent an event that is no JSON") from None
        if not isinstance(piece, dict):
            raise self._broken(begun, "sent an event that is no object")
        if piece.get("error"):
            if begun:
                raise Broken(within(self.name, piece["error"], self._key))
            told = piece["error"]
            status = told.get("code") if isinstance(told, dict) else None
            status = status if isinstance(status, int) and 400 <= status < 600 else 500
            raise refused(self.name, status, {}, found, key=self._key, model=model)
        return piece

    def _broken(self, begun: bool, why: str) -> Failure | Broken:
        if not begun:
            return unreachable(self.name, why)
        return Broken(f"The upstream {self.name!r} {why}. What it said until then is all there is; ask again.")

    def _drain(self, response: aiohttp.ClientResponse, stack: AsyncExitStack) -> None:
        """Let the connection be used again, once the end of the answer has come."""
        if response.content.at_eof():
            response.release()
            return
        stack.pop_all()  # the connection is not closed now: the task below does that
        task = asyncio.get_running_loop().create_task(_drained(response))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            from jan_upstreams.resolving import Resolver

            settings = self.settings
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    resolver=Resolver(private=settings.private),
                    keepalive_timeout=30,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _drained(response: aiohttp.ClientResponse) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            if not await response.content.readany() and response.content.at_eof():
                response.release()
    except _network_errors():  # also where it takes too long: TimeoutError is an OSError
        pass
    finally:
        response.close()


def _network_errors() -> tuple[type[Exception], ...]:
    import aiohttp

    return (aiohttp.ClientError, OSError, ValueError, EOFError)


def _short(error: Exception) -> str:
    # What a parser complains of it quotes, and a server may have said anything there, its key too.
    told = " ".join(str(error).split())[:SHOWN] if isinstance(error, OSError) else ""
    return f"{type(error).__name__}: {told}".removesuffix(": ")


def _key(settings: UpstreamSettings) -> str | None:
    """The server's key; None where it has none.

    Raises:
        Refusal: it is not where it is to be.
    """
    name, file = settings.key_env, settings.key_file
    if name is not None:
        where, remedy = f"the environment variable {name}", f"Set it before you start: export {name}=…"
        key, cause = os.environ.get(name, ""), "which is empty"
    elif file is not None:
        where, remedy = file, "Write the key into that file, alone on one line, or name another one."
        try:
            key, cause = Path(file).expanduser().read_text("utf-8"), "which is empty"
        except (OSError, ValueError) as error:
            key, cause = "", f"which cannot be read: {error}"
    else:
        return None
    key = key.strip()
    if key and not (key.isascii() and key.isprintable()):
        key, cause = "", "which has characters that no header takes"
    if not key:
        asked = f"[jan-upstreams] the upstream {settings.shown!r}"
        raise Refusal(asked, f"its key is to be in {where}, {cause}", remedy)
    return key
