from __future__ import annotations

import math
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jan_auth_keys import changes
from jan_auth_keys.file import read
from jan_auth_keys.scopes import read_scopes
from jan_auth_keys.token import read_token

from jan_core.errors import Conflict, InvalidRequest, NotFound


def add(path: Path, name: str) -> str:
    return changes.add(str(path), path.parent, name, None, math.inf)[1]


def test_a_key_is_added_and_found(path: Path) -> None:
    end = time.time() + 1000
    kept, text = changes.add(str(path), path.parent, "ci", read_scopes(["chat"]), end)
    token = read_token(text.encode())
    assert token is not None
    found = read(str(path)).find(token)
    assert found is not None
    assert (found.name, found.id, found.digest, found.scopes) == (kept.name, kept.id, kept.digest, kept.scopes)
    assert found.expires == int(end)
    assert found.created == kept.created
    assert abs(kept.created - time.time()) < 100  # type: ignore[operator]


def test_the_key_is_not_in_the_file(path: Path) -> None:
    text = add(path, "a")
    raw = path.read_text()
    assert text not in raw
    assert text.split("_")[2] not in raw
    assert set(tomllib.loads(raw)["keys"]["a"]) == {"id", "hash", "created"}


def test_names(path: Path) -> None:
    add(path, "ada@home.example")
    add(path, "a")
    with pytest.raises(Conflict, match="already"):
        add(path, "a")
    for wrong in ("", " ", "a b", "a\n", "-a", ".a", "x" * 65, "é", "a/b", '"'):
        with pytest.raises(InvalidRequest, match="cannot be a key's name"):
            add(path, wrong)
    assert [key.name for key in read(str(path)).by_id.values()] == ["ada@home.example", "a"]


def test_a_key_is_revoked_also_one_that_counts_for_nothing(path: Path) -> None:
    add(path, "a")
    add(path, "b")
    path.write_text(path.read_text() + "\n[keys.c]\nexpire = 1\n")
    for name in ("a", "c"):
        changes.revoke(str(path), path.parent, name)
    assert [key.name for key in read(str(path)).by_id.values()] == ["b"]
    assert read(str(path)).faults == ()
    with pytest.raises(NotFound, match="`jan keys ls` lists them"):
        changes.revoke(str(path), path.parent, "zzzz")
    with pytest.raises(NotFound, match="did you mean 'b'"):
        changes.revoke(str(path), path.parent, "b1")
    changes.revoke(str(path), path.parent, "b")
    assert read(str(path)).by_id == {}
    add(path, "b")
    assert [key.name for key in read(str(path)).by_id.values()] == ["b"]


def test_revoking_where_there_is_no_file(path: Path) -> None:
    with pytest.raises(NotFound):
        changes.revoke(str(path), path.parent, "a")
    assert not path.exists()


def test_keys_between_other_tables(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[keys.a]\nid = 'x'\n[other]\nx = 1\n[keys.b]\nid = 'y'\n")
    add(path, "c")
    changes.revoke(str(path), path.parent, "a")
    assert list(tomllib.loads(path.read_text())["keys"]) in (["b", "c"], ["c", "b"])


def test_many_at_once_lose_none(path: Path) -> None:
    path.parent.mkdir()
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: add(path, f"k{number}"), range(24)))
    keys = read(str(path))
    assert len(keys.by_id) == 24
    for text in texts:
        token = read_token(text.encode())
        assert token is not None
        assert keys.find(token) is not None
