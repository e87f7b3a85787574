from __future__ import annotations

import struct
from pathlib import Path

import pytest
from jan_ctransformers.header import Header, read_header


def test_the_real_model(smollm2_ggml: Path) -> None:
    header = read_header(str(smollm2_ggml))
    assert (header.special["<|im_start|>"], header.special["<|im_end|>"], len(header.special)) == (1, 2, 17)
    assert (header.add_begin, header.add_space) == (False, False)


def text(value: bytes, long: str) -> bytes:
    return struct.pack("<" + long, len(value)) + value


@pytest.mark.parametrize(("version", "long"), [(1, "I"), (2, "Q"), (3, "Q")])
def test_every_version(tmp_path: Path, version: int, long: str) -> None:
    name = b"tokenizer.ggml."
    pairs = [
        text(b"general.name", long) + struct.pack("<I", 8) + text(b"x", long),
        text(b"other", long) + struct.pack(f"<II{long}3H", 9, 2, 3, 1, 2, 3),
        text(name + b"tokens", long) + struct.pack(f"<II{long}", 9, 8, 2) + text(b"a", long) + text(b"</s>", long),
        text(name + b"token_type", long) + struct.pack(f"<II{long}2i", 9, 5, 2, 1, 3),
        text(name + b"add_space_prefix", long) + struct.pack("<I?", 7, False),
    ]
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" + struct.pack(f"<I{long}{long}", version, 0, len(pairs)) + b"".join(pairs))
    assert read_header(str(path)) == Header({"</s>": 1}, add_begin=True, add_space=False)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((ValueError, struct.error, IndexError)):
        read_header(str(path))


def test_another_file(tiny_gpt2: Path) -> None:
    with pytest.raises(ValueError, match="not a GGUF file"):
        read_header(str(tiny_gpt2))
