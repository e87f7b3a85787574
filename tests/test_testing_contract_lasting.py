from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.clauses import PROVEN, clause, prove
from jan_core.testing.contract.lasting import Lasting
from jan_core.testing.contract.models import ModelsCase, ModelsContract
from jan_core.testing.wired import one_module


def test_one_app_for_all_that_is_run() -> None:
    closed = []

    class Told(ModelsCase):
        async def __aexit__(self, *error: object) -> None:
            closed.append(self.root)
            await super().__aexit__(*error)  # type: ignore[arg-type]

    lasting = Lasting(lambda folder: Told(lambda root: one_module(root, "models", "models-memory"), "models", folder))

    async def look(case: ModelsCase) -> tuple[Jan, asyncio.AbstractEventLoop]:
        assert await case.ids() == ["scripted"]
        return case.jan, asyncio.get_running_loop()

    assert lasting.run(look) == lasting.run(look)  # type: ignore[arg-type]
    assert not closed
    lasting.close()
    assert closed
    assert not closed[0].exists()


def test_what_cannot_be_opened_says_why() -> None:
    def made(root: Path) -> Jan:
        raise LookupError("no such module")

    with pytest.raises(LookupError, match="no such module"):
        Lasting(lambda folder: ModelsCase(made, "models", folder))


def test_clauses_of_a_class_share_its_app(tmp_path: Path) -> None:
    apps: list[Jan] = []

    class Shared(ModelsContract):
        lasting: ClassVar[bool] = True

        def make(self, tmp_path: Path) -> Jan:
            return self.app(tmp_path, "models-memory")

        @clause
        async def test_90_it_is_open(self, case: ModelsCase) -> None:
            """It is open."""
            apps.append(case.jan)

        @clause
        async def test_91_it_fails(self, case: ModelsCase) -> None:
            """It fails, and the next one is asked all the same."""
            raise AssertionError("it fails")

    clauses = {one.number: one for one in Shared.clauses().values()}
    assert prove(Shared(), clauses[90], tmp_path) == PROVEN
    with pytest.raises(AssertionError, match="it fails"):
        prove(Shared(), clauses[91], tmp_path)
    assert prove(Shared(), clauses[90], tmp_path) == PROVEN
    assert apps[0] is apps[1]
    Shared.close()
    assert prove(Shared(), clauses[90], tmp_path) == PROVEN
    assert apps[2] is not apps[0]
    Shared.close()
    Shared.close()
