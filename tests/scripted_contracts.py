"""The contracts, as the scripted engine and the models in memory are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from jan_core.testing.contract.chat import ChatContract
from jan_core.testing.contract.completions import CompletionsContract
from jan_core.testing.contract.models import ModelsContract
from jan_core.testing.memory import names_of


class ChatByScript(ChatContract):
    """Talks to the scripted engine."""

    endless: ClassVar[str] = json.dumps({"say": ["once ", "upon ", "a ", "time "], "rate": 1000, "hang": True})


class ModelsByName(ModelsContract):
    """Models that are names only, of every form that an id has."""

    names: ClassVar[tuple[str, ...]] = (*ModelsContract.names, "owner/delta:q8")

    def put(self, root: Path, model: str, version: int = 0) -> None:
        """See `ModelsContract`."""
        names_of(root)[model] = "scripted"
        names_of(root).versions[model] = version

    def take(self, root: Path, model: str) -> None:
        """See `ModelsContract`."""
        del names_of(root)[model]
        names_of(root).damaged.discard(model)

    def damage(self, root: Path, model: str) -> None:
        """See `ModelsContract`."""
        names_of(root).damaged.add(model)


class CompletionsByScript(CompletionsContract):
    """Has the scripted engine say its prompts."""

    endless: ClassVar[str] = ChatByScript.endless
