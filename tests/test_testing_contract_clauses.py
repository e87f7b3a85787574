from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from jan_core.app import Jan
from jan_core.endpoints.messages import Messages
from jan_core.errors import NotFound
from jan_core.refusal import Refusal
from jan_core.testing.contract import clauses
from jan_core.testing.contract.case import Case
from jan_core.testing.contract.clauses import Contract, Puzzled, clause, prove
from tests.around import AROUND


class Small(Contract):
    endpoint = Messages
    letter = "S"

    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-memory")

    @clause
    async def test_02_holds(self, case: Case) -> None:
        """It holds.

        More of it.
        """
        assert case.tested.name == "messages"

    @clause
    async def test_01_breaks(self, case: Case) -> None:
        """It breaks."""
        raise NotFound("There is none.")

    @clause
    async def test_03_hangs(self, case: Case) -> None:
        """It hangs."""
        await asyncio.get_running_loop().create_future()

    @clause
    async def test_04_goes_on(self, case: Case) -> None:
        """It goes on after the end."""
        self.left = asyncio.create_task(asyncio.sleep(3600))


def test_clauses_are_told_by_number() -> None:
    found = Small.clauses()
    assert [(one.number, one.name, one.title) for one in found.values()][:2] == [
        (1, "test_01_breaks", "It breaks."),
        (2, "test_02_holds", "It holds."),
    ]


def test_a_clause_needs_a_number_and_a_promise() -> None:
    async def test_it(self: Contract, case: Case) -> None:
        """It has no number."""

    async def test_01_it(self: Contract, case: Case) -> None:
        pass

    for method in (test_it, test_01_it):
        with pytest.raises(TypeError, match="test_07_"):
            clause(method)


def test_what_does_not_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Small.clauses()
    assert prove(Small(), found["test_02_holds"], tmp_path / "2") == "proven"
    with pytest.raises(AssertionError, match=r"refused with NotFound \(404.*There is none"):
        prove(Small(), found["test_01_breaks"], tmp_path / "1")
    with pytest.raises(AssertionError, match=r"tasks go on after the app was closed.*sleep"):
        prove(Small(), found["test_04_goes_on"], tmp_path / "4")
    monkeypatch.setattr(clauses, "PATIENCE", 0.05)
    with pytest.raises(AssertionError, match="still runs"):
        prove(Small(), found["test_03_hangs"], tmp_path / "3")


def test_make_is_the_authors() -> None:
    with pytest.raises(NotImplementedError, match="make"):
        Contract().make(Path())


def test_an_unknown_module_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="messages-nowhere"):
        Small().app(tmp_path, "messages-nowhere")


def test_no_clause_is_dropped_in_silence() -> None:
    class Removed(Small):
        test_01_breaks = None

    class Overridden(Small):
        def test_02_holds(self) -> None:
            """It is easier so."""

    class NotStrict(Small):
        @pytest.mark.xfail(reason="later")
        def test_02_holds(self) -> None:
            raise AssertionError

    class NoReason(Small):
        @pytest.mark.xfail(strict=True)
        def test_02_holds(self) -> None:
            raise AssertionError

    class Expected(Small):
        @pytest.mark.xfail(strict=True, reason="it has no order yet")
        def test_02_holds(self) -> None:
            raise AssertionError

    assert Small.dropped() == []
    assert Expected.dropped() == []
    for wrong, name in (
        (Removed, "test_01_breaks"),
        (Overridden, "test_02_holds"),
        (NotStrict, "test_02_holds"),
        (NoReason, "test_02_holds"),
    ):
        (told,) = wrong.dropped()
        assert wrong.__name__ in told
        assert name in told
        assert "xfail" in told


def test_what_is_missing_is_a_clause_and_says_why() -> None:
    class Begun(Small):
        missing: ClassVar[Mapping[int, str]] = {1: "it is not written yet"}

    class Wrong(Small):
        missing: ClassVar[Mapping[int, str]] = {5: "there is none", 2: " "}

    assert Begun.dropped() == []
    none, mute = Wrong.dropped()
    assert "Wrong.missing has 5, which is no clause's number" in none
    assert "Wrong.missing[2] has to say in words" in mute


def test_a_clause_that_stumbles_tells_so(tmp_path: Path) -> None:
    class Stumbles(Small):
        @clause
        async def test_05_looks_at_something(self, case: Case) -> None:
            """It looks at what is not there."""
            assert {}["usage"] == 1

    with pytest.raises(Puzzled, match="KeyError"):
        prove(Stumbles(), Stumbles.clauses()["test_05_looks_at_something"], tmp_path)


@pytest.mark.parametrize("plugins", [{}, AROUND])
def test_what_outlives_a_process_is_refused_by_what_is_in_memory(tmp_path: Path, plugins: dict[str, str]) -> None:
    class Lasting(Small):
        def make(self, tmp_path: Path) -> Jan:
            return self.app(tmp_path, self.module, plugins=plugins)

        @clause(stored=True)
        async def test_05_lasts(self, case: Case) -> None:
            """It outlives the process."""

    made = Lasting.clauses()["test_05_lasts"]
    for module, outcome in (("messages-memory", clauses.REFUSED), ("messages-json", clauses.PROVEN)):
        contract = Lasting()
        contract.module = module  # type: ignore[attr-defined]
        assert prove(contract, made, tmp_path / module) == outcome
