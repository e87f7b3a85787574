"""The Jan in front: what its `jan.toml` says of upstreams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.upstreams.process import Upstream

PATIENCE: dict[str, Any] = {"connect_seconds": 2, "first_seconds": 1.5, "silence_seconds": 1.5}
"""Times that are short, for tests of what takes too long."""

MODULES = {"chat": "chat-openai", "completions": "completions-openai", "embeddings": "embeddings-openai"}


def tables(*upstreams: Upstream | Mapping[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    """Tables of `jan.toml` for a Jan that asks these upstreams for all answers.

    Args:
        upstreams: each as it is described, or as it runs.
        settings: of the backend, besides.
    """
    described = [{"url": one.url} if isinstance(one, Upstream) else dict(one) for one in upstreams]
    return {"endpoints": dict(MODULES), "jan-upstreams": {"upstreams": described, **settings}}


def backend(*upstreams: Upstream | Mapping[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    """The same without what is chosen: the backend's table only."""
    return {name: values for name, values in tables(*upstreams, **settings).items() if name != "endpoints"}


def write(root: Path, *upstreams: Upstream | Mapping[str, Any], **settings: Any) -> Path:
    """A root whose `jan.toml` has these tables."""
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for table, values in tables(*upstreams, **settings).items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {toml(value)}" for key, value in values.items()]
    (root / "jan.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return root


def toml(value: Any) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)
