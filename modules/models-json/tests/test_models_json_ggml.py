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

from tests.models.tiny_every import EVERY, LAST, family
from tests.models.tiny_gpt2 import VOCABULARY
from tests.models.tiny_gpt2 import tiny_gpt2 as tiny

FILES = {name: write() for name, write in EVERY.items() if name != "llama-GGUF"}
CONTEXTS = {"falcon": None, "llama": None}
COUNTS = {"gpt2": 5, "starcoder": 5, "mpt": 5, "replit": 5}
"""How many of the header's numbers, from the first on, are counts; of other types the first six."""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    def made(content: bytes) -> dict[str, Any]:
        path = tmp_path / "a.bin"
        path.write_bytes(content)
        assert begins_as_ggml(str(path))
        return read_ggml(str(path)).metadata

    return made


@pytest.mark.parametrize("name", FILES)
def test_the_family_is_told_by_the_tensors(read: Any, name: str) -> None:
    found = read(FILES[name])
    form = name.partition("-")[2][:4] if "-GG" in name else "GGML"
    assert (found["architecture"], found["format"]) == (family(name), form)
    assert (found["embedding_length"], found["head_count"], found["block_count"]) == (64, 4, 1)
    assert found.get("context_length") == CONTEXTS.get(family(name), 256)
    assert found["vocab_size"] >= 276
    assert found["parameter_count"] > 60_000


def test_mixtures_have_the_names_that_their_projects_gave_them(read: Any) -> None:
    assert read(FILES["gptj-GGML-Q4_0"])["quantization"] == read(FILES["llama-GGJT-Q4_0"])["quantization"] == "Q4_0"
    assert read(FILES["llama-GGJT-F16"])["quantization"] == "F16"


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_before_the_library_sees_it(read: Any, name: str) -> None:
    content, last = FILES[name], LAST[family(name)]
    begin = content.rindex(last.encode()) - 12 - (4 if last.endswith(("bias", "/b")) else 8)
    damaged = {
        "cut inside a tensor": content[:-7],
        "cut in half": content[: len(content) // 2],
        "a tensor less": content[:begin],
        "a tensor twice": content + content[begin:],
        "something more": content + bytes(40),
    }
    first = 4 if content.startswith(b"lmgg") else 8
    for number in range(COUNTS.get(family(name), 6)):
        for value in (0, -1, 5, 2**31 - 1):
            at = first + 4 * number
            damaged[f"{value} as number {number}"] = content[:at] + struct.pack("<i", value) + content[at + 4 :]
    if family(name) in ("gptj", "gpt_neox", "dolly-v2", "mpt", "replit"):
        del damaged["5 as number 1"]  # a short context, and no tensor tells otherwise
    for data in damaged.values():
        with pytest.raises(BadModelFile, match=r"a\.bin is damaged: "):
            read(data)
    with pytest.raises(BadModelFile, match=rf"only \d+ of \d+ tensors; {last} is missing"):
        read(damaged["a tensor less"])


def changed(content: bytes, before: bytes, after: bytes) -> bytes:
    assert before in content
    return content.replace(before, after, 1)


def test_what_would_crash_the_library(read: Any) -> None:
    gptj, llama, falcon = FILES["gptj"], FILES["llama-GGJT"], FILES["falcon-GGCC"]
    heads = struct.pack("<3i", 64, 4, 1)
    for content, message in {
        changed(FILES["mpt"], struct.pack("<I", 1) + b"q", struct.pack("<I", 1) + b"\xff"): "not UTF-8",
        changed(gptj, b"transformer.ln_f.weight", b"transformer.ln_f.wEight"): "has no place in this model",
        changed(gptj, heads, struct.pack("<3i", 64, 3, 1)): "first numbers are those of no dolly-v2, .* or starcoder",
        changed(gptj, struct.pack("<2i", 8, 0), struct.pack("<2i", 7, 0)): "first numbers",
        changed(gptj, struct.pack("<2i", 8, 0), struct.pack("<2i", 8, 1)): "has the type 0 and the shape",
        changed(llama, struct.pack("<2i", 16, 0), struct.pack("<2i", 8, 0)): "of no falcon or llama",
        changed(llama, struct.pack("<3i", 1, 11, 0), struct.pack("<3i", 1, 11, 1)): "norm.weight has the type 1",
        changed(falcon, struct.pack("<3i", 1, 1, 7), struct.pack("<3i", 3, 1, 7)): "3 heads of keys for 4",
        changed(falcon, struct.pack("<3i", 1, 1, 7), struct.pack("<3i", 1, 1, 8)): "or the kind 8",
        changed(falcon, b"ccgg" + struct.pack("<i", 10), b"ccgg" + struct.pack("<i", 11)): "GGCC version 11",
        changed(falcon, struct.pack("<2i", 7, 0), struct.pack("<2i", 7, 999)): "999 for its quantization",
    }.items():
        with pytest.raises(BadModelFile, match=message):
            read(content)
    large = struct.pack("<4i", len(VOCABULARY), (1 << 20) - 1, 64, 4) + struct.pack("<i", 900)
    with pytest.raises(BadModelFile, match="first numbers"):
        read(changed(gptj, gptj[4:24], large))


def test_early_quantized_types_are_named(read: Any) -> None:
    content = FILES["gptj-GGML-Q4_0"]
    assert read(changed(content, struct.pack("<i", 2002), struct.pack("<i", 2)))["quantization"] == "Q4_0"
    # Before, a block of Q4_0 had two bytes more; so the next tensor begins elsewhere.
    with pytest.raises(BadModelFile, match="quantized as the GGML files of version 0 are, .*reads no more; or "):
        read(changed(content[:-40], struct.pack("<i", 2002), struct.pack("<i", 2)))
    with pytest.raises(BadModelFile, match="is damaged: it should go on"):
        read(content[:-40])


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
        "renamed/b.gguf": FILES["llama-GGJT"],
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
