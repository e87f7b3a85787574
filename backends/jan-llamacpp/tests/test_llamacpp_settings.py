from __future__ import annotations

from typing import Any

import pytest
from jan_llamacpp.parameters import load_parameters
from jan_llamacpp.settings import LlamaCppSettings
from pydantic import ValidationError

from jan_core.errors import InvalidRequest
from jan_core.schemas.models import ModelLocation


def location(settings: dict[str, Any] | None = None, **metadata: Any) -> ModelLocation:
    return ModelLocation(
        id="m", path="/nowhere/m.gguf", size=1, revision="1", settings=settings or {}, metadata=metadata
    )


def given(settings: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    return load_parameters(location(settings, **(metadata or {})), LlamaCppSettings(**own))


def test_the_defaults() -> None:
    found = given()
    assert (found["context"], found["slots"], found["batch"], found["gpu_layers"]) == (4096, 4, 24, -1)
    assert found["batch"] <= 128, "a prompt could not be left in time"
    assert found["threads"] >= 1
    assert found["chat_template"] is None
    assert found["chat_template_override"] is None


def test_model_json_goes_before_the_backends_table() -> None:
    found = given({"ctx_len": 512, "n_parallel": 2, "ngl": 0}, context=2048, slots=8, gpu_layers=5, threads=3)
    assert (found["context"], found["slots"], found["gpu_layers"], found["threads"]) == (512, 2, 0, 3)
    assert given({"ctx_len": None}, context=2048)["context"] == 2048


def test_the_models_own_limit_caps_the_context() -> None:
    assert given(metadata={"context_length": 1000})["context"] == 1000
    assert given({"ctx_len": 900}, {"context_length": 1000})["context"] == 900
    assert given({"ctx_len": 9000}, {"context_length": 1000})["context"] == 1000
    assert given(metadata={"context_length": 0})["context"] == 4096


def test_a_template_of_ones_own_goes_before_the_files_and_both_are_looked_at() -> None:
    found = given({"chat_template": "mine"}, {"chat_template": "the file's"})
    assert (found["chat_template"], found["chat_template_override"]) == ("mine", "mine")
    found = given(metadata={"chat_template": "the file's"})
    assert (found["chat_template"], found["chat_template_override"]) == ("the file's", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ctx_len": "4k"},
        {"ctx_len": 1},
        {"ctx_len": 255},
        {"ctx_len": 2**40},
        {"ctx_len": 512.0},
        {"ctx_len": True},
        {"n_parallel": 0},
        {"n_parallel": 65},
        {"ngl": -2},
        {"chat_template": 5},
        {"chat_template": ["x"]},
    ],
)
def test_a_bad_setting_of_model_json_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"model\.json of 'm': settings\.{next(iter(wrong))} must be") as refused:
        given(wrong)
    assert (refused.value.code, refused.value.param) == ("bad_model_settings", "model")


@pytest.mark.parametrize("wrong", [{"context": 10}, {"slots": 0}, {"batch": 4}, {"template_seconds": 0}, {"slot": 1}])
def test_a_bad_setting_of_the_table_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LlamaCppSettings(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"context": "4096"}, {"slots": True}, {"context": 10**20}, {"template_seconds": 1e300}]
)
def test_neither_text_nor_what_no_machine_has_is_taken(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LlamaCppSettings(**wrong)
