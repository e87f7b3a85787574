from __future__ import annotations

from pathlib import Path

from jan_postgresql.testing import dsn_for

from jan_core.app import Jan
from jan_core.testing.contract.runs import RunsContract


class TestRunsPostgresql(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "runs-postgresql", tables={"jan-postgresql": {"dsn": dsn_for(tmp_path)}})
