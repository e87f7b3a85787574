from __future__ import annotations

import json
from pathlib import Path

import pytest

from jan_core.testing.measured import contract_in, main, measure

TEXT = """\
from jan_core.errors import NotSupported
from jan_core.testing.contract.clauses import Contract, clause
from jan_core.endpoints.messages import Messages

class Two(Contract):
    endpoint = Messages
    letter = "W"

    @clause
    async def test_01_holds(self, case):
        '''It holds.'''

    @clause
    async def test_02_does_not(self, case):
        '''It does not hold.'''
        raise NotSupported("messages.list is not written yet.")

    def make(self, tmp_path):
        return self.app(tmp_path, MODULE)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test_contract.py"
    path.write_text(TEXT.replace("MODULE", "'messages-memory'"))
    return path


def test_what_does_not_hold_is_told_with_its_promise(file: Path, tmp_path: Path) -> None:
    contract = contract_in(file)
    assert contract.__name__ == "Two"
    assert measure(contract, tmp_path / "roots") == {2: "It does not hold."}


def test_as_a_program(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(file)) == 0
    assert json.loads(capsys.readouterr().out) == {"2": "It does not hold."}


def test_an_app_that_cannot_be_built_is_no_missing_clause(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TEXT.replace("MODULE", "'messages-nowhere'"))
    assert main(str(file)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Refusal: asked:   the module 'messages-nowhere' for messages")
    assert len(printed.err.splitlines()) == 1


def test_a_file_without_a_contract_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "test_other.py"
    path.write_text("from jan_core.testing.contract.clauses import Contract\n")
    assert main(str(path)) == 1
    assert "has no contract" in capsys.readouterr().err
