from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from jan_core.folder import objects as module
from jan_core.folder.calls import DISK
from jan_core.folder.objects import Damaged, Oversized, line_of, read_object, read_values, write_object


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}',
        b'\xef\xbb\xbf{"a": 1}\r\n',
        b'{\r\n\t"a":\r\n\t1\r\n}\r\n\r\n',
        '{"a": 1, "name": "Zoë 👋"}'.encode(),
    ],
)
def test_any_layout_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thread.json"
    path.write_bytes(content)
    values, seen, found = read_object(str(path))
    assert values["a"] == 1
    assert found == content
    assert seen[1] == len(content)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b" \n\n", 1),
        (b"[]", 1),
        (b"5", 1),
        (b'{\n "a": 1,\n "b": }', 3),
        (b'{"a": 1}\n\n{"b": 2}', 3),
        (b'{"a":\n "\xff"}', 2),
        (b'{"a": NaN}', 1),
        (b'{"a": 1e999}', 1),
        (b'{"a": "\\ud800"}', 1),
        (b'{"a": ' + b"9" * 5000 + b"}", 1),
        (b'{"a": ' + b"[" * 250 + b"]" * 250 + b"}", 1),
        (b'{"a": ' + b"[" * 100_000, 1),
        (b"\x00" * 4096, 1),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "thread.json"
    path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        read_values(str(path))
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert str(caught.value).startswith(f"{path}, line {line}: ")


def test_what_is_no_file_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        read_values(str(tmp_path / "nothing"))
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", tmp_path):
            with pytest.raises((Damaged, OSError)):
                read_values(str(path))
    monkeypatch.setattr(module, "LARGEST", 10)
    (tmp_path / "large").write_bytes(b'{"a": "12345"}')
    with pytest.raises(Damaged):
        read_values(str(tmp_path / "large"))


def test_what_is_written_is_read_and_pleasant_to_edit(tmp_path: Path) -> None:
    path = tmp_path / "thread.json"
    values = {"title": "Zoë\u2028\U0001f44b", "unknown": {"deep": [1, 2.5, None, True]}}
    write_object(str(path), values)
    assert read_values(str(path)) == values
    assert path.read_text(encoding="utf-8").splitlines()[0] == "{"
    assert "Zoë" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError):
        write_object(str(path), {"a": float("inf")})
    assert json.loads(path.read_bytes()) == values


def test_the_line_of_a_field() -> None:
    content = b'{\n  "a": 1,\n  "created_at" : "x"\n}'
    assert line_of(content, "created_at") == 3
    assert line_of(content, "a") == 2
    assert line_of(content, "missing") == 1


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_object(str(path), {"a": 1}, largest=20)
    with pytest.raises(Oversized, match="26 bytes, and 20 are the most"):
        write_object(str(path), {"a": "x" * 12}, largest=20)
    assert read_values(str(path)) == {"a": 1}
    assert os.listdir(tmp_path) == ["run.json"]
    with pytest.raises(Oversized):
        write_object(str(path), {"a": "x" * module.LARGEST})


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="other systems cannot tell whether a read would wait")
def test_a_small_file_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "thread.json"
    path.write_bytes(b'{"a": 1}')
    waited: list[int] = []
    monkeypatch.setattr(DISK, "read", lambda *call: waited.append(1))
    try:
        assert read_object(str(path), at_once=True)[0] == {"a": 1}
    except BlockingIOError:
        pytest.skip("the file system of the temporary folder cannot tell whether a read would wait")
    assert not waited
    path.write_bytes(b'{"a": "' + b"x" * module.AT_ONCE + b'"}')
    with pytest.raises(BlockingIOError, match="too large"):
        read_object(str(path), at_once=True)


@pytest.mark.parametrize("found", [b'{"a": 1}, "b"', b'{"a"'], ids=["longer", "shorter"])
def test_what_is_being_written_is_not_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bytes
) -> None:
    path = tmp_path / "thread.json"
    path.write_bytes(b'{"a": 1}')
    monkeypatch.setattr(DISK, "read_at_once", lambda descriptor, size, offset: found[:size])
    with pytest.raises(BlockingIOError, match="writing"):
        read_object(str(path), at_once=True)


def test_a_disk_that_would_have_to_be_asked_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "thread.json"
    path.write_bytes(b'{"a": 1}')

    def would_wait(descriptor: int, size: int, offset: int) -> bytes:
        raise BlockingIOError

    monkeypatch.setattr(DISK, "read_at_once", would_wait)
    with pytest.raises(BlockingIOError):
        read_object(str(path), at_once=True)
    assert read_object(str(path))[0] == {"a": 1}


@pytest.mark.parametrize(
    "values",
    [
        {"a": [], "b": {}, "c": [1, {"d": None}], "e": 'é\u2028\n\x01\x7f/"\\', "f": 10**30, "g": [1.5, -0.0, 1e22]},
        {"a": "NaN and Infinity are words here"},
        {"a": "x", "deep": [[[[[[]]]]]]},
    ],
)
def test_what_is_written_has_the_layout_that_json_gives_and_is_told(tmp_path: Path, values: dict[str, object]) -> None:
    path = tmp_path / "thread.json"
    written = write_object(str(path), values)
    assert written == path.read_bytes()
    told = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    assert written.decode() == told


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_does_not_have_is_not_written(tmp_path: Path, value: object) -> None:
    path = tmp_path / "thread.json"
    with pytest.raises(ValueError, match="."):
        write_object(str(path), {"a": value})
    assert not path.exists()
