from __future__ import annotations

import logging
import os
import stat
import sys
import time
from pathlib import Path

import pytest
from jan_auth_keys import file
from jan_auth_keys.entries import Unreadable
from jan_auth_keys.file import KeysFile, change, others_may

from jan_core.errors import InvalidRequest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
ENTRY = '[keys.{name}]\nid = "{id:a<12}"\nhash = "' + "0" * 64 + '"\n'


def write(path: Path, *names: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(ENTRY.format(name=name, id=name) for name in names))


def names(keys: KeysFile) -> list[str]:
    return [key.name for key in keys.current().by_id.values()]


def test_a_change_is_noticed_at_once_and_the_file_is_read_only_then(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "b")
    keys = KeysFile(str(path))
    assert names(keys) == ["b"]
    write(path, "b", "c")
    assert names(keys) == ["b", "c"]
    write(path, "d")
    assert names(keys) == ["d"], "of the same length would show too"
    os.utime(path, ns=(1, 1))
    read: list[str] = []
    content = file._content

    def reading(path: str) -> bytes:
        read.append(path)
        return content(path)

    monkeypatch.setattr(file, "_content", reading)
    monkeypatch.setattr(file, "is_settled", lambda found, now: True)
    keys.current()
    assert len(read) == 1, "the time has changed"
    for _ in range(5):
        keys.current()
    assert len(read) == 1


def test_a_file_that_was_just_written_is_read_again_as_its_next_change_may_not_show(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 10**9 * 10**9
    monkeypatch.setattr(file, "signature", lambda path: (now, 103, 1, now))  # a clock that counts seconds
    write(path, "b")
    keys = KeysFile(str(path))
    assert names(keys) == ["b"]
    write(path, "c")
    assert names(keys) == ["c"]


def test_without_keys_that_can_be_read_nothing_is_judged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = KeysFile(str(path))
    states = [
        (lambda: None, "there is no such file"),
        (lambda: write(path), "it is empty"),
        (lambda: path.write_text("  \n"), "it is empty"),
        (lambda: path.write_text("[keys"), "it is not TOML"),
        (lambda: path.write_bytes(b"#" * (file.LONGEST + 1)), "more than"),
        (lambda: (path.unlink(), path.mkdir()), "it is no file"),
    ]
    with caplog.at_level(logging.ERROR, "jan"):
        for bring, told in states:
            caplog.clear()
            bring()
            for _ in range(3):
                with pytest.raises(Unreadable, match=told):
                    keys.current()
            assert len(caplog.records) <= 1, "once for each state"
        path.rmdir()
        write(path, "b")
        assert names(keys) == ["b"]


def test_faults_are_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, "b")
    path.write_text(path.read_text() + "[keys.c]\nexpire = 1\n")
    keys = KeysFile(str(path))
    with caplog.at_level(logging.ERROR, "jan"):
        assert names(keys) == names(keys) == ["b"]
        assert len(caplog.records) == 1
        path.write_text(path.read_text() + "[keys.d]\nexpire = 1\n")
        assert names(keys) == ["b"]
    assert len(caplog.records) == 3
    assert "'c' counts for nothing" in caplog.text


@POSIX
def test_what_is_written_is_the_owners_only_also_where_it_was_not(path: Path) -> None:
    change(str(path), path.parent, lambda document: None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert others_may(str(path)) == ""
    for mode, may in ((0o644, "read"), (0o620, "write"), (0o666, "read and write")):
        path.chmod(mode)
        assert others_may(str(path)) == may
    change(str(path), path.parent, lambda document: None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert others_may(str(path / "nothing")) == ""


def test_comments_and_the_order_survive_a_change(path: Path) -> None:
    path.parent.mkdir()
    text = "# mine\n\n[keys.a]  # first\nid = 'x'\n\n# between\n[keys.b]\nid = 'y'\n"
    path.write_text(text)
    change(str(path), path.parent, lambda document: document["keys"].update({"c": {"id": "z"}}))  # type: ignore[union-attr]
    assert path.read_text().startswith(text)
    assert "[keys.c]" in path.read_text()


def test_what_cannot_be_understood_is_not_written_over(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[keys")
    with pytest.raises(InvalidRequest, match="cannot be changed: it is not TOML"):
        change(str(path), path.parent, lambda document: None)
    assert path.read_text() == "[keys"
    path.write_text("")
    change(str(path), path.parent, lambda document: None)
    assert path.read_text().startswith("# Who may use")


def test_what_the_edit_raises_leaves_the_file_as_it_was(path: Path) -> None:
    write(path, "b")
    before = path.read_bytes()

    def fail(document: object) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        change(str(path), path.parent, fail)
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == [".locks", "keys.toml"]


@POSIX
def test_a_link_stays_and_its_target_is_changed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "keys.toml"
    write(target, "b")
    path.parent.mkdir()
    path.symlink_to(target)
    change(str(path), path.parent, lambda document: document.add("x", 1))
    assert path.is_symlink()
    assert "x = 1" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_look_costs_little(path: Path) -> None:
    write(path, "b")
    os.utime(path, ns=(10**18, 10**18))
    keys = KeysFile(str(path))
    began = time.process_time()
    for _ in range(2000):
        keys.current()
    assert time.process_time() - began < 1, "a look, not a reading"
