from __future__ import annotations

from pathlib import Path

from jan_core.app import Jan
from jan_core.testing.contract.messages import MessagesContract


class TestMessagesSqlite(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-sqlite")
