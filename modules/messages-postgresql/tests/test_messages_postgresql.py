from __future__ import annotations

from pathlib import Path

from jan_postgresql.testing import dsn_for

from jan_core.app import Jan
from jan_core.testing.contract.messages import MessagesContract


class TestMessagesPostgresql(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-postgresql", tables={"jan-postgresql": {"dsn": dsn_for(tmp_path)}})
