"""What `Embeddings` promises, of the scripted engine; the real one proves it in its module."""

from __future__ import annotations

from pathlib import Path

from jan_core.app import Jan
from jan_core.testing.contract.embeddings import EmbeddingsContract
from tests.around import AROUND


class TestScripted(EmbeddingsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "embeddings-scripted")


class TestWrapped(EmbeddingsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "embeddings-scripted", plugins=AROUND)
