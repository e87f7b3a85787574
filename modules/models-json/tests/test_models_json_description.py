from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jan_models_json.description import LARGEST, BadDescription, Description, read_description


def read(folder: Path, content: bytes) -> Description:
    path = folder / "model.json"
    path.write_bytes(content)
    return read_description(str(path))[0]


def test_every_field(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        b"""{"id": "x", "object": "model", "created": 1700000000, "owned_by": "me", "engine": "llamacpp",
        "source": [{"filename": "a.gguf", "url": "https://x", "sha256": "0"}], "settings": {"ctx_len": 4096},
        "parameters": {"top_p": 0.5}, "metadata": {"author": "you", "tags": []}, "made_up": {"kept": true}}""",
    )
    assert found == Description(
        1700000000, "me", "llamacpp", "a.gguf", {"ctx_len": 4096}, {"top_p": 0.5}, {"author": "you", "tags": []}
    )


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"\xef\xbb\xbf{}\r\n",
        b'{\n\n  "source": []\n}',
        b'{"source": [{"url": "x"}], "settings": null, "created": null, "owned_by": ""}',
    ],
)
def test_every_field_is_optional_and_any_layout_is_fine(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == Description()


@pytest.mark.parametrize("given", [b"1700000000", b"1700000000000", b"1700000000.9", b"1700000000123456789"])
def test_times_become_seconds(tmp_path: Path, given: bytes) -> None:
    assert read(tmp_path, b'{"created": ' + given + b"}").created == 1700000000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{\n  "a": 1,\n  "b" 2\n}', "line 3, column 7"),
        (b"", "line 1, column 1"),
        (b'{"a": 1', "line 1, column 8"),
        (b'{\n"a": "\xff"}', "line 2, column 7"),
        (b"[]", "an object"),
        (b'"x"', "an object"),
        (b'{"a": NaN}', "does not allow"),
        (b'{"a": 1e999}', "does not allow"),
        (b'{"a": "\\ud800"}', "does not allow"),
        (b'{"a": ' + b"9" * 5000 + b"}", "does not allow"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"created": "2024"}', "`created`"),
        (b'{"created": true}', "`created`"),
        (b'{"created": -1}', "`created`"),
        (b'{"owned_by": 5}', "`owned_by`"),
        (b'{"engine": []}', "`engine`"),
        (b'{"settings": [1]}', "`settings`"),
        (b'{"parameters": "hot"}', "`parameters`"),
        (b'{"metadata": 1}', "`metadata`"),
        (b'{"source": {}}', "`source`"),
        (b'{"source": ["a.gguf"]}', "`source[0].filename`"),
        (b'{"source": [{"filename": 1}]}', "`source[0].filename`"),
        (b" " * (LARGEST + 1), "more than"),
    ],
    ids=range(23),
)
def test_damage_is_named_with_file_and_place(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(BadDescription) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "model.json") in str(caught.value)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 400


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0d8e-+NaIfity19 ', max_size=60).map(str.encode))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    try:
        read(tmp_path, content)
    except BadDescription as error:
        assert "model.json" in str(error)  # noqa: PT017 - reading may as well succeed
