"""What `jan serve --check` sees of the wrong implementations while they are asked, and that it lets the right ones be.

A clause is the one who asks: whatever it looks at by itself, what counts here is what the live checks have logged.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.clauses import Clause, Contract, prove
from jan_core.testing.live import check_all
from tests.around import AROUND
from tests.contract_bites.test_contract_bites import CASES, CONTRACTS

SEEN = {
    "chat": """
        IdWithoutPrefix AnotherType TimeInMilliseconds NoRole AnIdForEachChunk EndsTwice NeverEnds TextAfterTheEnd
        UsageUnasked UsageInTheLastPiece TotalOfTheAnswerOnly OneChoiceOnly NoLimit StopIgnored StopStringLeaked
        TheRequestIsChanged ErrorsInTheStream ClosingIsIgnored CancelRaisesAnother TheCallIsNotTold NoneIsAKeyError
    """,
    "completions": "IdOfAChat NeverEnds TextWithTheEnd UsageUnasked TheFirstPromptOnly NoLimit StopIgnored",
    "embeddings": "AlwaysTheFirstIndex LastVectorDropped TotalForgotten NotOfLength1 DimensionsIgnored",
    "models": "NewestFirst PathsAreTidied ZeroBreaksIt",
    "assistants": "ByTimeOnly LimitIgnored AfterSkipsOne BeforeIncludesIt MetadataMerged",
    "threads": "IdWithoutTheAssistant TimeInMilliseconds ByIdOnly EmptyIds AfterIncludesIt AnyOfThePairs",
    "messages": "LimitIgnored FirstAndLastByAge RunIgnored MetadataMerged FoundInAnyThread FailsAtOddIds",
    "runs": """
        IdWithoutItsBeginning WithoutAStart SaysEverythingTwice TellsNothingOfTheQueue TellsNothingOfABreak
        EndsTheStepLater InTheOrderOfStoring MetadataMerged
    """,
}
"""Wrong implementations that can be seen without a second look: a reply that contradicts its request, or itself."""
RIGHT = {
    "chat": "chat-scripted",
    "completions": "completions-scripted",
    "embeddings": "embeddings-scripted",
    "models": "models-memory",
    "assistants": "assistants-memory",
    "threads": "threads-memory",
    "messages": "messages-memory",
    "runs": "runs-memory",
}
WRONG_ARGUMENT = ("threads", 16)
"""A clause that gives what no client can send: a text that is not Unicode. It is told of, and rightly."""
WRONG = [(endpoint, wrong, number) for endpoint, wrong, number in CASES if wrong.__name__ in SEEN[endpoint].split()]
CLAUSES = [(name, one) for name, contract in CONTRACTS.items() for one in contract.clauses().values()]


def watched(endpoint: str, module: str, plugins: dict[str, str]) -> Contract:
    class Watched(CONTRACTS[endpoint]):  # type: ignore[misc]
        def make(self, tmp_path: Path) -> Jan:
            made: Jan = self.app(tmp_path, module, plugins=plugins)
            check_all(made)
            return made

    return Watched()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.getMessage().startswith("contract broken: ")]


def test_all_that_are_named_are_there() -> None:
    named = {(endpoint, name) for endpoint, found in SEEN.items() for name in found.split()}
    assert named == {(endpoint, wrong.__name__) for endpoint, wrong, _ in WRONG}


@pytest.mark.parametrize(("endpoint", "wrong", "number"), WRONG, ids=lambda one: getattr(one, "__name__", str(one)))
def test_it_is_seen_live(
    endpoint: str, wrong: type[Any], number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contract = watched(endpoint, f"{wrong.__module__}:{wrong.__qualname__}", {})
    clauses = {one.number: one for one in contract.clauses().values()}
    with pytest.raises(AssertionError), caplog.at_level(logging.ERROR, "jan"):
        prove(contract, clauses[number], tmp_path)
    assert told(caplog)
    assert all(one.startswith(f"contract broken: {endpoint}.") for one in told(caplog))


@pytest.mark.parametrize(("endpoint", "clause"), CLAUSES, ids=lambda one: getattr(one, "name", one))
def test_what_is_right_is_let_be(
    endpoint: str, clause: Clause, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contract = watched(endpoint, RIGHT[endpoint], AROUND)
    with caplog.at_level(logging.ERROR, "jan"):
        if (endpoint, clause.number) == WRONG_ARGUMENT:
            with pytest.raises(AssertionError, match="its caller gave the argument 'body'"):
                prove(contract, clause, tmp_path)
            assert all("its caller gave the argument 'body'" in one for one in told(caplog))
        else:
            prove(contract, clause, tmp_path)
            assert told(caplog) == []
