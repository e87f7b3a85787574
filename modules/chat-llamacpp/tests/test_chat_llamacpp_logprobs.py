from __future__ import annotations

import math
from typing import Any

import pytest
from jan_chat_llamacpp.logprobs import HARDLY, token_logprobs

from jan_core.schemas.chat import Logprobs


def token(text: str, logprob: Any, *others: Any, **more: Any) -> dict[str, Any]:
    return {"id": 5, "token": text, "logprob": logprob, "top_logprobs": list(others), **more}


def test_tokens_keep_what_the_api_knows_and_as_many_others_as_were_asked_for() -> None:
    told = {"content": [token("é", -0.5, token("a", -1), token("b", -2), bytes=[195, 169])]}
    (found,) = token_logprobs(told, 1)
    assert found == {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [{"token": "a", "logprob": -1.0, "bytes": [97]}],
    }
    assert token_logprobs(told, 0)[0]["top_logprobs"] == []
    Logprobs.model_validate({"content": token_logprobs(told, 5), "refusal": None})


@pytest.mark.parametrize("value", [None, -math.inf, math.nan, -1e30])
def test_what_json_cannot_say_is_hardly_possible(value: Any) -> None:
    assert token_logprobs({"content": [token("a", value)]}, 0)[0]["logprob"] == HARDLY


@pytest.mark.parametrize("told", [None, {}, {"content": None}, {"content": []}])
def test_a_piece_without_tokens(told: Any) -> None:
    assert token_logprobs(told, 3) == []
