from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jan_auth_keys import changes
from jan_auth_keys.scopes import read_scopes

from tests.command_line import Call, caller, kill_started

MakeKey = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys of a root are."""
    return tmp_path / "root" / "keys.toml"


@pytest.fixture
def make_key(path: Path) -> MakeKey:
    """Makes a key in the root and returns it."""

    def make(name: str = "laptop", *allow: str, seconds: float = math.inf) -> str:
        scopes = read_scopes(allow) if allow else None
        return changes.add(str(path), path.parent, name, scopes, time.time() + seconds)[1]

    return make


@pytest.fixture
def jan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[Call]:
    """Run `jan` in this process, on a root that has chosen the plugin."""
    path.parent.mkdir()
    (path.parent / "jan.toml").write_text('[plugins]\nuse = ["auth-keys"]\n')
    monkeypatch.setenv("TYPER_USE_RICH", "0")
    monkeypatch.setenv("JAN_ROOT", str(path.parent))
    monkeypatch.delenv("JAN_CONFIG", raising=False)
    yield caller(capsys)
    kill_started()
