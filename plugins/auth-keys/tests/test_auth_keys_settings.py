from __future__ import annotations

import os
from pathlib import Path

import pydantic
import pytest
from jan_auth_keys.settings import Settings


def test_the_file_is_in_the_root_unless_it_is_said_to_be_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert Settings().path(tmp_path) == str(tmp_path / "keys.toml")
    assert Settings(file="secret/keys").path(tmp_path) == os.path.join(tmp_path, "secret/keys")
    assert Settings(file=str(tmp_path / "x")).path(Path("root")) == str(tmp_path / "x")
    assert Settings(file="~/keys").path(Path("root")) == os.path.join(str(tmp_path / "home"), "keys")


@pytest.mark.parametrize("wrong", [{"file": ""}, {"file": "a\0"}, {"file": 1}, {"path": "a"}, {"keys": ["a"]}])
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Settings.model_validate(wrong)
