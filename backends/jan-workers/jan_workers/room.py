"""The memory that models share: who has how much of it, who must go, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from jan_core.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from jan_core.schemas.engines import Estimate
    from jan_workers.loaded import LoadedModel

MIB = 1 << 20
_LOWER = (
    "Lower ctx_len or n_parallel in the settings of its model.json, take a smaller quantization, or raise memory_mib "
    "under [jan-workers] of jan.toml."
)


class Room:
    """Bytes that models are loaded into. A model takes what it was estimated to need, and holds it until it has gone.

    Where too little is free, models that are not in use go, the one that was asked longest ago first; never one that
    is pinned, and none unless that makes enough room. Where that does not suffice, the model waits for others to
    become idle. One that fits meanwhile does not wait behind it.

    Args:
        total: bytes in all; None is without end.
        seconds: longest wait for others.
        let_go: begins to unload a model, and returns the task that does.
    """

    def __init__(self, total: int | None, seconds: float, let_go: Callable[[LoadedModel], asyncio.Task[None]]) -> None:
        self.total = total
        self.held: dict[LoadedModel, int] = {}
        self._seconds = seconds
        self._let_go = let_go
        self._waiting: dict[LoadedModel, asyncio.Future[list[asyncio.Task[None]]]] = {}

    @property
    def free(self) -> int | None:
        """Bytes that nobody holds; None is without end."""
        return None if self.total is None else self.total - sum(self.held.values())

    @property
    def most(self) -> float:
        """Bytes that a model can get where no other one is in use: all but what pinned ones hold."""
        return inf if self.total is None else self.total - sum(size for one, size in self.held.items() if one.pinned)

    def none_fits(self, need: int, model: str) -> Unavailable:
        """The error where even the smallest model, which needs so many bytes, has too little room."""
        return Unavailable(
            f"No model fits into the memory that is allowed for models: the smallest, {model!r}, needs about "
            f"{_mib(need)} MiB, and there are {int(max(0, self.most)) // MIB} MiB. {_LOWER}",
            code="no_memory",
        )

    async def take(self, model: LoadedModel, estimate: Estimate) -> None:
        """Set aside what a model needs; returns when the memory is free. `leave` gives it back.

        Raises:
            InvalidRequest: it is more than there is, or than pinned models leave.
            Unavailable: other models needed the memory all the time.
        """
        self._refuse(model, estimate)
        leaving = self._try(model, estimate.total)
        if leaving is None:
            future = self._waiting[model] = asyncio.get_running_loop().create_future()
            try:
                leaving = await asyncio.wait_for(future, self._seconds)
            except TimeoutError:
                raise self._full(model, estimate) from None
            finally:
                del self._waiting[model]
                if future.done() and not future.cancelled() and leaving is None:
                    self.leave(model)  # it was our turn just as we were cancelled
        if leaving:
            try:
                await asyncio.wait(leaving)
            except BaseException:
                self.leave(model)
                raise

    def leave(self, model: LoadedModel) -> None:
        """The model has gone; what it held is free. Nothing happens where it held nothing."""
        if self.held.pop(model, None) is not None:
            self.changed()

    def changed(self) -> None:
        """Something went or became idle: see who of those that wait fits now, in the order in which they came."""
        for model, future in list(self._waiting.items()):
            if not future.done():
                leaving = self._try(model, model.estimate.total)
                if leaving is not None:
                    future.set_result(leaving)

    def _try(self, model: LoadedModel, need: int) -> list[asyncio.Task[None]] | None:
        """Set the bytes aside, unloading whom it takes. Returns what to wait for; None where there is not enough."""
        free = self.free
        going: list[LoadedModel] = []
        if free is not None:
            idle = [one for one in self.held if not (one.in_use or one.pinned)]
            for one in sorted(idle, key=lambda one: one.used):
                if free >= need:
                    break
                going.append(one)
                free += self.held[one]
            if free < need:
                return None
            for one in reversed(list(going)):  # a big one that had to go may have made others' going needless
                if free - self.held[one] >= need:
                    going.remove(one)
                    free -= self.held[one]
        for one in going:
            del self.held[one]
        self.held[model] = need
        return [self._let_go(one) for one in going]

    def _refuse(self, model: LoadedModel, estimate: Estimate) -> None:
        if self.total is None or estimate.total <= self.most:
            return
        most = int(self.most)
        pinned = [one for one in self.held if one.pinned]
        told = f"{most // MIB} MiB are allowed for models"
        if pinned:
            names = ", ".join(repr(one.location.id) for one in pinned)
            told = f"{self.total // MIB} MiB are allowed for models, of which pinned ones ({names}) leave {most // MIB}"
        raise InvalidRequest(
            f"The model {model.location.id!r} needs about {_mib(estimate.total)} MiB ({_parts(estimate)}), and {told}. "
            f"{_LOWER}",
            param="model",
            code="model_too_large",
        )

    def _full(self, model: LoadedModel, estimate: Estimate) -> Unavailable:
        busy = ", ".join(repr(one.location.id) for one in self.held if one.in_use or one.pinned)
        return Unavailable(
            f"The model {model.location.id!r} needs about {_mib(estimate.total)} MiB. For {self._seconds:g} s, models "
            f"that are in use ({busy or 'none now'}) left less of the {(self.total or 0) // MIB} MiB that are allowed "
            "for all; ask again later, or raise memory_mib under [jan-workers] of jan.toml.",
            code="no_memory_free",
            param="model",
            retry_after=5,
        )


def _mib(size: int) -> int:
    return -(-size // MIB)


def _parts(estimate: Estimate) -> str:
    return ", ".join(f"{name} {_mib(size)}" for name, size in estimate.parts.items() if size)
