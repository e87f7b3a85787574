from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.importing.models import ForeignModel, read_model
from tests.foreign import GGUF, newer, older, write


def read(data: Path, described: Any = None, *files: str, name: str = "model.json") -> ForeignModel:
    folder = data / "models" / "m"
    folder.mkdir(parents=True, exist_ok=True)
    if described is not None:
        write(folder / name, described)
    for file in files:
        write(folder / file, GGUF)
    return read_model(folder, "m", data)


def test_a_model_of_an_older_app(tmp_path: Path) -> None:
    data = older(tmp_path)
    found = read_model(data / "models" / "tiny-q4", "tiny-q4", data)
    assert found.known_as == ("tiny-q4",)
    assert found.description("tiny-q4") == {
        "id": "tiny-q4",
        "object": "model",
        "name": "Tiny",
        "version": "1.0",
        "settings": {"ctx_len": 4096},
        "parameters": {"temperature": 0.7, "max_tokens": 4096, "stop": [], "stream": True},
        "metadata": {"author": "me", "tags": ["Small"], "size": 64},
        "source": [{"filename": "tiny.Q4.gguf", "url": "https://models.example/tiny.Q4.gguf"}],
    }
    assert found.damaged is None
    assert found.notes == [
        "prompt_template was left out: the file's own template counts, or settings.chat_template",
        "engine 'nitro' was left out: the file's format says which one it is",
        "format was left out: the file itself says it",
    ]


def test_a_model_whose_file_was_never_downloaded(tmp_path: Path) -> None:
    data = older(tmp_path)
    assert read_model(data / "models" / "far-7b", "far-7b", data).files == []


def test_a_model_of_a_newer_app(tmp_path: Path) -> None:
    data = newer(tmp_path)
    found = read_model(data / "llamacpp" / "models" / "org" / "ship" / "q8", "org/ship/q8", data)
    assert found.known_as == ("org/ship/q8",)
    assert [path.name for path, _ in found.files] == ["model.gguf"]
    assert found.description("ship") == {
        "id": "ship",
        "object": "model",
        "name": "Ship",
        "size_bytes": 64,
        "settings": {},
        "parameters": {},
        "source": [{"filename": "model.gguf"}],
    }


def test_the_yaml_of_the_versions_between(tmp_path: Path) -> None:
    write(tmp_path / "models" / "far" / "weights.gguf", GGUF)
    text = """\
id: tiny
model: tiny:1b
name: Tiny
engine: llama-cpp
files:
  - models/far/weights.gguf
ctx_len: 2048
ngl: 33
temperature: 0.6
top_k: 40.0
typ_p: 0.9
max_tokens: 0
stop:
  - </s>
prompt_template: "{prompt}"
"""
    found = read(tmp_path, text, name="model.yml")
    assert found.known_as == ("m", "tiny")
    described = found.description("m")
    assert described is not None
    assert described["settings"] == {"ctx_len": 2048, "ngl": 33}
    assert described["parameters"] == {"temperature": 0.6, "top_k": 40, "typical_p": 0.9, "stop": ["</s>"]}
    assert [path for path, _ in found.files] == [tmp_path / "models" / "far" / "weights.gguf"]
    assert found.notes == [
        "prompt_template was left out: the file's own template counts, or settings.chat_template",
        "engine 'llama-cpp' was left out: the file's format says which one it is",
        "parameters.max_tokens was left out: '0' is not what it can be",
    ]
    assert "engine" not in described
    nested = read_model(tmp_path / "models" / "m", "host/org/m", tmp_path)
    assert nested.known_as == ("tiny:1b", "host/org/m", "tiny")


def test_files_elsewhere_and_projectors(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "big.gguf", GGUF)
    described = {
        "sources": [{"filename": "gone.gguf", "url": str(outside)}],
        "settings": {"mmproj": "mmproj-f16.gguf", "llama_model_path": "a.gguf"},
    }
    found = read(tmp_path / "app", described, "mmproj-f16.gguf", "a.gguf", "b.GGUF", "note.txt")
    assert [path.name for path, _ in found.files] == ["big.gguf", "a.gguf", "b.GGUF", "mmproj-f16.gguf"]
    made = found.description("m")
    assert made is not None
    assert made["settings"] == {"mmproj": "mmproj-f16.gguf"}
    assert [one["filename"] for one in made["source"]] == ["big.gguf", "a.gguf", "b.GGUF", "mmproj-f16.gguf"]


def test_the_oldest_form_names_an_address_only(tmp_path: Path) -> None:
    found = read(tmp_path, {"source_url": "https://models.example/x/a.gguf"}, "a.gguf")
    assert found.files == [(tmp_path / "models" / "m" / "a.gguf", {"url": "https://models.example/x/a.gguf"})]


def test_files_alone_need_no_description(tmp_path: Path) -> None:
    found = read(tmp_path, None, "b.gguf", "a.gguf")
    assert [path.name for path, _ in found.files] == ["a.gguf", "b.gguf"]
    assert found.description("m") is None


@pytest.mark.parametrize("content", ["{", "[]", b"\xff"])
def test_a_damaged_description_is_named(tmp_path: Path, content: Any) -> None:
    found = read(tmp_path, content, "a.gguf")
    assert found.damaged is not None
    assert found.damaged.path.name == "model.json"


def test_what_an_engine_would_not_take_is_left_out(tmp_path: Path) -> None:
    described = {
        "settings": {
            "ctx_len": "4k",
            "ngl": 1e9,
            "n_parallel": True,
            "embedding": "no",
            "chat_template": 5,
            "own": [1],
        },
        "parameters": {"temperature": 3, "top_k": 1.5, "stop": "x", "max_tokens": 7.0, "own": {}},
        "metadata": "x",
        "owned_by": 5,
        "engine": "other",
        "created": 1_700_000_000_000,
        "format": "gguf",
        "mine": 1,
    }
    made = read(tmp_path, described, "a.gguf").description("m")
    assert made == {
        "id": "m",
        "object": "model",
        "settings": {"own": [1]},
        "parameters": {"max_tokens": 7, "own": {}},
        "engine": "other",
        "created": 1_700_000_000,
        "mine": 1,
        "source": [{"filename": "a.gguf"}],
    }


def test_names_of_files_that_cannot_be_names_here(tmp_path: Path) -> None:
    found = read(tmp_path, {"name": "x"}, "my model (1).GGUF")
    made = found.description("m")
    assert made is not None
    assert made["source"] == [{"filename": "my-model-1.gguf"}]


def test_only_files_of_models_are_taken(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt", "x")
    described = {
        "sources": [{"filename": "../../../secret.txt", "url": str(secret)}],
        "model_path": "x" * 5000 + ".gguf",
    }
    assert read(tmp_path / "app", described).files == []
