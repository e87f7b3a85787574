from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CHOICES, Call, add_heard, end, root_with, start, until
from tests.parts import Site

MODEL = "smollm2-135m-instruct"
ANIMAL = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "tame": {"type": "boolean"}},
    "required": ["kind", "tame"],
    "additionalProperties": False,
}


@pytest.fixture
def scripted(site: Site, tmp_path: Path) -> Path:
    """A root whose chat and completions are the scripted engine."""
    add_heard(site)
    site.add("jan-typed", {}, {"modules": {"completions-typed": "jan_core.testing.scripted_completions"}})
    return root_with(tmp_path / "scripted", f'{CHOICES}completions = "completions-typed"\n')


@pytest.fixture
def root(root: Path) -> Path:
    """A root with the real model, which says the same each time; on one thread: quick also where others compute."""
    (described,) = (root / "models").iterdir()
    (described / "model.json").write_text('{"parameters": {"temperature": 0}}')
    return root_with(root, "[jan-llamacpp]\nthreads = 1\ncontext = 512\n")


def test_a_prompt_is_answered(jan: Call, scripted: Path) -> None:
    done = jan("run", "scripted", "--prompt", "Say  hello", "--root", scripted)
    assert (done.code, done.out) == (0, "Say hello \n")
    done = jan("run", "scripted", "-p", "Say hello", "--system", "Be brief.", "--max-tokens", "5", "--root", scripted)
    heard = json.loads(done.err.partition("heard ")[2])
    assert heard == {"messages": [["system", "Be brief."], ["user", "Say hello"]], "max_tokens": 5}


def test_a_raw_prompt_is_gone_on_with(jan: Call, scripted: Path) -> None:
    done = jan("run", "scripted", "--raw", "--prompt", "Say hello", "--root", scripted)
    assert (done.code, done.out, done.err) == (0, "Say hello \n", "")


def test_a_prompt_from_stdin_and_a_text_cut_short(scripted: Path, site: Site) -> None:
    script = json.dumps({"say": ["cut\n"], "finish": "length"})
    done = end(start("run", "scripted", "--prompt", "-", "--root", scripted, site=site, stdin=script))
    assert (done.code, done.out) == (0, "cut\n")
    assert done.err.splitlines()[-1] == "(cut short: the answer reached its limit of tokens)"


def test_the_answer_comes_while_it_is_made_and_ctrl_c_ends_it(scripted: Path, site: Site) -> None:
    script = json.dumps({"say": ["on", "e!"], "hang": True})
    process = start("run", "scripted", "--prompt", script, "--root", scripted, site=site)
    assert until(process, "e!") == "one!"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert (done.code, done.out) == (130, "\n")
    assert done.err.splitlines()[-1] == "jan: stopped"


def test_json_is_the_reply_of_the_api(jan: Call, scripted: Path) -> None:
    for more, kind in (([], "chat.completion"), (["--raw"], "text_completion")):
        done = jan("run", "scripted", "--prompt", "Hello", "--json", *more, "--root", scripted)
        reply = json.loads(done.out)
        assert (done.code, reply["object"], reply["model"]) == (0, kind, "scripted")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--raw", "--system", "x"], "Invalid value for --system: there is none without the chat template"),
        (["--raw", "--json-schema", "{}"], "Invalid value for --json-schema: there is none without"),
        (["--raw", "--logprobs", "6"], "Invalid value for --logprobs: with --raw at most 5"),
        (["--logprobs", "21"], "--logprobs"),
        (["--temperature", "3"], "--temperature"),
        (["--max-tokens", "0"], "--max-tokens"),
        (["--prompt", " "], "Invalid value for --prompt: it is empty"),
        (["--json-schema", "{"], "Invalid value for --json-schema: it is no JSON"),
        (["--json-schema", "no-such.json"], "cannot read the file 'no-such.json': No such file or directory"),
    ],
)
def test_misuse_is_told(jan: Call, scripted: Path, arguments: list[str], said: str) -> None:
    prompt = [] if "--prompt" in arguments else ["--prompt", "hi"]
    done = jan("run", "scripted", *prompt, *arguments, "--root", scripted)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())


def test_errors_are_a_sentence(jan: Call, scripted: Path) -> None:
    done = jan("run", "no-such", "--prompt", "hi", "--root", scripted)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("jan: There is no model 'no-such'")
    done = jan("run", "scripted", "--prompt", "hi", *["--stop", "x"] * 5, "--root", scripted)
    assert done.code == 1
    assert done.err.startswith("jan: stop: ")


def test_the_real_model_fits_a_schema(jan: Call, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(ANIMAL))
    asked: list[Any] = ["run", MODEL, "--prompt", "Describe a cat.", "--seed", "7", "--root", root]
    for schema in (file, json.dumps(ANIMAL)):
        done = jan(*asked, "--json-schema", schema)
        assert (done.code, done.err) == (0, "")
        assert set(json.loads(done.out)) == {"kind", "tame"}


def test_the_real_model_tells_how_likely_its_tokens_are(jan: Call, root: Path) -> None:
    for more in ([], ["--raw"]):
        asked = ["--prompt", "Count: one, two,", "--max-tokens", "3", "--logprobs", "2", *more]
        done = jan("run", MODEL, *asked, "--root", root)
        assert done.code == 0
        lines = done.out.splitlines()
        assert len(lines) == 3
        for line in lines:
            told = [one.rpartition(" ") for one in line.split("\t")]
            assert 2 <= len(told) <= 3
            assert all(isinstance(json.loads(text), str) for text, _, _ in told)
            shares = [float(share.removesuffix("%")) for _, _, share in told]
            assert 0 < sum(shares) <= 100.1
