from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_code.backend import Code
from jan_code.source import find
from jan_code.walls import find_bwrap

from jan_core.testing.wired import wired

BACKENDS = {"jan-code": "jan_code:Code"}
WALLS = find_bwrap()[0] is not None


class Assistant:
    """An assistant `a` with code, and the backend of its app."""

    def __init__(self, root: Path, code: Code) -> None:
        self.folder, self.code = root / "assistants" / "a", code
        self.index = self.folder / "src" / "index.py"
        self.index.parent.mkdir(parents=True)
        (self.folder / "assistant.json").write_text("{}")

    def write(self, text: str) -> None:
        self.index.write_text(text)

    async def settled(self) -> None:
        """Return when the files are old enough for any change of them to show."""
        async with asyncio.timeout(20):
            while not getattr(find(self.code._layout, "a"), "settled", False):
                await asyncio.sleep(0.01)

    async def names(self) -> list[str]:
        return [tool.name for tool in await self.code.tools("a")]

    async def call(self, name: str, arguments: str = "{}") -> str:
        return await self.code.call("a", name, arguments)

    @property
    def pid(self) -> int:
        process = self.code._running["a"].process
        assert process is not None
        assert process._transport is not None
        found: int = process._transport.get_pid()
        return found


def pytest_generate_tests(metafunc: Any) -> None:
    if "walls" in metafunc.fixturenames:
        metafunc.parametrize("walls", [False, True] if sys.platform.startswith("linux") else [False])


@pytest.fixture
async def assistant(tmp_path: Path, walls: bool, request: pytest.FixtureRequest) -> AsyncIterator[Assistant]:
    if walls and not WALLS:
        pytest.skip(f"no walls here: {find_bwrap()[1]}")
    settings = getattr(request, "param", {})
    jan = wired(tmp_path, {"jan-code": settings}, backends=BACKENDS)
    code = jan.backend(Code)
    if not walls:
        code._tried = True
    async with jan:
        yield Assistant(tmp_path, code)
    assert code._bwrap is not None or not (walls and code._tried)
