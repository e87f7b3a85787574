"""The contracts in prose and those in code have the same clauses, under the same numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jan_core.testing.contract.assistants import AssistantsContract
from jan_core.testing.contract.chat import ChatContract
from jan_core.testing.contract.clauses import FIRST, Contract
from jan_core.testing.contract.completions import CompletionsContract
from jan_core.testing.contract.embeddings import EmbeddingsContract
from jan_core.testing.contract.messages import MessagesContract
from jan_core.testing.contract.models import ModelsContract
from jan_core.testing.contract.runs import RunsContract
from jan_core.testing.contract.threads import ThreadsContract

DOCS = Path(__file__).parents[1] / "docs" / "contract"
CONTRACTS: list[type[Contract]] = [
    AssistantsContract,
    ChatContract,
    CompletionsContract,
    EmbeddingsContract,
    MessagesContract,
    ModelsContract,
    RunsContract,
    ThreadsContract,
]
_CLAUSE = re.compile(r"^## ([A-Z]\d\d) (.+)\n\n(.+(?:\n.+)*)\n", re.MULTILINE)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.endpoint.name)
def test_prose_and_code_have_the_same_clauses(contract: type[Contract]) -> None:
    text = (DOCS / f"{contract.endpoint.name}.md").read_text("utf-8")
    told = _CLAUSE.findall(text)
    clauses = contract.clauses().values()
    assert [one.number for one in clauses] == list(range(1, len(clauses) + 1))
    assert [(number, title) for number, title, _ in told] == [
        (f"{contract.letter}{one.number:02}", one.title) for one in clauses
    ]
    assert text.count("\n## ") == len(told)
    assert all(prose.strip() != title for _, title, prose in told)
    late = {f"{contract.letter}{one.number:02}": one.since for one in clauses if one.since != FIRST}
    assert [number for number, _, prose in told if f"Since jan-core {late.get(number, '')}" in prose] == list(late)


def test_every_contract_has_its_page() -> None:
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert pages == {contract.endpoint.name for contract in CONTRACTS}
