"""What `Chat` promises, of the scripted engine; the real ones prove it in their modules."""

from __future__ import annotations

from pathlib import Path

from jan_core.app import Jan
from tests.around import AROUND
from tests.scripted_contracts import ChatByScript


class TestScripted(ChatByScript):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "chat-scripted")


class TestWrapped(ChatByScript):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "chat-scripted", plugins=AROUND)
