"""How models come into this store by hand: what `jan check models-json` has to know besides the contract."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from jan_core.testing.contract.models import ModelsContract

FILE = "weights.gguf"


class ModelsJsonContract(ModelsContract):
    """The contract of `models`, in a folder; `make` is whose tests these are."""

    def put(self, root: Path, model: str, version: int = 0) -> None:
        """See `ModelsContract`."""
        path = root / "models" / model / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(small_gguf("x" * (version + 1)))
        new.replace(path)

    def take(self, root: Path, model: str) -> None:
        """See `ModelsContract`."""
        shutil.rmtree(root / "models" / model)

    def damage(self, root: Path, model: str) -> None:
        """See `ModelsContract`."""
        (root / "models" / model / FILE).write_bytes(b"GGUF" + bytes(100))


def small_gguf(name: str) -> bytes:
    """A whole GGUF file with one tensor of 4 × 64 numbers, all 0, that nothing runs.

    Args:
        name: what it calls itself.
    """
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 2)
    for key, value in (("general.architecture", "llama"), ("general.name", name)):
        head += _text(key) + struct.pack("<I", 8) + _text(value)
    head += _text("blk.0.weight") + struct.pack("<IQQIQ", 2, 64, 4, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(64 * 4 * 4)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
