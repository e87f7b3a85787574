from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from jan_core.pull import about, source
from jan_core.pull.errors import PullError
from jan_core.pull.present import find

URL = "https://somewhere.test/Tiny.Q4_1.gguf"
DATA = b"GGUF and all"
HASH = hashlib.sha256(DATA).hexdigest()


class Quiet:
    def start(self, label: str, total: int | None, done: int = 0) -> None:
        """Nothing to see."""

    def advance(self, n: int) -> None:
        """Nothing to see."""

    def note(self, text: str) -> None:
        """Nothing to see."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "Tiny.Q4_1.gguf").write_bytes(DATA)
    about.record(folder, "tiny", about.Entry("Tiny.Q4_1.gguf", URL, HASH), "somebody")
    return tmp_path


def names(models: Path, *, url: str = URL, name: str | None = None, sha256: str | None = None) -> list[str]:
    return [one.path.name for one in find(models, source.parse(url), name, sha256, Quiet())]


def test_what_was_pulled_and_is_as_it_was_is_found(models: Path) -> None:
    assert names(models) == ["Tiny.Q4_1.gguf"]
    assert names(models, name="tiny", sha256=HASH) == ["Tiny.Q4_1.gguf"]
    (found,) = find(models, source.parse(URL), None, None, Quiet())
    assert (found.model_id, found.digest.sha256, found.digest.size) == ("tiny", HASH, len(DATA))


def test_another_source_name_or_hash_is_not_it(models: Path) -> None:
    assert names(models, url="https://somewhere.test/other.gguf") == []
    assert names(models, name="other") == []
    assert names(models, sha256="0" * 64) == []


def test_a_missing_file_is_pulled_again(models: Path) -> None:
    (models / "tiny" / "Tiny.Q4_1.gguf").unlink()
    assert names(models) == []


def test_somebodys_work_is_never_overwritten(models: Path) -> None:
    (models / "tiny" / "Tiny.Q4_1.gguf").write_bytes(b"GGUF and mine")
    with pytest.raises(PullError, match="not what was pulled any more.*jan models rm tiny"):
        names(models)


def test_a_broken_model_json_costs_its_own_model_only(models: Path) -> None:
    (models / "aaa").mkdir()
    (models / "aaa" / "model.json").write_bytes(b"{")
    (models / "notes.txt").write_text("no model")
    assert names(models) == ["Tiny.Q4_1.gguf"]
