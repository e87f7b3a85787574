from __future__ import annotations

from typing import Any

from jan_completions_llamacpp.tokens import Tokens


def told(number: int, text: str | bytes | None, *others: str) -> dict[str, Any]:
    """What the engine says of one token; text None: it is not among the likeliest."""
    own = [] if text is None else [_top(number, text)]
    top = [*own, *(_top(number + 100 + index, other) for index, other in enumerate(others))]
    return {"content": [{"id": number, "logprob": -0.5, "token": "?", "bytes": [], "top_logprobs": top}]}


def _top(number: int, text: str | bytes) -> dict[str, Any]:
    raw = text.encode() if isinstance(text, str) else text
    return {"id": number, "bytes": list(raw), "logprob": -0.5, "token": "?"}


def test_each_piece_has_its_token() -> None:
    tokens = Tokens(2, offset=10)
    found = tokens.add(told(1, "Hé", "x"), "Hé")
    assert found is not None
    assert found.model_dump() == {
        "tokens": ["Hé"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"Hé": -0.5, "x": -0.5}],
        "text_offset": [10],
    }
    found = tokens.add(told(2, None, "y", "z"), "llo")
    assert found is not None
    assert (found.tokens, found.text_offset, found.top_logprobs) == (
        ["llo"],
        [12],
        [{"y": -0.5, "z": -0.5, "llo": -0.5}],
    )
    assert (tokens.count, tokens.mean) == (2, -0.5)


def test_tokens_that_were_held_back_share_the_text() -> None:
    for first, second in (("ab", "cd"), (None, "cd"), ("ab", None)):
        tokens = Tokens(1)
        assert tokens.add(told(1, first, "x"), "") is None
        found = tokens.add(told(2, second, "x"), "abcd")
        assert found is not None
        assert (found.tokens, found.text_offset) == (["ab", "cd"], [0, 2])
    tokens = Tokens(1)
    tokens.add(told(1, None, "x"), "")
    found = tokens.add(told(2, None, "x"), "abcd")
    assert found is not None
    assert "".join(found.tokens) == "abcd", "nothing tells them apart, and nothing is lost"


def test_parts_of_characters_are_shown_as_bytes() -> None:
    tokens = Tokens(1)
    assert tokens.add(told(1, b"\xe2\x82"), "") is None
    found = tokens.add(told(2, b"\xac"), "€")
    assert found is not None
    assert found.tokens == ["bytes:\\xe2\\x82", "bytes:\\xac"]
    assert found.text_offset == [0, 0]


def test_what_nobody_wants_is_only_counted() -> None:
    tokens = Tokens(None)
    assert tokens.add(told(1, "a"), "a") is None
    assert tokens.add(None, "b") is None
    assert tokens.count == 1
    assert Tokens(None).mean == float("-inf")
