from __future__ import annotations

import base64
import math
import struct

import pytest
from jan_embeddings_llamacpp.vectors import written

from jan_core.errors import EngineError


def coded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_the_forms() -> None:
    vector = coded(0.5, 0.5, 0.5, 0.5)
    assert written(vector, None, None) == written(vector, 4, "float") == [0.5] * 4
    assert written(vector, None, "base64") == vector
    assert written(vector, 2, None) == pytest.approx([math.sqrt(0.5)] * 2)
    assert written(vector, 1, "base64") == coded(1)


def test_what_is_cut_to_zeros_stays_zeros() -> None:
    assert written(coded(0, 0, 1), 2, None) == [0, 0]


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_vector_without_a_direction_is_the_engines_fault(numbers: tuple[float, ...]) -> None:
    with pytest.raises(EngineError):
        written(coded(*numbers), None, None)
