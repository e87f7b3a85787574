from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CHOICES, Call, add_heard, end, root_with, start
from tests.parts import Site

MODEL = "smollm2-135m-instruct"


@pytest.fixture
def scripted(site: Site, tmp_path: Path) -> Path:
    """A root whose completions are the scripted engine, to which a token is a byte."""
    add_heard(site)
    site.add("jan-typed", {}, {"modules": {"completions-typed": "jan_core.testing.scripted_completions"}})
    return root_with(tmp_path / "scripted", f'{CHOICES}completions = "completions-typed"\n')


def test_a_line_a_token(jan: Call, scripted: Path) -> None:
    done = jan("tokenize", "scripted", "a é", "--root", scripted)
    assert (done.code, done.out) == (0, '97\t"a"\n32\t" "\n195\t"�"\n169\t"�"\n')
    assert jan("tokenize", "scripted", "a", "--special", "--root", scripted).out == '256\t""\n97\t"a"\n'
    told = json.loads(jan("tokenize", "scripted", "a", "--json", "--root", scripted).out)
    assert told == [{"id": 97, "text": "a", "bytes": [97]}]


def test_a_text_from_stdin(site: Site, scripted: Path) -> None:
    done = end(start("tokenize", "scripted", "-", "--root", scripted, site=site, stdin="hi"))
    assert (done.code, done.out) == (0, '104\t"h"\n105\t"i"\n')


def test_tokens_become_text(jan: Call, scripted: Path) -> None:
    done = jan("detokenize", "scripted", "256", "104", "105", "--root", scripted)
    assert (done.code, done.out) == (0, "hi\n")
    assert jan("detokenize", "scripted", "10", "--json", "--root", scripted).out == '"\\n"\n'


def test_errors_are_a_sentence(jan: Call, scripted: Path) -> None:
    done = jan("detokenize", "scripted", "257", "--root", scripted)
    assert (done.code, done.err) == (1, "jan: tokens: the scripted engine has no token 257; the last is 256.\n")
    assert jan("detokenize", "scripted", str(2**31), "--root", scripted).err.startswith("jan: tokens[0]: ")
    assert jan("tokenize", "no-such", "hi", "--root", scripted).err.startswith("jan: There is no model 'no-such'")
    for wrong in (["tokenize", "scripted", " "], ["detokenize", "scripted", "x"], ["detokenize", "scripted", "-1"]):
        assert jan(*wrong, "--root", scripted).code == 2


def test_the_real_model_there_and_back(jan: Call, root: Path) -> None:
    text = "Héllo <|im_end|> 你好"
    for more in ([], ["--special"]):
        told = json.loads(jan("tokenize", MODEL, text, "--json", *more, "--root", root).out)
        assert b"".join(bytes(one["bytes"]) for one in told).decode() == text
        assert ("<|im_end|>" in [one["text"] for one in told]) == bool(more)
        back = jan("detokenize", MODEL, *(str(one["id"]) for one in told), "--root", root)
        assert (back.code, back.out) == (0, text + "\n")
    done = jan("detokenize", MODEL, "999999999", "--root", root)
    assert done.code == 1
    assert "has no token 999999999; the last is 49151" in done.err
