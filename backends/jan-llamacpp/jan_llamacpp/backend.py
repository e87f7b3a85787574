"""The backend: llama.cpp as an engine, shared by every module that asks it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jan_workers import WorkerEngine

from jan_llamacpp.parameters import EMBEDDINGS, load_parameters
from jan_llamacpp.settings import LlamaCppSettings

if TYPE_CHECKING:
    from jan_core.schemas.engines import Estimate
    from jan_core.schemas.models import ModelLocation

_STAMP = re.compile(r"^[ 0-9.]*\bE (?:\w+: )*(?:error: )?")
"""What the engine puts before the text of an error in its log: a time, a level, a function."""


class LlamaCpp(WorkerEngine):
    """llama.cpp: opens GGUF files."""

    name: ClassVar[str] = "jan-llamacpp"
    settings_model: ClassVar[type[LlamaCppSettings]] = LlamaCppSettings
    engine: ClassVar[str] = "llamacpp"
    worker: ClassVar[str] = "jan_llamacpp.worker"
    purposes: ClassVar[tuple[str, ...]] = ("", EMBEDDINGS)

    @property
    def check_seconds(self) -> float:
        """See `WorkerEngine`: here it is the chat template that is looked at."""
        return float(self.settings.template_seconds)

    def parameters(self, location: ModelLocation, purpose: str = "") -> dict[str, Any]:
        """See `WorkerEngine`."""
        return load_parameters(location, self.settings, purpose)

    def defaults(self, location: ModelLocation) -> Mapping[str, Any]:
        """See `Engine`."""
        from jan_llamacpp.sampling import DEFAULTS

        return DEFAULTS

    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        """See `Engine`."""
        from jan_llamacpp.estimate import estimate

        return estimate(location, self.parameters(location, purpose))

    def explain(self, lines: Sequence[str]) -> str | None:
        """See `WorkerEngine`."""
        said = [line for line in lines if " E " in line or "error" in line.lower()]
        return _STAMP.sub("", said[0]).strip() if said else None
