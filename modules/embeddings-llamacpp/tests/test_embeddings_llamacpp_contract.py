from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.embeddings import EmbeddingsContract
from tests.smollm2 import linked


class TestOnARealModel(EmbeddingsContract):
    lasting: ClassVar[bool] = True

    @pytest.fixture(autouse=True)
    def _model(self, smollm2_path: Path) -> None:
        self.path = smollm2_path

    def make(self, tmp_path: Path) -> Jan:
        linked(tmp_path, self.path, engine="jan-llamacpp", threads=1, context=256)
        return self.app(tmp_path, "embeddings-llamacpp", beside={"models": "models-json"})
