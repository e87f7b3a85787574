from __future__ import annotations

import struct
from pathlib import Path

import pytest
from jan_models_json.stream import BadModelFile, Stream


def test_numbers_and_texts_of_either_width(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<I", 2) + b"ab" + struct.pack(">Q", 1) + b"c" + b"\x02")
    with path.open("rb", buffering=0) as file:
        stream = Stream(str(path), file)
        stream.long = "I"
        assert stream.text(10, "a word") == b"ab"
        stream.order, stream.long = ">", "Q"
        assert stream.text(10, "a word") == b"c"
        with pytest.raises(BadModelFile, match="neither true nor false"):
            stream.number("?")
        assert stream.position == stream.size - 1
        with pytest.raises(BadModelFile, match="it should go on"):
            stream.take(2)


def test_strings_are_stepped_over(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"".join(struct.pack("<I", n) + bytes(n) for n in range(100)))
    with path.open("rb", buffering=0) as file:
        stream = Stream(str(path), file)
        stream.long = "I"
        stream.skip_strings(100)
        assert stream.position == stream.size
        with pytest.raises(BadModelFile, match="an array of 9999999 strings"):
            stream.skip_strings(9_999_999)
