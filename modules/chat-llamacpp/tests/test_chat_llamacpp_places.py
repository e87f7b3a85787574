from __future__ import annotations

import pytest
from jan_chat_llamacpp.places import inside


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("tools", 0, "function"), "tools[0].function"),
        (("a b",), '["a b"]'),
        (("x", "$ref"), "x.$ref"),
        (("x", 'q"'), 'x["q\\""]'),
        (("x", "é"), 'x["é"]'),
        (("x", "y" * 100), 'x["' + "y" * 40 + '…"]'),
        (("x", ""), 'x[""]'),
    ],
)
def test_a_place_is_told_key_by_key(keys: tuple[str | int, ...], place: str) -> None:
    assert inside("", *keys) == place
