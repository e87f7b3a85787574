"""The backend: ctransformers as an engine, shared by every module that asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jan_workers import WorkerEngine

from jan_ctransformers.parameters import load_parameters
from jan_ctransformers.settings import CTransformersSettings

if TYPE_CHECKING:
    from jan_core.schemas.engines import Estimate
    from jan_core.schemas.models import ModelLocation

_REASONS = ("error", "invalid", "failed", "unknown tensor", "wrong size", "wrong shape", "not supported", "Assertion")


class CTransformers(WorkerEngine):
    """ctransformers: opens GGML files of many model types, and early GGUF files. One request at a time a model."""

    name: ClassVar[str] = "jan-ctransformers"
    settings_model: ClassVar[type[CTransformersSettings]] = CTransformersSettings
    engine: ClassVar[str] = "ctransformers"
    worker: ClassVar[str] = "jan_ctransformers.worker"

    @property
    def check_seconds(self) -> float:
        """See `WorkerEngine`: here it is the chat template that is looked at."""
        return float(self.settings.template_seconds)

    def parameters(self, location: ModelLocation, purpose: str = "") -> dict[str, Any]:
        """See `WorkerEngine`."""
        return load_parameters(location, self.settings)

    def defaults(self, location: ModelLocation) -> Mapping[str, Any]:
        """See `Engine`."""
        from jan_ctransformers.generation import Sampling

        own = Sampling()
        return {
            name: getattr(own, name) for name in ("temperature", "top_k", "top_p", "repeat_penalty", "repeat_last_n")
        }

    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        """See `Engine`."""
        from jan_ctransformers.estimate import estimate

        return estimate(location, self.parameters(location, purpose))

    def explain(self, lines: Sequence[str]) -> str | None:
        """See `WorkerEngine`. The library begins a line with the name of the function that wrote it."""
        said = next((line for line in lines if any(word in line for word in _REASONS)), None)
        return said.split("_load: ", 1)[-1].strip() if said else None
