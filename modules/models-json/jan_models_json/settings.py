"""The table `[models-json]` of `jan.toml`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class Settings(Described):
    """Settings of this module."""

    model_config = ConfigDict(strict=True, extra="forbid")

    folder: str | None = Field(default=None, pattern=r"^[^\x00]+$")
    """Where the models' folders are; `models` in the root where it is left out. `~` is the home folder, and a path
    that does not begin at the top begins in the root."""

    def models_folder(self, root: Path) -> Path:
        """Return the absolute path of the folder."""
        return (root / Path(self.folder or "models").expanduser()).absolute()
