from __future__ import annotations

from typing import Any

import pytest
from jan_upstreams.settings import UpstreamSettings, UpstreamsSettings
from pydantic import ValidationError


def test_an_upstream_is_called_by_its_name_or_its_place() -> None:
    one = UpstreamSettings(url="http://gpu1:8000/v1/")
    assert (one.url, one.shown, one.weight, one.models) == ("http://gpu1:8000/v1", "gpu1:8000", 1, None)
    assert UpstreamSettings(url="https://api.example.com/v1", name="far").shown == "far"


@pytest.mark.parametrize(
    "given",
    [
        {"url": "gpu1:8000"},
        {"url": "ftp://gpu1"},
        {"url": "http://"},
        {"url": "http://gpu1:0"},
        {"url": "http://gpu1:99999"},
        {"url": "http://[::1"},
        {"url": "http://me:secret@gpu1"},
        {"url": "http://gpu1/v1?a=b"},
        {"url": "http://gpu1/v1#a"},
        {"url": "http://gpu1", "weight": 0},
        {"url": "http://gpu1", "weight": float("inf")},
        {"url": "http://gpu1", "key_env": "A", "key_file": "b"},
        {"url": "http://gpu1", "key": "secret"},
        {"url": "http://gpu1", "models": []},
        {"url": "http://gpu1", "name": "a b"},
        {"url": "http://gpu1", "first_seconds": 0},
        {},
    ],
)
def test_what_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UpstreamSettings.model_validate(given)


def test_two_of_one_name_are_refused() -> None:
    one = {"url": "http://gpu1:8000/v1"}
    with pytest.raises(ValidationError, match="different names"):
        UpstreamsSettings.model_validate({"upstreams": [one, one]})
    named = [{**one, "name": "a"}, {**one, "name": "b"}]
    assert len(UpstreamsSettings.model_validate({"upstreams": named}).upstreams) == 2
