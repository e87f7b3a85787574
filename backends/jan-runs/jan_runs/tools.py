"""Tools that run here, for an assistant that has its own; the client's tools are none of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jan_core.schemas.tools import AssistantFunctionTool


class Toolbox(ABC):
    """The tools of assistants that are carried out on this machine, so that no client is asked for their output."""

    @abstractmethod
    async def tools(self, assistant_id: str) -> Sequence[AssistantFunctionTool]:
        """What an assistant's own tools are, by name and JSON schema. Nothing where it has none.

        A run gets them besides those that it was given, when it is created; of two with one name, its own counts.
        """

    @abstractmethod
    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        """Carry out one call, and return what the model is to read of it, also where the call failed.

        Args:
            assistant_id: whose tool it is.
            name: the tool, one of those that `tools` told.
            arguments: what the model wrote: JSON, perhaps invalid.

        Raises:
            JanError: the tool cannot be had at all; the run fails with it.
        """
