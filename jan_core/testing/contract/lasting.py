"""One app for all clauses of a class, where opening it takes long: a model is loaded once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from jan_core.testing.contract.case import Case

T = TypeVar("T")


class Lasting:
    """An open app, and the event loop that it lives in.

    Args:
        opened: makes the case, not yet entered, in a folder.
    """

    def __init__(self, opened: Callable[[Path], Case]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="jan-contract-"))
        self._runner = asyncio.Runner()
        self._keeper: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self.case = opened(self._folder)
        try:
            self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def run(self, check: Callable[[Case], Awaitable[T]]) -> T:
        """Run something with the app, and return what it returns."""

        async def checked() -> T:
            return await check(self.case)

        return self._runner.run(checked())

    def close(self) -> None:
        """Close the app and the loop, and remove the folder.

        Raises:
            Exception: what closing the app raised.
        """
        try:
            self._runner.run(self._close())
        finally:
            self._runner.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _open(self) -> None:
        # A task of its own enters and leaves the app: what it is made of may not be left by another task.
        is_open = asyncio.Event()

        async def keep() -> None:
            async with self.case:
                is_open.set()
                await self._end.wait()

        self._keeper = asyncio.create_task(keep())
        waiting = asyncio.create_task(is_open.wait())
        await asyncio.wait({self._keeper, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._keeper.done():
            self._keeper.result()

    async def _close(self) -> None:
        self._end.set()
        if self._keeper is not None:
            await self._keeper
