"""What a worker for embeddings is told; the settings that all workers share are tried with the settings."""

from __future__ import annotations

from typing import Any

import pytest
from jan_llamacpp.parameters import EMBEDDINGS, load_parameters, makes_vectors_only
from jan_llamacpp.settings import LlamaCppSettings

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.models import ModelLocation


def location(settings: dict[str, Any] | None = None, **metadata: Any) -> ModelLocation:
    return ModelLocation(id="m", path="/m.gguf", size=1, revision="1", settings=settings or {}, metadata=metadata)


def given(model: ModelLocation, purpose: str = EMBEDDINGS) -> dict[str, Any]:
    return load_parameters(model, LlamaCppSettings(context=2048), purpose)


def test_a_text_fits_one_batch() -> None:
    found = given(location(context_length=512))
    assert (found["context"], found["batch"], found["pooling"]) == (512, 512, "mean")
    text = given(location(context_length=512), "")
    assert (text["batch"], text["pooling"]) == (24, None)


@pytest.mark.parametrize(
    ("settings", "header", "wanted"),
    [
        ({}, None, "mean"),
        ({}, 0, "mean"),
        ({}, 1, "mean"),
        ({}, 2, "cls"),
        ({}, 3, "last"),
        ({"pooling": "cls"}, 3, "cls"),
        ({"pooling": None}, 3, "last"),
    ],
)
def test_the_pooling(settings: dict[str, Any], header: int | None, wanted: str) -> None:
    assert given(location(settings, **({} if header is None else {"pooling_type": header})))["pooling"] == wanted


def test_models_that_make_no_vectors() -> None:
    for model in (location(pooling_type=4), location({"embedding": False})):
        with pytest.raises(NotSupported) as caught:
            given(model)
        assert (caught.value.param, caught.value.code) == ("model", "no_embeddings")


def test_models_that_make_nothing_else() -> None:
    for model in (location(pooling_type=1), location({"embedding": True}), location(pooling_type=4)):
        assert makes_vectors_only(model)
        with pytest.raises(NotSupported, match="/v1/embeddings") as caught:
            given(model, "")
        assert caught.value.code == "embedding_model"
    for model in (location(), location(pooling_type=0), location({"embedding": False}, pooling_type=1)):
        assert not makes_vectors_only(model)
        assert given(model, "")["pooling"] is None


@pytest.mark.parametrize("settings", [{"pooling": "none"}, {"pooling": "rank"}, {"pooling": 1}, {"embedding": "yes"}])
def test_bad_settings_are_told(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(settings))) as caught:
        given(location(settings), EMBEDDINGS if "pooling" in settings else "")
    assert caught.value.code == "bad_model_settings"
