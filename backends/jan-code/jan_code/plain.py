"""What a function gave, as text. Standard library only."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
from typing import Any


def text_of(value: Any) -> str:
    """What a function gave, as text for the model: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple | types.GeneratorType):
        return list(value)
    return str(value)
