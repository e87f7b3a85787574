from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from jan_models_json.store import ModelsJson

from jan_core.folder import signature

Write = Callable[..., Path]


@pytest.fixture
def models_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def write_gguf(models_folder: Path) -> Write:
    """`write_gguf("folder/file.gguf", part=(1, 3), …)` makes a small valid file and its folder."""

    def write(name: str, *, part: tuple[int, int] | None = None, tensors: int = 1, **texts: str) -> Path:
        path = models_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(2)
        writer.add_context_length(256)
        writer.add_embedding_length(64)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_token_list([f"token {n}" for n in range(50)])
        writer.add_token_scores([0.5] * 50)
        if part:
            writer.add_uint16("split.no", part[0] - 1)
            writer.add_uint16("split.count", part[1])
        for key, value in texts.items():
            writer.add_string(key.replace("__", "."), value)
        for number in range(tensors):
            writer.add_tensor(f"blk.{number}.weight", np.ones((4, 64), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


@pytest.fixture
def describe(models_folder: Path) -> Callable[..., Path]:
    """`describe("folder", owned_by="x")` writes a `model.json`."""

    def write(name: str, **fields: Any) -> Path:
        path = models_folder / name / "model.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields), encoding="utf-8")
        return path

    return write


@pytest.fixture
async def models(models_folder: Path) -> AsyncIterator[ModelsJson]:
    async with ModelsJson(models_folder) as entered:
        yield entered


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as settled at once: what a test has written is not changed again within the same tick."""
    monkeypatch.setattr(signature, "TICK", -(10**12))
    monkeypatch.setattr(signature, "COARSE_TICK", -(10**12))


_recorders: list[list[str]] = []
_hooked = False


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _recorders and isinstance(arguments[0], str):
        for recorder in _recorders:
            recorder.append(arguments[0])


@pytest.fixture
def opened(models_folder: Path) -> Iterator[Callable[[], list[str]]]:
    """`opened()` returns the models' files that this process opened since it was last asked, in order."""
    global _hooked
    if not _hooked:
        # An audit hook stays for good, so there is one for all tests.
        sys.addaudithook(_record)
        _hooked = True
    record: list[str] = []
    _recorders.append(record)

    def take() -> list[str]:
        found = [path for path in record if path.startswith(str(models_folder))]
        record.clear()
        return [str(Path(path).relative_to(models_folder)) for path in found]

    yield take
    _recorders.remove(record)
