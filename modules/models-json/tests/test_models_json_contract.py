from __future__ import annotations

from pathlib import Path

import gguf
from jan_models_json.contract import ModelsJsonContract, small_gguf

from jan_core.app import Jan


class TestModelsJson(ModelsJsonContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "models-json")


def test_what_is_put_there_is_a_gguf_file_by_its_own_library(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(small_gguf("tiny"))
    read = gguf.GGUFReader(path)
    assert read.get_field("general.name").contents() == "tiny"
    (tensor,) = read.tensors
    assert (tensor.name, list(tensor.shape), float(tensor.data.sum())) == ("blk.0.weight", [64, 4], 0.0)
