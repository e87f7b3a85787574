"""What `jan modules new runs-…` begins with: a store in memory, under the loop of this package."""

from __future__ import annotations

import ast

from jan_runs.store import RunStore

from jan_core.cli.new_source import start_of
from jan_core.endpoints.runs import Runs


def test_it_writes_every_method_of_a_store() -> None:
    written = ast.parse(start_of(Runs)["members"]).body
    names = {one.name for one in written if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert set(RunStore.__abstractmethods__) <= names
    assert all(ast.get_docstring(one) for one in written if not one.name.startswith("_"))  # type: ignore[attr-defined]
