"""The table `[messages-json]` of `jan.toml`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from jan_core.schemas.base import Described


class Settings(Described):
    """Settings of this module."""

    model_config = ConfigDict(strict=True, extra="forbid")

    append: Literal["in-place", "rewrite"] = "in-place"
    """How a message is added. `in-place` writes at the end of `messages.json`, at a cost that does not grow with it.
    `rewrite` writes the whole file under another name and renames it: for network drives and folders that a cloud
    service keeps in step."""
