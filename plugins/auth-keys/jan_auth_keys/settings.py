"""The table `[auth-keys]` of `jan.toml`."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class Settings(Described):
    """Settings of this plugin."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: str = Field(default="keys.toml", pattern=r"^[^\x00]+$")
    """The file of the keys. `~` is the home folder, and a path that does not begin at the top begins in the root."""

    def path(self, root: Path) -> str:
        """Where the file is, in an app of this root."""
        return os.path.join(root, os.path.expanduser(self.file))
