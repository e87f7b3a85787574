from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tests.contract_bites.wrong_assistants_keeping
import tests.contract_bites.wrong_assistants_storing
import tests.contract_bites.wrong_chat_ending
import tests.contract_bites.wrong_completions
import tests.contract_bites.wrong_embeddings
import tests.contract_bites.wrong_messages_again
import tests.contract_bites.wrong_messages_storing
import tests.contract_bites.wrong_models
import tests.contract_bites.wrong_runs_breaking
import tests.contract_bites.wrong_runs_ending
import tests.contract_bites.wrong_runs_storing
import tests.contract_bites.wrong_threads_keeping
import tests.contract_bites.wrong_threads_storing  # noqa: F401 - each registers its classes, and those it imports
from jan_core.app import Jan
from jan_core.testing.contract.assistants import AssistantsContract
from jan_core.testing.contract.clauses import Contract, Puzzled, prove
from jan_core.testing.contract.embeddings import EmbeddingsContract
from jan_core.testing.contract.messages import MessagesContract
from jan_core.testing.contract.runs import RunsContract
from jan_core.testing.contract.threads import ThreadsContract
from tests.contract_bites.bites import BITES
from tests.scripted_contracts import ChatByScript, CompletionsByScript, ModelsByName

CONTRACTS: dict[str, type[Contract]] = {
    "chat": ChatByScript,
    "completions": CompletionsByScript,
    "embeddings": EmbeddingsContract,
    "models": ModelsByName,
    "assistants": AssistantsContract,
    "messages": MessagesContract,
    "runs": RunsContract,
    "threads": ThreadsContract,
}
NAMED = {
    "off by one after a cursor": (
        "messages.AfterGivesTheCursorAgain",
        "threads.AfterIncludesIt",
        "assistants.AfterSkipsOne",
    ),
    "a wrong order at equal times": ("threads.ByTimeOnly", "assistants.ByTimeOnly", "messages.SortedByTimeAndId"),
    "a lost update": ("messages.LostUpdate", "threads.LostUpdate", "assistants.LostUpdate"),
    "a limit ignored": ("messages.LimitIgnored", "threads.LimitIgnored", "assistants.LimitIgnored", "chat.NoLimit"),
    "a leaked generator": ("chat.LeakedGenerator", "completions.LeakedGenerator"),
    "a path escape": ("messages.AFileForEveryIdAskedFor", "models.PathsAreTidied", "chat.ModelsArePaths"),
    "metadata merged": ("messages.MetadataMerged", "threads.MetadataMerged", "assistants.MetadataMerged"),
    "a 500 for a 404": ("messages.NoneIsAFailure", "models.NoneIsAKeyError", "chat.NoneIsAKeyError"),
    "the last token dropped": ("chat.LastPieceDropped", "embeddings.LastVectorDropped"),
    "a wrong finish_reason": ("chat.AlwaysStop", "chat.StoppedAtTheLimit", "completions.AlwaysStop"),
    "usage off": ("chat.TotalOfTheAnswerOnly", "chat.TheEndCountsAsAToken", "completions.TheEndCountsAsAToken"),
    "a stop string leaked": ("chat.StopStringLeaked", "chat.BeginningOfAStopStringLeaked", "completions.StopIgnored"),
    "going on after a cancel": (
        "chat.GoesOnAfterCancel",
        "completions.GoesOnAfterCancel",
        "embeddings.GoesOnAfterCancel",
    ),
    "two streams mixed": ("chat.TwoStreamsMixed", "completions.Mixed", "embeddings.Mixed"),
    "an operation left out that answers": ("chat.LeftOutAndAnswered", "chat.LeftOutByAnotherError"),
}
"""The mistakes that people make, and where each is among the wrong implementations."""
CASES = [(endpoint, wrong, number) for endpoint, found in BITES.items() for wrong, number in found]


def contract_of(endpoint: str, wrong: type[Any]) -> Contract:
    class OfTheWrong(CONTRACTS[endpoint]):  # type: ignore[misc]
        def make(self, tmp_path: Path) -> Jan:
            return self.app(tmp_path, f"{wrong.__module__}:{wrong.__qualname__}")

    return OfTheWrong()


@pytest.mark.parametrize(("endpoint", "wrong", "number"), CASES, ids=lambda one: getattr(one, "__name__", str(one)))
def test_the_clause_named_for_it_catches_it(endpoint: str, wrong: type[Any], number: int, tmp_path: Path) -> None:
    contract = contract_of(endpoint, wrong)
    clauses = {one.number: one for one in contract.clauses().values()}
    # An AssertionError and nothing else: the kit tells what is broken, and does not break itself.
    with pytest.raises(AssertionError) as caught:
        prove(contract, clauses[number], tmp_path)
    assert str(caught.value)
    assert not isinstance(caught.value, Puzzled)


def test_every_clause_bites() -> None:
    for endpoint, contract in CONTRACTS.items():
        numbers = {one.number for one in contract.clauses().values()}
        assert {number for _, number in BITES[endpoint]} == numbers


def test_the_mistakes_that_people_make_are_there() -> None:
    there = {f"{endpoint}.{wrong.__name__}" for endpoint, wrong, _ in CASES}
    assert {name for names in NAMED.values() for name in names} - there == set()
    assert len(CASES) >= 60
