from __future__ import annotations

from jan_core.schemas.settings import SettingsLayer


def test_a_layer_is_a_place_and_what_is_set_there() -> None:
    layer = SettingsLayer(origin="model.json", values={"temperature": 0.5, "anything": {"x": [1]}})
    assert layer.model_dump() == {"origin": "model.json", "values": {"temperature": 0.5, "anything": {"x": [1]}}}
    assert SettingsLayer(origin="nowhere").values == {}
