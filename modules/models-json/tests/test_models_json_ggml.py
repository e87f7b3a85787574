from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jan_models_json.ggml import MAGICS, begins_as_ggml, read_ggml
from jan_models_json.store import ModelsJson
from jan_models_json.stream import BadModelFile

from tests.models.tiny_gpt2 import tiny_gpt2 as tiny

WORDS = [b"a", b"b", b"### End"]


def file(
    numbers: list[Any],
    words: list[bytes],
    *names: str,
    magic: bytes = b"lmgg",
    again: bool = False,
    scores: bool = False,
    align: int = 1,
) -> bytes:
    """A GGML file of tensors of 4 × 2 numbers with these names."""
    data = magic + b"".join(struct.pack("<f" if isinstance(n, float) else "<i", n) for n in numbers)
    data += struct.pack("<i", len(words)) if again else b""
    data += b"".join(struct.pack("<I", len(w)) + w + (b"\0\0\0\0" if scores else b"") for w in words)
    for name in names:
        data += struct.pack("<3i2i", 2, len(name), 0, 4, 2) + name.encode()
        data += bytes(-len(data) % align) + bytes(32)
    return data


FILES: dict[str, bytes] = {
    "gpt2": file([3, 64, 4, 2, 1, 2], WORDS, "model/wte", again=True),
    "starcoder": file([3, 64, 4, 2, 1, 2], [b"a", b"b", b"<fim_prefix>"], "model/wte", again=True),
    "gptj": file([3, 64, 4, 2, 1, 8, 2], WORDS, "transformer.wte.weight", again=True),
    "gpt_neox": file([3, 64, 4, 2, 1, 8, 1, 2], [b"a", b"b", b"c"], "gpt_neox.embed_in.weight"),
    "dolly-v2": file([3, 64, 4, 2, 1, 8, 1, 2], WORDS, "gpt_neox.embed_in.weight"),
    "mpt": file([4, 4096, 2, 1, 3, 8.0, 0.0, 2], WORDS, "transformer.wte.weight"),
    "replit": file([4, 64, 2, 1, 3, 2], WORDS, "transformer.wte.weight", scores=True),
    "falcon": file([3, 4, 2, 1, 1, 7, 2], WORDS, "transformer.word_embeddings.weight"),
    "llama": file([3, 4, 256, 2, 1, 8, 2], WORDS, "tok_embeddings.weight"),
}
LATER: dict[str, bytes] = {
    "GGMF": file([1, 3, 4, 256, 2, 1, 8, 2], WORDS, "tok_embeddings.weight", magic=b"fmgg", scores=True),
    "GGJT": file([3, 3, 4, 256, 2, 1, 8, 2], WORDS, "norm.weight", magic=b"tjgg", scores=True, align=32),
    "GGCC": file([10, 3, 4, 2, 1, 1, 7, 2], WORDS, magic=b"ccgg"),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    def made(content: bytes) -> dict[str, Any]:
        path = tmp_path / "a.bin"
        path.write_bytes(content)
        assert begins_as_ggml(str(path))
        return read_ggml(str(path)).metadata

    return made


@pytest.mark.parametrize("family", FILES)
def test_the_family_is_told_by_the_tensors(read: Any, family: str) -> None:
    found = read(FILES[family])
    assert (found["architecture"], found["format"], found["quantization"]) == (family, "GGML", "Q4_0")
    assert (found["embedding_length"], found["head_count"], found["block_count"]) == (4, 2, 1)
    assert found.get("context_length") == {"mpt": 2048, "falcon": None, "llama": None}.get(family, 64)
    assert found["parameter_count"] == 8


@pytest.mark.parametrize("form", LATER)
def test_later_formats(read: Any, form: str) -> None:
    found = read(LATER[form])
    assert (found["format"], found["architecture"]) == (form, "falcon" if form == "GGCC" else "llama")


def test_the_tests_own_model(tiny_gpt2: Path) -> None:
    header = read_ggml(str(tiny_gpt2))
    assert (header.metadata["architecture"], header.metadata["context_length"]) == ("gpt2", 256)
    assert header.early


def test_three_dimensions_never_reach_the_library(read: Any) -> None:
    content = tiny()
    at = content.index(b"model/ln_f/g") - 16
    assert struct.unpack_from("<i", content, at) == (1,)
    for rank in (0, 3, 100, -1):
        with pytest.raises(BadModelFile, match=f"a tensor of {rank} dimensions"):
            read(content[:at] + struct.pack("<i", rank) + content[at + 4 :])


@pytest.mark.parametrize("length", [4, 20, 60, 1000, -1])
def test_a_file_that_was_cut(read: Any, length: int) -> None:
    with pytest.raises(BadModelFile):
        read(tiny()[:length])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(4, 3000), st.integers(0, 2**32 - 1))
def test_any_damage_is_an_error_or_harmless(read: Any, place: int, value: int) -> None:
    content = tiny()
    found = architecture(read, content[:place] + struct.pack("<I", value) + content[place + 4 :])
    assert found in ("damaged", "gpt2", "starcoder")


@given(st.sampled_from(sorted(MAGICS)), st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_behind_the_magic(read: Any, magic: bytes, rest: bytes) -> None:
    assert architecture(read, magic + rest) in ("damaged", "falcon", "llama")


def architecture(read: Any, content: bytes) -> str:
    try:
        return str(read(content)["architecture"])
    except BadModelFile as error:
        return "damaged" if "a.bin" in str(error) else "an error without the file's name"


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"PK\x03\x04")
    assert not begins_as_ggml(str(tmp_path / "a.bin"))
    with pytest.raises(BadModelFile, match="as no GGML file does"):
        read_ggml(str(tmp_path / "a.bin"))
    assert not begins_as_ggml(str(tmp_path / "nothing"))
    assert not begins_as_ggml(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.bin")
    assert not begins_as_ggml(str(tmp_path / "pipe.bin"))


@pytest.mark.anyio
async def test_the_folder_lists_them(
    models: ModelsJson, models_folder: Path, write_gguf: Any, describe: Any, settled: None
) -> None:
    for name, content in {
        "old/gpt2.bin": FILES["gpt2"],
        "older/a.ggml": FILES["mpt"],
        "torch/pytorch_model.bin": b"PK\x03\x04",
        "renamed/b.gguf": FILES["llama"],
        "broken/c.bin": FILES["gpt2"][:-8],
    }.items():
        (models_folder / name).parent.mkdir(exist_ok=True)
        (models_folder / name).write_bytes(content)
    write_gguf("both/a.gguf")
    (models_folder / "both" / "b.bin").write_bytes(FILES["gpt2"])
    describe("old", engine=None)
    assert [model.id for model in (await models.list()).data] == ["both", "both:b", "old", "older", "renamed"]
    engines = {name: (await models.locate(name)).engine for name in ("both", "both:b", "old", "older", "renamed")}
    assert engines == {"both": "llamacpp"} | dict.fromkeys(["both:b", "old", "older", "renamed"], "ctransformers")
    assert (await models.locate("old")).metadata["architecture"] == "gpt2"
    with pytest.raises(Exception, match=r"c\.bin is damaged"):
        await models.locate("broken")


@pytest.mark.anyio
async def test_an_unchanged_file_is_not_opened_again(
    models: ModelsJson, models_folder: Path, opened: Any, settled: None
) -> None:
    (models_folder / "old").mkdir()
    (models_folder / "old" / "a.bin").write_bytes(FILES["gpt2"])
    await models.locate("old")
    assert set(opened()) == {os.path.join("old", "a.bin")}
    (models_folder / "old" / "notes").mkdir()
    await models.locate("old")
    assert opened() == []
