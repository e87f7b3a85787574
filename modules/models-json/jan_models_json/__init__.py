"""The models endpoint on a plain folder of GGUF files and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoints.models import Models


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[models-json]`."""
    from jan_models_json.settings import Settings

    return Settings


@hookimpl
def provide_models(settings: Any, jan: Jan) -> Models:
    """Return the models of the folder that the settings name, and those of assistants."""
    from jan_core.folder.layout import Layout
    from jan_models_json.store import ModelsJson

    return ModelsJson(settings.models_folder(jan.root), Layout(jan.root))


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Return the checks of the models' folder, and of those of assistants."""
    from jan_core.folder.layout import Layout
    from jan_models_json.doctor import checks
    from jan_models_json.places import AssistantsPlaces

    return checks(settings.models_folder(jan.root), AssistantsPlaces(Layout(jan.root)).folders)
