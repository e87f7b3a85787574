from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jan_ctransformers.header import read_header
from jan_ctransformers.library import Model
from jan_ctransformers.vocabulary import Unreadable, Vocabulary, _chunks

from tests.models.tiny_mpt import tiny_replit


@pytest.fixture(scope="module")
def tiny(tiny_gpt2: Path) -> Vocabulary:
    return Vocabulary(Model(str(tiny_gpt2), "gpt2", 0), "gpt2", None)


@pytest.fixture(scope="module")
def real(smollm2_ggml: Path) -> Vocabulary:
    return Vocabulary(Model(str(smollm2_ggml), "gguf", 64), "gguf", read_header(str(smollm2_ggml)))


def said(vocabulary: Vocabulary, tokens: list[int]) -> str:
    return b"".join(vocabulary.piece(token) for token in tokens).decode()


def test_special_tokens_are_no_text(tiny: Vocabulary, real: Vocabulary) -> None:
    assert tiny.tokenize("go<|endoftext|>go") == [256, 275, 256]
    assert tiny.ends == {275}
    assert real.tokenize("<|im_start|>user\nhi<|im_end|>\n") == [1, 4093, 198, *real.tokenize("hi"), 2, 198]
    assert real.ends >= {0, 2}
    assert real.text_of(2) == "<|im_end|>"
    assert real.text_of(1000) == ""


def test_the_beginning_comes_once(tiny_gpt2: Path) -> None:
    vocabulary = Vocabulary(Model(str(tiny_gpt2), "gpt2", 0), "gpt2", None, ends=[5], begin=275)
    assert vocabulary.prompt("go") == vocabulary.prompt("<|endoftext|>go") == [275, 256]
    assert vocabulary.ends == {5, 275}


@pytest.mark.parametrize("given", [{"ends": [276]}, {"begin": 276}])
def test_a_token_that_is_not_there(tiny_gpt2: Path, given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="276"):
        Vocabulary(Model(str(tiny_gpt2), "gpt2", 0), "gpt2", None, **given)  # type: ignore[arg-type]


SOME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)


@settings(max_examples=50, deadline=None)
@given(SOME)
def test_what_goes_in_comes_out(tiny: Vocabulary, text: str) -> None:
    assert said(tiny, tiny.tokenize(text)) == text


def test_the_real_vocabulary_gives_back_what_it_took(real: Vocabulary) -> None:
    for text in ("Hello", " Hello", "héllo €uro 漢字 🙂", "  two\n\n\tlines ", "a" * 2000):
        assert said(real, real.tokenize(text)) == text


def test_a_zero_character_would_end_the_text(tiny: Vocabulary) -> None:
    with pytest.raises(Unreadable):
        tiny.tokenize("a\0b")


def test_long_words_do_not_reach_the_librarys_stack(tiny: Vocabulary) -> None:
    assert said(tiny, tiny.tokenize("x" * 30_000)) == "x" * 30_000


@given(st.binary(max_size=3000).map(lambda data: data.decode("utf-8", "replace").encode()))
def test_chunks_are_whole_characters_and_nothing_is_lost(data: bytes) -> None:
    chunks = list(_chunks(data))
    assert b"".join(chunks) == data
    assert all(len(chunk) <= 256 for chunk in chunks)
    assert all(chunk.decode() is not None for chunk in chunks)


def test_words_are_not_cut_where_there_is_a_space() -> None:
    assert all(chunk.startswith(b" ") for chunk in list(_chunks(b"word" + b" word" * 1000))[1:])


def test_the_library_does_not_know_replits_end(tmp_path: Path) -> None:
    path = tmp_path / "replit.bin"
    path.write_bytes(tiny_replit())
    model = Model(str(path), "replit", 0)
    assert model.end_token == 0, "a token like any other"
    assert Vocabulary(model, "replit", None).ends == {275}


def test_a_vocabulary_that_lacks_a_character() -> None:
    class Few:
        size, end_token, begin_token = 2, 0, 0

        def tokenize(self, text: bytes) -> list[int]:
            return [1 for byte in text if byte == ord("a")]

        def detokenize(self, token: int) -> bytes:
            return [b"", b"a"][token]

    with pytest.raises(Unreadable, match="'ü'"):
        Vocabulary(Few(), "gpt2", None).tokenize("aü")
