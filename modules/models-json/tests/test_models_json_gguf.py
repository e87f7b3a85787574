from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jan_models_json.gguf import read_header
from jan_models_json.stream import BadModelFile

Write = Callable[..., Path]
UNREAD = 3_000_000


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


ARCHITECTURE = pair("general.architecture", 8, text("llama"))


def file(*pairs: bytes, tensors: bytes = b"", count: int = 0, keys: int | None = None, version: int = 3) -> bytes:
    known = len(pairs) + 1 if keys is None else keys
    return b"GGUF" + struct.pack("<IQQ", version, count, known) + ARCHITECTURE + b"".join(pairs) + tensors


def tensor(name: str = "t", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def test_the_real_model_reads_as_the_reference_reads_it(smollm2_path: Path) -> None:
    header = read_header(str(smollm2_path))
    reference = gguf.GGUFReader(smollm2_path)
    for ours, theirs in {
        "architecture": "general.architecture",
        "name": "general.name",
        "organization": "general.organization",
        "context_length": "llama.context_length",
        "block_count": "llama.block_count",
        "embedding_length": "llama.embedding_length",
        "head_count": "llama.attention.head_count",
        "chat_template": "tokenizer.chat_template",
    }.items():
        field = reference.get_field(theirs)
        assert field is not None
        assert header.metadata[ours] == field.contents()
    assert header.parameters == sum(int(found.n_elements) for found in reference.tensors)
    assert header.metadata["quantization"] == "Q4_1"
    assert header.part is None
    assert not header.big_endian


@pytest.mark.parametrize("order", list(gguf.GGUFEndian))
def test_both_byte_orders(tmp_path: Path, order: gguf.GGUFEndian) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    writer.add_context_length(4096)
    writer.add_chat_template("{{ messages }}")
    writer.add_token_list([f"t{n}" for n in range(100_000)])
    writer.add_token_types([1] * 100_000)
    writer.add_tensor("w", np.ones((2, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(str(path))
    assert header.metadata["context_length"] == 4096
    assert header.metadata["chat_template"] == "{{ messages }}"
    assert header.parameters == 64
    assert header.big_endian == (order is gguf.GGUFEndian.BIG)


def test_every_kind_of_value_is_stepped_over(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for number, kind in enumerate(("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")):
        getattr(writer, f"add_{kind}")(f"x.{kind}", number)
    writer.add_float32("x.f32", 0.5)
    writer.add_float64("x.f64", 0.5)
    writer.add_bool("x.yes", True)
    for name, values in {"i": [1, 2], "f": [0.5], "b": [True, False], "s": ["a", "", "ä" * 70_000]}.items():
        writer.add_array(f"x.array.{name}", values)
    writer.add_context_length(7)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert read_header(str(path)).metadata["context_length"] == 7


def test_version_2_and_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(file(pair("split.no", 2, b"\x01\x00"), pair("split.count", 2, b"\x03\x00"), version=2))
    header = read_header(str(path))
    assert header.part == (2, 3)
    assert not header.early


def test_version_1_counts_in_32_bits(tmp_path: Path) -> None:
    def word(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode()

    path = tmp_path / "m.gguf"
    pairs = word("general.architecture") + struct.pack("<I", 8) + word("llama")
    pairs += word("words") + struct.pack("<3I", 9, 8, 2) + word("a") + word("bc")
    pairs += word("numbers") + struct.pack("<3I2H", 9, 2, 2, 1, 2)
    head = struct.pack("<3I", 1, 1, 3) + pairs + word("t") + struct.pack("<IIIQ", 1, 32, 0, 0)
    path.write_bytes(b"GGUF" + head + bytes(32 + 128))
    header = read_header(str(path))
    assert (header.metadata["architecture"], header.parameters, header.early) == ("llama", 32, True)


BAD = {
    "empty": b"",
    "short": b"GGUF\x03\x00\x00\x00",
    "a page": b"<html><body>404 Not Found</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "version 1": file(version=1),
    "version 99": file(version=99),
    "keys": file(keys=1 << 60),
    "fewer keys": file(keys=2),
    "tensors": file(count=1 << 60),
    "long key": file(struct.pack("<Q", 1 << 40)),
    "endless key": file(struct.pack("<Q", (1 << 64) - 1)),
    "key not text": file(struct.pack("<Q", 2) + b"\xff\xff" + struct.pack("<IB", 0, 1)),
    "no key": file(pair("", 0, b"\x01")),
    "key twice": file(pair("a", 0, b"\x01"), pair("a", 0, b"\x01")),
    "type": file(pair("a", 13, b"\x00" * 8)),
    "long text": file(pair("a", 8, struct.pack("<Q", 1 << 50))),
    "long template": file(pair("tokenizer.chat_template", 8, text("x" * (1 << 20) + "x"))),
    "not a bool": file(pair("a", 7, b"\x02")),
    "array of arrays": file(pair("a", 9, struct.pack("<IQ", 9, 1))),
    "array of numbers": file(pair("a", 9, struct.pack("<IQ", 12, 1 << 61))),
    "array of strings": file(pair("a", 9, struct.pack("<IQ", 8, 1 << 61))),
    "array too long": file(pair("a", 9, struct.pack("<IQ", 8, 5_000_000) + b"\x00" * 40_000_000)),
    "string in an array": file(pair("a", 9, struct.pack("<IQ", 8, 2) + struct.pack("<QQ", 1 << 40, 0))),
    "no blocks": file(pair("llama.block_count", 4, struct.pack("<I", 0))),
    "many blocks": file(pair("llama.block_count", 4, struct.pack("<I", 1 << 30))),
    "blocks in words": file(pair("llama.block_count", 6, struct.pack("<f", 1.5))),
    "no context": file(pair("llama.context_length", 4, struct.pack("<I", 0))),
    "no heads": file(pair("llama.attention.head_count", 4, struct.pack("<I", 0))),
    "alignment 0": file(pair("general.alignment", 4, struct.pack("<I", 0))),
    "alignment 33": file(pair("general.alignment", 4, struct.pack("<I", 33))),
    "no architecture": b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
    "rank 0": file(tensors=tensor(shape=()) + b"\x00" * 999, count=1),
    "rank 5": file(tensors=tensor(shape=(1, 1, 1, 1, 1)) + b"\x00" * 999, count=1),
    "shape 0": file(tensors=tensor(shape=(0, 32)) + b"\x00" * 999, count=1),
    "shape huge": file(tensors=tensor(shape=(1 << 63, 1 << 63)) + b"\x00" * 999, count=1),
    "part of a block": file(tensors=tensor(shape=(33,), kind=2) + b"\x00" * 999, count=1),
    "tensor type": file(tensors=tensor(kind=1 << 30) + b"\x00" * 999, count=1),
    "unaligned": file(tensors=tensor(offset=5) + b"\x00" * 999, count=1),
    "beyond the end": file(tensors=tensor() + b"\x00" * 64, count=1),
    "far beyond": file(tensors=tensor(offset=1 << 63) + b"\x00" * 999, count=1),
    "tensor twice": file(tensors=tensor() * 2 + b"\x00" * 999, count=2),
    "long name": file(tensors=tensor(name="x" * 65) + b"\x00" * 999, count=1),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(BAD[name])
    with pytest.raises(BadModelFile) as caught:
        read_header(str(path))
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert 0 <= caught.value.offset <= max(len(BAD[name]), 24)
    assert len(caught.value.what) < 300


def test_their_like_without_the_damage_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(
        file(pair("llama.block_count", 4, struct.pack("<I", 1)), tensors=tensor() + b"\x00" * 200, count=1)
    )
    assert read_header(str(path)).parameters == 32
    path.write_bytes(file(tensors=tensor(kind=99) + b"\x00" * 200, count=1))  # a type that is newer than our table
    assert read_header(str(path)).parameters == 32


def check(path: Path, content: bytes) -> None:
    """Read a file that may be damaged: nothing but `BadModelFile`, in little time and memory."""
    path.write_bytes(content)
    begun = time.process_time()
    try:
        read_header(str(path))
    except BadModelFile as error:
        assert error.offset >= 0  # noqa: PT017 - reading may as well succeed
    assert time.process_time() - begun < 1


def test_every_truncation_is_refused(tmp_path: Path, write_gguf: Write) -> None:
    content = write_gguf("m/m.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(BadModelFile):
            read_header(str(path))
    path.write_bytes(content)
    assert read_header(str(path)).parameters == 256


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=4))
def test_changed_bytes(tmp_path: Path, write_gguf: Write, changes: list[tuple[int, int]]) -> None:
    source = tmp_path / "root/models/m/m.gguf"
    content = bytearray((source if source.exists() else write_gguf("m/m.gguf")).read_bytes())
    for offset, change in changes:
        content[offset % len(content)] ^= change
    check(tmp_path / "changed.gguf", bytes(content))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(max_size=300))
def test_any_bytes_after_the_magic(tmp_path: Path, tail: bytes) -> None:
    check(tmp_path / "any.gguf", b"GGUF\x03\x00\x00\x00" + tail)


def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    words = b"".join(text("x" * (n % 40)) for n in range(300_000))
    path.write_bytes(file(pair("tokens", 9, struct.pack("<IQ", 8, 300_000) + words)))
    assert path.stat().st_size > 2 * UNREAD
    tracemalloc.start()
    try:
        read_header(str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < UNREAD
