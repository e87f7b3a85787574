from __future__ import annotations

from typing import Any

import pytest
import xllamacpp
from jan_llamacpp.sampling import DEFAULTS, SEEDS, Parameters, defaults, engine_error, sampling, too_long

from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest
from jan_core.schemas.completions import CompletionRequest
from jan_core.schemas.models import ModelLocation


def body(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "prompt": "a", **fields})


def located(**parameters: Any) -> ModelLocation:
    return ModelLocation(id="m", path="/m", size=1, revision="1", parameters=parameters)


def test_the_requests_values_go_before_the_models() -> None:
    own = defaults(located(temperature=0.5, top_k=7, stop=["a"], max_tokens=3, other={"x": 1}))
    assert sampling(body(temperature=0), own) == {"temperature": 0, "top_k": 7, "stop": ["a"]}
    assert sampling(body(), Parameters()) == {}
    assert sampling(body(logit_bias={"5": -1}), Parameters()) == {"logit_bias": [[5, -1]]}


@pytest.mark.parametrize(("seed", "first", "wanted"), [(7, 0, 7), (7, 2, 9), (-1, 0, SEEDS - 1), (SEEDS, 0, 0)])
def test_seeds_are_those_of_the_engine(seed: int, first: int, wanted: int) -> None:
    assert sampling(body(seed=seed), Parameters(), first) == {"seed": wanted}


def test_a_penalty_of_zero_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        sampling(body(repeat_penalty=0), Parameters())
    assert caught.value.param == "repeat_penalty"


@pytest.mark.parametrize("wrong", [{"temperature": "warm"}, {"top_p": 2}, {"max_tokens": 0}, {"repeat_penalty": 0}])
def test_a_bad_parameter_of_the_model_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"parameters.{next(iter(wrong))}") as caught:
        defaults(located(**wrong))
    assert (caught.value.param, caught.value.code) == ("model", "bad_model_parameters")


def test_what_the_engine_refuses() -> None:
    told = {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 5}
    found = engine_error(told, "The text is", "input")
    assert isinstance(found, ContextLengthExceeded)
    assert found.param == "input"
    assert "9 tokens" in found.message
    assert "5 tokens" in found.message
    assert isinstance(engine_error({"code": 400, "message": "no"}, "", ""), InvalidRequest)
    assert isinstance(engine_error({"code": 500}, "", ""), EngineError)
    assert too_long("It is", "9 characters", 5, "prompt").param == "prompt"
    assert too_long("It is", "9 characters", 5, "prompt").context == 5


def test_the_defaults_are_those_of_the_library() -> None:
    own = xllamacpp.CommonParams().sampling
    there = {
        "temperature": own.temp,
        "top_k": own.top_k,
        "top_p": own.top_p,
        "min_p": own.min_p,
        "typical_p": own.typ_p,
        "repeat_penalty": own.penalty_repeat,
        "frequency_penalty": own.penalty_freq,
        "presence_penalty": own.penalty_present,
    }
    assert pytest.approx(there) == DEFAULTS
    assert set(DEFAULTS) == set(Parameters.model_fields) - {"max_tokens", "stop"}
