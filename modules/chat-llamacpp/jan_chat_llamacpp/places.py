"""Where something stands in a request, as errors name it: `tools[0].function.parameters.properties["a b"]`."""

from __future__ import annotations

import json
import re

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)
_LONGEST = 40
"""Characters shown of a key."""


def inside(at: str, *keys: str | int) -> str:
    """The place of what is within a place, key by key."""
    for key in keys:
        if isinstance(key, int):
            at += f"[{key}]"
        elif _NAME.fullmatch(key) and len(key) <= _LONGEST:
            at += f".{key}" if at else key
        else:
            shown = key if len(key) <= _LONGEST else key[:_LONGEST] + "…"
            at += f"[{json.dumps(shown, ensure_ascii=False)}]"
    return at
