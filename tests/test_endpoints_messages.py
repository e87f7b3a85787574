from __future__ import annotations

from pathlib import Path

from jan_core.app import Jan
from jan_core.testing.contract.messages import MessagesContract
from tests.around import AROUND
from tests.conversations import app


class TestInMemory(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-memory")


class TestWrapped(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-memory", plugins=AROUND)


class TestBesideOtherStores(MessagesContract):
    """Threads and assistants are kept in the folder, too."""

    def make(self, tmp_path: Path) -> Jan:
        return app("folder", tmp_path, server={"log_requests": False})
