"""PostgreSQL, the folder and the reference in memory: random histories of requests give the same in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from jan_postgresql.testing import dsn_for

from tests.faults.test_faults_model import Machine, Store, check_histories

pytestmark = pytest.mark.faults

MODULES = {
    "models-memory": "jan_core.testing.memory",
    "assistants-postgresql": "jan_assistants_postgresql",
    "threads-postgresql": "jan_threads_postgresql",
    "messages-postgresql": "jan_messages_postgresql",
}


class WithPostgresql(Machine):
    """The stores of the folder and the reference, and one in PostgreSQL, which no crash and no hand reaches."""

    def others(self) -> list[Store]:
        root = self.folder / "postgresql"
        return [Store(root, "", MODULES, {"jan-postgresql": {"dsn": dsn_for(root), "min_connections": 0}})]


def test_postgresql_the_folder_and_the_reference_are_the_same(
    work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    check_histories(WithPostgresql, work, monkeypatch, full_counts)
