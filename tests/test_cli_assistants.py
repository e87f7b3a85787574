from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from jan_core.cli.assistants import folder_name
from tests.command_line import Call
from tests.foreign import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    write(
        root / "assistants" / "tutor" / "assistant.json",
        {"created_at": 5, "name": "Tutor", "description": "For sums", "tools": [{"type": "rag"}], "mine": 1},
    )
    write(root / "assistants" / "tutor" / "model.json", {"id": "big", "instructions": "Be exact.\nBe kind."})
    return root


def test_ls(jan: Call, root: Path) -> None:
    done = jan("assistants", "ls", "--root", root)
    assert (done.code, done.err) == (0, "")
    rows = done.out.splitlines()
    assert rows[0].split() == ["ID", "NAME", "MODEL", "DESCRIPTION"]
    assert "tutor  Tutor  big    For sums" in rows
    assert any(row.startswith("jan ") for row in rows)
    listed = json.loads(jan("assistants", "ls", "--json", "--root", root).out)
    assert [one["id"] for one in listed] == ["tutor", "jan"]


def test_show(jan: Call, root: Path) -> None:
    done = jan("assistants", "show", "tutor", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert "description: For sums\n" in done.out
    assert "model: big\n    from assistants/tutor/model.json\n" in done.out
    assert "instructions: \n    Be exact.\n    Be kind.\n    from assistants/tutor/model.json\n" in done.out
    told = json.loads(jan("assistants", "show", "tutor", "--json", "--root", root).out)
    assert (told["id"], told["instructions"]) == ("tutor", "Be exact.\nBe kind.")
    assert told["settings"]["model"] == {"value": "big", "origin": "assistants/tutor/model.json"}
    done = jan("assistants", "show", "none", "--root", root)
    assert (done.code, done.out, done.err) == (1, "", "jan: There is no assistant 'none'.\n")


def test_new(jan: Call, root: Path) -> None:
    options = ("--model", "small", "--description", "d", "--temperature", "0.5", "--top-p", "1")
    done = jan("assistants", "new", "Math Tutor", "--instructions", "Be brief.", *options, "--root", root)
    assert (done.code, done.out) == (0, "math-tutor is here. jan assistants show math-tutor\n")
    told = json.loads((root / "assistants" / "math-tutor" / "assistant.json").read_text())
    assert {name: told[name] for name in ("name", "model", "instructions", "description", "temperature", "top_p")} == {
        "name": "Math Tutor",
        "model": "small",
        "instructions": "Be brief.",
        "description": "d",
        "temperature": 0.5,
        "top_p": 1.0,
    }
    assert json.loads(jan("assistants", "show", "math-tutor", "--json", "--root", root).out)["name"] == "Math Tutor"


def test_new_without_a_model_follows_what_is_installed(jan: Call, root: Path) -> None:
    done = jan("assistants", "new", "Plain", "--json", "--root", root)
    assert (done.code, json.loads(done.out)["id"]) == (0, "plain")
    told = json.loads((root / "assistants" / "plain" / "assistant.json").read_text())
    assert not told.get("model")


def test_new_reads_instructions_from_stdin(jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Talk like\na pirate."))
    assert jan("assistants", "new", "Pirate", "--instructions", "-", "--root", root).code == 0
    told = json.loads((root / "assistants" / "pirate" / "assistant.json").read_text())
    assert told["instructions"] == "Talk like\na pirate."


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Tutor",), "There is an assistant 'tutor' already. Give another id: --id."),
        (("x", "--id", "TUTOR"), "and 'TUTOR' differs from it only in capitals"),
        (("x", "--id", "../x"), "cannot be a name"),
        (("x", "--id", "con"), "Windows takes it for a device"),
        (("x", "--temperature", "9"), "temperature"),
        (("n" * 300,), "name"),
    ],
)
def test_new_is_refused(jan: Call, root: Path, arguments: tuple[str, ...], why: str) -> None:
    before = sorted((root / "assistants").iterdir())
    done = jan("assistants", "new", *arguments, "--root", root)
    assert (done.code, done.out) == (1, "")
    assert why in done.err
    assert len(done.err.splitlines()) == 1
    assert [path for path in sorted((root / "assistants").iterdir()) if path.name != "jan"] == before


def test_a_name_of_which_no_id_can_be_made(jan: Call, root: Path) -> None:
    done = jan("assistants", "new", "数学", "--root", root)
    assert (done.code, done.out) == (2, "")
    assert "--id" in done.err
    assert jan("assistants", "new", "数学", "--id", "sums", "--root", root).code == 0


def test_names_of_folders() -> None:
    assert folder_name("Math Tutor!") == "math-tutor"
    assert folder_name("  Ça   va? ") == "ca-va"
    assert folder_name("---") == ""
    assert len(folder_name("x" * 500)) == 100


def test_a_root_that_is_not_there_is_not_made_by_looking(jan: Call, tmp_path: Path) -> None:
    for arguments in (("ls",), ("show", "jan")):
        done = jan("assistants", *arguments, "--root", tmp_path / "typo")
        assert (done.code, done.out) == (2, "")
        assert "there is no such folder" in done.err
    assert not (tmp_path / "typo").exists()
    assert jan("assistants", "new", "Tutor", "--root", tmp_path / "new").code == 0
    assert (tmp_path / "new" / "assistants" / "tutor").is_dir()
