from __future__ import annotations

from pathlib import Path

from jan_core.app import Jan
from jan_core.testing.contract.assistants import AssistantsContract
from tests.around import AROUND
from tests.conversations import app


class TestInMemory(AssistantsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "assistants-memory")


class TestWrapped(AssistantsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "assistants-memory", plugins=AROUND)


class TestBesideOtherStores(AssistantsContract):
    """Threads and messages are kept in the folder, too."""

    def make(self, tmp_path: Path) -> Jan:
        return app("folder", tmp_path, server={"log_requests": False})
