from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tests.contract_bites.wrong_assistants_storing
import tests.contract_bites.wrong_chat_ending
import tests.contract_bites.wrong_completions
import tests.contract_bites.wrong_embeddings
import tests.contract_bites.wrong_messages_storing
import tests.contract_bites.wrong_models
import tests.contract_bites.wrong_threads_storing  # noqa: F401 - each registers its classes, and those it imports
from jan_core.app import Jan
from jan_core.testing.contract.assistants import AssistantsContract
from jan_core.testing.contract.clauses import Contract, prove
from jan_core.testing.contract.embeddings import EmbeddingsContract
from jan_core.testing.contract.messages import MessagesContract
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
    "threads": ThreadsContract,
}
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


def test_every_clause_bites() -> None:
    for endpoint, contract in CONTRACTS.items():
        numbers = {one.number for one in contract.clauses().values()}
        assert {number for _, number in BITES[endpoint]} == numbers
