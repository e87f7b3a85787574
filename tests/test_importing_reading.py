from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jan_core.importing.reading import Unreadable, read_array, read_flat_yaml, read_lines, read_object
from tests.command_line import POSIX


def put(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def shown(found: object) -> object:
    return (found.line, found.why) if isinstance(found, Unreadable) else found


@pytest.mark.parametrize(
    "content",
    [
        '{"a": 1}',
        '\ufeff{"a": 1}',
        '{\r\n  "a": 1\r\n}',
        '\n\n {"a":1} \n',
    ],
)
def test_an_object_however_it_is_laid_out(tmp_path: Path, content: str) -> None:
    assert read_object(put(tmp_path, content)) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b'{\n"a": 1,\n"b" 2}', 3, "':' delimiter"),
        (b"", 1, "Expecting value"),
        (b'{"a":\n"\xff"}', 2, "it is not UTF-8"),
        (b"[]", None, "an array"),
        (b"null", None, "null"),
        (b'"a"', None, "a text"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", None, "digits"),
    ],
)
def test_what_is_no_object_is_told_with_its_line(tmp_path: Path, content: bytes, line: int | None, why: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(Unreadable, match=why) as caught:
        read_object(path)
    assert (caught.value.path, caught.value.line) == (path, line)


def test_what_json_does_not_have_is_taken_out(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": [NaN, "\\ud83d", -Infinity], "\\udc00": 1}')
    found = read_object(path)
    assert found == {"a": [None, "\ufffd", None], "\ufffd": 1}
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="it is not there"):
        read_object(tmp_path / "none")
    with pytest.raises(Unreadable, match="it is no file"):
        read_object(tmp_path)


@POSIX
def test_a_pipe_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="it is no file"):
        list(read_lines(tmp_path / "pipe"))


def test_lines_one_by_one(tmp_path: Path) -> None:
    path = put(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": \n[1]\n{"b": "\xff"}\n{"c": 3}')
    found = [(line, shown(one)) for line, one in read_lines(path)]
    assert found[0] == (1, {"a": 1})
    assert found[1][0] == 3
    assert found[1][1] == (3, "Expecting value")
    assert found[2] == (4, (4, "there is an array where an object {…} belongs"))
    assert found[3] == (5, (5, "it is not UTF-8"))
    assert found[4] == (6, {"c": 3})
    assert list(read_lines(put(tmp_path, ""))) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("[]", []),
        (" [ ] rest", []),
        ('[\n{"a":1},\n{"a":2}\n]\n', [(2, {"a": 1}), (3, {"a": 2})]),
        ('[{\n"a":1},{"a":2}]', [(1, {"a": 1}), (2, {"a": 2})]),
        ('[{"a":1},\n7]', [(1, {"a": 1}), (2, (2, "there is a number where an object {…} belongs"))]),
        ('[\n{"a":1},\n{"a"', [(2, {"a": 1}), (3, (3, "Expecting ':' delimiter"))]),
        ('[\n{"a":1}\n', [(2, {"a": 1}), (3, (3, "the array breaks off"))]),
        ('[\n{"a":1}\n{"a":2}]', [(2, {"a": 1}), (3, (3, "a comma or the array's end is missing"))]),
    ],
)
def test_an_array_element_by_element(tmp_path: Path, content: str, expected: list[object]) -> None:
    found = [(line, shown(one)) for line, one in read_array(put(tmp_path, content))]
    assert found == expected


def test_an_array_that_python_cannot_take(tmp_path: Path) -> None:
    for content, why in (("9" * 5000, "digits"), ("[" * 100_000, "it is nested too deeply")):
        ((line, found),) = read_array(put(tmp_path, "[\n" + content + "]"))
        assert isinstance(found, Unreadable)
        assert (line, found.line) == (2, 2)
        assert why in found.why


def test_what_is_no_array_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no array") as caught:
        list(read_array(put(tmp_path, '\n\n{"a": 1}')))
    assert caught.value.line == 3


def test_flat_yaml(tmp_path: Path) -> None:
    text = """\
# comment
---
name: A model: the best   # of all
path: "C:\\\\x\\n"
single: 'it''s'
size_bytes: 64
rate: 0.5
embedding: false
nothing:
none: ~
stop:
  - <|im_end|>
  - "a b"
files:
- models/x.gguf
nested:
  deep: 1
  - odd
inline: [a, 2]
big: 1e999
"""
    assert read_flat_yaml(put(tmp_path, text)) == {
        "name": "A model: the best",
        "path": "C:\\x\n",
        "single": "it's",
        "size_bytes": 64,
        "rate": 0.5,
        "embedding": False,
        "nothing": [],
        "none": None,
        "stop": ["<|im_end|>", "a b"],
        "files": ["models/x.gguf"],
        "nested": ["odd"],
        "inline": ["a", 2],
        "big": "1e999",
    }
