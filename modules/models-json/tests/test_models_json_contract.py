from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np

from jan_core.app import Jan
from jan_core.testing.contract.models import ModelsContract


class TestModelsJson(ModelsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "models-json")

    def put(self, root: Path, model: str, version: int = 0) -> None:
        path = root / "models" / model / "weights.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        writer = gguf.GGUFWriter(new, "llama")
        writer.add_name("x" * (version + 1))
        writer.add_tensor("blk.0.weight", np.ones((4, 64), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        new.replace(path)

    def take(self, root: Path, model: str) -> None:
        shutil.rmtree(root / "models" / model)

    def damage(self, root: Path, model: str) -> None:
        (root / "models" / model / "weights.gguf").write_bytes(b"GGUF" + bytes(100))
