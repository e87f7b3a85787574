"""Tools that run here, for an assistant that has its own; the client's tools are none of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override

from jan_core.schemas.tools import AssistantFunction, AssistantFunctionTool

if TYPE_CHECKING:
    from jan_code.backend import Code
    from jan_code.conversation import Begins, Said, Stepped, Used
    from jan_code.loaded import CodeTool

    from jan_core.schemas.runs import Run

    OwnEvent: TypeAlias = Begins | Said | Stepped | Used


class Toolbox(ABC):
    """The tools of assistants that are carried out on this machine, so that no client is asked for their output."""

    @abstractmethod
    async def tools(self, assistant_id: str) -> Sequence[AssistantFunctionTool]:
        """What an assistant's own tools are, by name and JSON schema. Nothing where it has none.

        A run gets them besides those that it was given, whenever it goes on; of two with one name, the given one
        counts, so that the client is asked for its output.

        Raises:
            JanError: they cannot be had; a run of the assistant fails with it.
        """

    @abstractmethod
    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        """Carry out one call, and return what the model is to read of it, also where the call failed.

        Cancelling it ends what it is at.

        Args:
            assistant_id: whose tool it is.
            name: the tool, one of those that `tools` told.
            arguments: what the model wrote: JSON, perhaps invalid.

        Raises:
            JanError: the tool cannot be had at all; the run fails with it.
        """

    async def has_run(self, assistant_id: str) -> bool:
        """Whether an assistant has a `run` of its own, which takes the place of the model. Not unless this says so.

        Raises:
            JanError: as `tools`.
        """
        return False

    async def has(self, assistant_id: str) -> tuple[bool, Sequence[AssistantFunctionTool]]:
        """What `has_run` and `tools` tell, at once.

        Raises:
            JanError: as `tools`.
        """
        return await self.has_run(assistant_id), await self.tools(assistant_id)

    def run(self, assistant_id: str, context: Mapping[str, Any]) -> AsyncGenerator[OwnEvent]:
        """Carry out an assistant's own `run`; asked for where `has_run`. See `jan_code.backend.Code.run`."""
        raise NotImplementedError


class CodeTools(Toolbox):
    """The functions in the assistants' folders.

    Args:
        code: loads and calls them.
    """

    def __init__(self, code: Code) -> None:
        self._code = code

    @override
    async def tools(self, assistant_id: str) -> Sequence[AssistantFunctionTool]:
        return _tools(await self._code.tools(assistant_id))

    @override
    async def call(self, assistant_id: str, name: str, arguments: str) -> str:
        return await self._code.call(assistant_id, name, arguments)

    @override
    async def has_run(self, assistant_id: str) -> bool:
        return await self._code.has_run(assistant_id)

    @override
    async def has(self, assistant_id: str) -> tuple[bool, Sequence[AssistantFunctionTool]]:
        own_run, tools = await self._code.has(assistant_id)
        return own_run, _tools(tools)

    @override
    def run(self, assistant_id: str, context: Mapping[str, Any]) -> AsyncGenerator[OwnEvent]:
        return self._code.run(assistant_id, context)


def _tools(found: Sequence[CodeTool]) -> list[AssistantFunctionTool]:
    return [
        AssistantFunctionTool(
            type="function",
            function=AssistantFunction(name=one.name, description=one.description, parameters=one.parameters),
        )
        for one in found
    ]


def not_given(run: Run, tools: Sequence[AssistantFunctionTool]) -> list[AssistantFunctionTool]:
    """The tools that a run's assistant has itself, but for those whose name the run was given a tool of."""
    given = {tool.function.name for tool in run.tools if isinstance(tool, AssistantFunctionTool)}
    return [tool for tool in tools if tool.function.name not in given]
