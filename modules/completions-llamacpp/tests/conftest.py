"""The real model with three tokens named for filling a gap, as models trained for that name theirs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

FIM = {"fim_pre": 4, "fim_suf": 5, "fim_mid": 6}
"""Tokens of the vocabulary that no text has: names of files and the like."""


def _pair(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


@pytest.fixture(scope="session")
def fim_path(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model whose header has these keys first, and a text that keeps the tensors where they align."""
    with open(smollm2_path, "rb") as file:
        magic, version, tensors, keys = struct.unpack("<4sIQQ", file.read(24))
        rest = file.read()
    pairs = b"".join(
        _pair(f"tokenizer.ggml.{name}_token_id", 4, struct.pack("<I", value)) for name, value in FIM.items()
    )
    bare = len(_pair("general.description", 8, struct.pack("<Q", 0)))
    filling = -(len(pairs) + bare) % 32
    pairs += _pair("general.description", 8, struct.pack("<Q", filling) + b"x" * filling)
    path = tmp_path_factory.mktemp("fim") / "fim.gguf"
    path.write_bytes(struct.pack("<4sIQQ", magic, version, tensors, keys + len(FIM) + 1) + pairs + rest)
    return path
