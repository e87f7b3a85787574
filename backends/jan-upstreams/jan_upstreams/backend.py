"""The backend: all upstreams as one engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from typing_extensions import override

from jan_core.backend import Engine
from jan_core.errors import Busy, EngineError, JanError, ModelNotFound, NotSupported, Unavailable
from jan_upstreams.choosing import ordered
from jan_upstreams.failures import Failure
from jan_upstreams.settings import UpstreamSettings, UpstreamsSettings
from jan_upstreams.upstream import Broken, Upstream

if TYPE_CHECKING:
    from jan_core.schemas.engines import EngineModel, Estimate
    from jan_core.schemas.models import ModelLocation

FIRST_LOOK = 3.0
"""Seconds that the first request waits for the servers' models, at most."""
SOON = 0.5
"""Seconds after which a server that did not tell its models is asked again, at first; then twice as long each time."""

log = logging.getLogger("jan")


class Upstreams(Engine):
    """Other servers that speak OpenAI's API.

    Each request goes to one of those that have its model: to the one that its conversation belongs to, unless that one
    is full or fails; then to the next. Once an answer has begun, it is that server's.
    """

    name: ClassVar[str] = "jan-upstreams"
    settings_model: ClassVar[type[UpstreamsSettings]] = UpstreamsSettings
    engine: ClassVar[str] = "openai"

    def __init__(self, settings: UpstreamsSettings, jan: Any) -> None:
        super().__init__(settings, jan)
        self.upstreams = [Upstream(one) for one in settings.upstreams]
        self._looking: list[asyncio.Task[None]] = []
        self._first: list[asyncio.Event] = []
        self._again = asyncio.Event()
        self._seen: list[frozenset[str] | None] = []
        self._offered: list[str] = []
        self.checked = False

    def add(self, more: Sequence[UpstreamSettings]) -> None:
        """Take in servers that a module's own table names; one that is there already stays as it is.

        Raises:
            Refusal: the key of one is not there.
        """
        known = {one.name for one in self.upstreams}
        self.upstreams += [Upstream(one) for one in more if one.shown not in known]

    async def __aenter__(self) -> Self:
        self._first = []
        for one in self.upstreams:
            if one.settings.models is None:
                self._first.append(asyncio.Event())
                self._looking.append(asyncio.create_task(self._look(one, self._first[-1])))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        looking, self._looking = self._looking, []
        for task in looking:
            task.cancel()
        if looking:
            await asyncio.wait(looking)
        for one in self.upstreams:
            await one.close()

    @override
    async def offered(self) -> Sequence[str]:
        if not all(one.is_set() for one in self._first):
            waiting = asyncio.gather(*(one.wait() for one in self._first))
            try:
                await asyncio.wait_for(waiting, FIRST_LOOK)
            except TimeoutError:
                for one in self._first:
                    one.set()  # nobody waits for it again
        seen = [one.models for one in self.upstreams]
        if seen != self._seen:
            self._seen, self._offered = seen, sorted({name for models in seen for name in models or ()})
        return self._offered

    async def ask(self, model: str, key: bytes, path: str, body: bytes) -> tuple[Upstream, Any]:
        """Have one of the servers answer as a whole.

        Args:
            model: its id.
            key: what the server is chosen by; see `choosing`.
            path: of the operation, such as `/embeddings`.
            body: the request as JSON.

        Returns:
            Who answered, and what.

        Raises:
            Busy, InvalidRequest, ModelNotFound, Unavailable: see `failures`.
        """
        tried: list[Failure] = []
        while (one := await self._next(model, key, tried)) is not None:
            one.under_way += 1
            try:
                found = await one.ask(path, body, model)
            except Failure as failure:
                tried.append(self._failed(one, failure))
            else:
                one.health.worked()
                return one, found
            finally:
                one.under_way -= 1
                one.health.given_up()
        raise _last(tried)

    async def stream(
        self, model: str, key: bytes, path: str, body: bytes, *, whole: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """Have one of the servers answer piece by piece; closing the iterator ends the generation there.

        Args and errors are those of `ask`; an answer that breaks off after its first piece ends with `EngineError`.
        With `whole` no piece is given before the last has come, and another server is asked where one breaks off.
        """
        tried: list[Failure] = []
        while (one := await self._next(model, key, tried)) is not None:
            one.under_way += 1
            kept: list[dict[str, Any]] = []
            try:
                async with AsyncExitStack() as stack:
                    pieces = one.stream(path, body, model)
                    stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                    if whole:
                        kept = [piece async for piece in pieces]
                    else:
                        async for piece in pieces:
                            yield piece
                one.health.worked()
                for piece in kept:
                    yield piece
                return
            except Failure as failure:
                tried.append(self._failed(one, failure))
            except Broken as broken:
                error = EngineError(str(broken), code="upstream_failed")
                if not whole:
                    one.health.failed()
                    raise error from None
                tried.append(self._failed(one, Failure(error)))
            finally:
                one.under_way -= 1
                one.health.given_up()
        raise _last(tried)

    @override
    def loaded(self) -> list[EngineModel]:
        return []  # what is in the memory of other machines is theirs

    @override
    async def load(self, location: ModelLocation, purpose: str = "") -> EngineModel:
        raise NotSupported(f"The model {location.id!r} is on another server, which loads it itself.", param="model")

    @override
    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[EngineModel]:
        return []

    @override
    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        from jan_core.schemas.engines import Estimate

        return Estimate(total=0, parts={})

    async def reachable(self) -> None:
        """Return where one of the servers may be asked.

        Raises:
            Unavailable: there is none.
        """
        if not self.upstreams:
            message = 'No upstream is configured: write upstreams = [{ url = "…" }] under [jan-upstreams] of jan.toml.'
            raise Unavailable(message, code="no_upstream")
        if not any(one.health.well and one.models is not None for one in self.upstreams):
            raise Unavailable(self._all_down(self.upstreams), code="upstream_unavailable")

    async def _next(self, model: str, key: bytes, tried: list[Failure]) -> Upstream | None:
        """The next server to try; None where there is none, and `tried` says why."""
        if tried and not tried[-1].elsewhere:
            return None
        having = {one.name: one for one in self.upstreams if one.models is not None and model in one.models}
        if not having and not tried:
            raise ModelNotFound(f"No upstream has the model {model!r} now.", param="model")
        asked = {failure.upstream for failure in tried}
        left = [having[name] for name in ordered(key, {name: one.settings.weight for name, one in having.items()})]
        left = [one for one in left if one.name not in asked]
        if not left or len(tried) >= self.settings.attempts:
            return None
        found = next((one for one in left if not one.full and one.health.may_try()), None)
        if found is None and not tried:
            well = [one for one in left if one.health.well]
            if well:
                count = sum(one.settings.requests for one in well)
                raise Busy(f"All places for {model!r} are taken ({count} requests at once); ask again.", retry_after=1)
            wait = min(one.health.wait for one in left)
            message = self._all_down(left)
            raise Unavailable(message, retry_after=max(1, round(wait)), code="upstream_unavailable")
        return found

    def _failed(self, one: Upstream, failure: Failure) -> Failure:
        failure.upstream = one.name
        one.why = failure.error.message
        if failure.broken:
            if one.health.well:
                log.warning("%s", failure.error.message)
            one.health.failed(at_once=failure.gone)
        else:
            one.health.worked()
        if failure.models:
            self._again.set()
        return failure

    def _all_down(self, those: Sequence[Upstream]) -> str:
        told = "; ".join(one.why or f"the upstream {one.name!r} did not tell its models yet" for one in those)
        return f"No upstream answers at the moment: {told}"

    async def _look(self, one: Upstream, first: asyncio.Event) -> None:
        """Ask a server for its models, again and again."""
        pause = SOON
        while True:
            try:
                found = await one.look()
            except Failure as failure:
                one.why = failure.error.message
                # What it had is believed: whoever asks for it finds out whether it is there.
                pause = min(self.settings.refresh_seconds, 2 * pause)
                wait = min(pause, self.settings.refresh_seconds)
            else:
                one.models, pause, wait = found, SOON, self.settings.refresh_seconds
                one.health.worked()
            first.set()
            try:
                await asyncio.wait_for(self._again.wait(), wait)
                self._again.clear()
            except TimeoutError:
                pass


def _last(tried: Sequence[Failure]) -> JanError:
    """What a request that nobody answered is told: the first reason that is not about the servers, else the last."""
    if not tried:
        return Unavailable("No upstream is free; ask again.", code="upstream_unavailable")
    return next((one.error for one in tried if not one.elsewhere), tried[-1].error)
