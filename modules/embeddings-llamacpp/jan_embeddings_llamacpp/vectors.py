"""From the engine's vectors to the caller's."""

from __future__ import annotations

import base64
import math
import sys
from array import array

from jan_core.errors import EngineError


def written(vector: str, dimensions: int | None, form: str | None) -> list[float] | str:
    """A vector in the form that was asked for.

    Args:
        vector: the engine's, of length 1: base64 of 32-bit floats, little-endian.
        dimensions: how many numbers it is to have, 1 up to those it has; None leaves all.
        form: `float`, `base64` or None, which is `float`.

    Raises:
        EngineError: the engine made numbers that are none, or a vector without a direction.
    """
    numbers = array("f", base64.b64decode(vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    length = math.hypot(*numbers)
    if not math.isfinite(length) or length == 0:
        raise EngineError("The engine made a vector without a direction for a text.", code="bad_vector")
    if dimensions is not None and dimensions < len(numbers):
        del numbers[dimensions:]
        length = math.hypot(*numbers)
        # A cut vector may be nothing but zeros, and then has no length to be brought to 1.
        numbers = array("f", (number / length for number in numbers)) if length else numbers
    elif form == "base64":
        return vector
    if form != "base64":
        return numbers.tolist()
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
