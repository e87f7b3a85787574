from __future__ import annotations

from jan_completions_llamacpp.shown import shown

from jan_core.schemas.completions import Token


def test_a_piece_is_text_or_bytes() -> None:
    assert shown({"id": 7, "piece": " é"}) == Token(id=7, text=" é", bytes=[32, 0xC3, 0xA9])
    assert shown({"id": 8, "piece": [0xC3]}) == Token(id=8, text="�", bytes=[0xC3])
    assert shown({"id": 9, "piece": ""}) == Token(id=9, text="", bytes=[])
