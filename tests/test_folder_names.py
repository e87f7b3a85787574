from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jan_core.errors import InvalidRequest
from jan_core.folder.names import check_model_id, check_name, is_name, split_model_id

GOOD = ["a", "Qwen2.5-0.5B", "smollm2-135m-instruct", "A" * 128, "_x_", "-x", "0", "console", "com", "nul-1", "a..b"]
DEVICES = ["CON", "prn", "Aux", "NUL", "com0", "COM1", "lpt9", "nul.gguf", "Con.tar.gz", "AUX.x"]
TRAVERSAL = ["..", ".", "../x", "..\\x", "a/b", "a\\b", "/etc/passwd", "\\\\host\\share", "C:x", "C:\\x", "~", "%2e%2e"]
TWINS = ["\u212aimi", "\uff41", "\u0430dmin", "e\u0301", "\u00e9", "\u0131", "a\u200db", "a\u202eb", "\u0661"]
BROKEN = ["", " ", "a ", " a", "a\n", "a\x00b", "\x00", "a\x7f", "\ud800", "a:b", "a*", "a?", 'a"', "a|b", "<a>", "a$"]
DOTS = [".a", "a.", "...", ".DS_Store", "a.."]
LONG = ["a" * 129, "a" * 100_000]
HOSTILE = DEVICES + TRAVERSAL + TWINS + BROKEN + DOTS + LONG


@pytest.mark.parametrize("name", GOOD)
def test_good_names_come_back_unchanged(name: str) -> None:
    assert check_name(name) == name
    assert check_model_id(name) == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name, param="id")
    assert caught.value.param == "id"
    assert len(caught.value.message) < 300
    assert caught.value.message.replace("…", "").isascii()


@pytest.mark.parametrize("name", [n for n in HOSTILE if n not in ("a/b", "a:b")], ids=ascii)
def test_hostile_parts_of_a_model_id_are_refused(name: str) -> None:
    for model_id in (name, f"owner/{name}", f"{name}/model", f"folder:{name}", f"{name}:stem", f"o/m:{name}"):
        with pytest.raises(InvalidRequest) as caught:
            check_model_id(model_id)
        assert caught.value.param == "model"
        assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("model_id", "parts"),
    [
        ("folder", ("folder", None)),
        ("folder:Model.Q4_K_M", ("folder", "Model.Q4_K_M")),
        ("owner/name", None),
        ("owner/name:tag", None),
        ("a1:b1:c", None),
    ],
)
def test_model_ids_split(model_id: str, parts: tuple[str, str | None] | None) -> None:
    assert split_model_id(model_id) == parts


@pytest.mark.parametrize("model_id", ["a/", "/a", "a//b", "ab:", ":ab", "ab::cd", "a/../b", "x" * 60 + "/" + "y" * 600])
def test_model_ids_without_a_part_or_too_long(model_id: str) -> None:
    with pytest.raises(InvalidRequest):
        split_model_id(model_id)
    assert len("ab/" * 170 + "ab") == 512
    assert check_model_id("ab/" * 170 + "ab")


def test_a_drive_is_no_folder() -> None:
    with pytest.raises(InvalidRequest, match="drive"):
        check_model_id("C:x")


@given(st.text(max_size=140) | st.text(alphabet="aA0._-:/\\ \x00cCoOnN", max_size=12))
def test_what_is_accepted_stays_inside_the_folder(name: str) -> None:
    if not is_name(name):
        with pytest.raises(InvalidRequest):
            check_name(name)
        return
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name, re.ASCII)
    assert check_name(name) == name
    assert (Path("/root/models") / name).resolve().parent == Path("/root/models").resolve()
    windows = PureWindowsPath("C:/root/models") / name
    assert windows.name == name
    assert windows.parent == PureWindowsPath("C:/root/models")
    assert not name.endswith((".", " "))
