from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

import pytest
from jan_ctransformers.library import Model, NoBinary, find, load

from tests.models.tiny_gpt2 import VOCABULARY


def test_the_binary_for_this_machine_loads() -> None:
    assert Path(find()).is_file()
    load()


def test_the_python_package_is_not_imported() -> None:
    assert "ctransformers" not in sys.modules


@pytest.mark.parametrize(("flags", "folder"), [("avx avx2", "avx2"), ("avx f16c", "avx"), ("avx", "basic")])
def test_the_variant_follows_from_the_processor(monkeypatch: pytest.MonkeyPatch, flags: str, folder: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("jan_ctransformers.library._flags", lambda: set(flags.split()))
    assert Path(find()).parent.name == folder


def test_a_machine_without_a_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(NoBinary, match="no binary for .* on aarch64.*--no-binary ctransformers"):
        find()


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoBinary, match="pip install ctransformers"):
        find()


def test_a_model(tiny_gpt2: Path) -> None:
    model = Model(str(tiny_gpt2), "gpt2", 0)
    assert (model.size, model.context) == (len(VOCABULARY), 256)
    assert model.detokenize(model.end_token) == b"<|endoftext|>"
    assert b"".join(map(model.detokenize, model.tokenize("é€ go".encode()))) == "é€ go".encode()
    model.evaluate(model.tokenize(b"tick"), 0, 1)
    assert model.detokenize(model.sample([], 1, 1.0, 1.0, 1.0, 0)) == b" tock"


def test_a_file_that_the_library_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="gpt2"):
        Model(str(path), "gpt2", 0)
