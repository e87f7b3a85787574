from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jan_ctransformers.formats import TYPES
from jan_ctransformers.parameters import load_parameters
from jan_ctransformers.settings import CTransformersSettings

from jan_core.errors import InvalidRequest
from jan_core.schemas.models import ModelLocation

Make = Callable[..., ModelLocation]


def load(location: ModelLocation, **settings: Any) -> dict[str, Any]:
    return load_parameters(location, CTransformersSettings(**settings))


def test_what_a_file_tells(tiny: Make, smollm2: Make) -> None:
    given = load(tiny(), threads=3, batch=2)
    assert (given["type"], given["context"], given["slots"], given["threads"], given["batch"]) == ("gpt2", 256, 1, 3, 2)
    assert (given["chat_template"], given["chat_stops"]) == (None, [])
    assert load(smollm2(metadata={"architecture": "llama"}))["type"] == "gguf"


def test_model_json_goes_before_the_table(tiny: Make) -> None:
    told = {
        "ctx_len": 100,
        "model_type": "StarCoder",
        "chat_template": "plain",
        "eos_token_id": [1, 2],
        "bos_token_id": 3,
    }
    given = load(tiny(settings=told))
    assert (given["type"], given["context"], given["end_tokens"], given["begin_token"]) == ("starcoder", 100, [1, 2], 3)
    assert "Assistant:" in given["chat_template"]
    assert given["chat_stops"] == ["\nUser:"]
    assert load(tiny(settings={"chat_template": "{{ 1 }}"}))["chat_template"] == "{{ 1 }}"


def test_an_unknown_type_is_an_error_that_lists_the_types(tiny: Make) -> None:
    for location in (tiny(metadata={}), tiny(metadata={"architecture": "bert"}), tiny(settings={"model_type": "bert"})):
        with pytest.raises(InvalidRequest) as refused:
            load(location)
        assert all(name in refused.value.message for name in TYPES)
    assert load(tiny(metadata={}, settings={"model_type": "gpt2"}))["type"] == "gpt2"


@pytest.mark.parametrize(
    "settings",
    [
        {"ctx_len": 15},
        {"ctx_len": True},
        {"model_type": 7},
        {"model_type": "gptj"},
        {"chat_template": 7},
        {"chat_template": "chatlm"},
        {"eos_token_id": -1},
        {"eos_token_id": ["</s>"]},
        {"bos_token_id": 1.5},
    ],
)
def test_a_bad_setting_is_named(tiny: Make, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(settings))) as refused:
        load(tiny(settings=settings))
    assert refused.value.code == "bad_model_settings"


def test_a_file_that_cannot_be_read(tiny: Make) -> None:
    with pytest.raises(InvalidRequest, match="/nowhere/a.bin"):
        load(tiny(path="/nowhere/a.bin"))
