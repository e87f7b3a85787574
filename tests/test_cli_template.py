from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CHOICES, Call, add_heard, end, root_with, run, start
from tests.parts import Site

MODEL = "smollm2-135m-instruct"
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Héllo"}]
PROMPT = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHéllo<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def scripted(site: Site, tmp_path: Path) -> Path:
    """A root whose chat is the scripted engine, which has no template."""
    add_heard(site)
    return root_with(tmp_path / "scripted", CHOICES)


def test_the_real_models_prompt_from_everywhere(jan: Call, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    for asked in (ASKED, {"messages": ASKED}):
        file.write_text(json.dumps(asked), "utf-8")
        for given in (file, json.dumps(asked)):
            done = jan("template", MODEL, given, "--root", root)
            assert (done.code, done.out, done.err) == (0, PROMPT + "\n", "")
    assert json.loads(jan("template", MODEL, file, "--json", "--root", root).out) == PROMPT
    for arguments in ([], ["-"]):
        done = end(start("template", MODEL, *arguments, "--root", root, stdin=json.dumps(ASKED)), 60)
        assert (done.code, done.out) == (0, PROMPT + "\n")


def test_misuse_is_told(jan: Call, root: Path, tmp_path: Path) -> None:
    (tmp_path / "not.json").write_text("hello")
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    (tmp_path / "number.json").write_text("7")
    for given, said in {
        tmp_path / "not.json": "is no JSON",
        tmp_path / "bytes.json": "it is not UTF-8 text",
        tmp_path / "number.json": "it must be an array of messages",
        tmp_path: "Is a directory",
    }.items():
        done = jan("template", MODEL, given, "--root", root)
        assert (done.code, done.out) == (2, "")
        assert said in " ".join(done.err.split())


def test_errors_are_a_sentence(jan: Call, root: Path, scripted: Path) -> None:
    done = jan("template", MODEL, '[{"role": "user"}]', "--root", root)
    assert (done.code, done.err) == (1, "jan: messages[0].content: required, but not there.\n")
    assert jan("template", "no-such", json.dumps(ASKED), "--root", root).err.startswith("jan: The model `no-such`")
    done = jan("template", "scripted", json.dumps(ASKED), "--root", scripted)
    assert (done.code, done.err) == (1, "jan: The chosen chat module does not show prompts.\n")


def test_it_reads_the_terminal_or_a_pipe_only_once(root: Path) -> None:
    done = run("template", MODEL, "--root", root, stdin="")
    assert done.code == 2
    assert "stdin is no JSON" in " ".join(done.err.split())
