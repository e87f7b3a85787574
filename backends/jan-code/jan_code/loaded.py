"""The code of an assistant as the server knows it: what it has told, its processes, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter

from jan_core.errors import InvalidRequest, JanError
from jan_core.schemas.tools import FunctionName

if TYPE_CHECKING:
    from jan_code.process import CodeProcess
    from jan_code.source import Source


LONGEST = 2000
"""Characters of an error that the code tells of."""


class BrokenCode(InvalidRequest):
    """The code of an assistant cannot be loaded; the message names file and line."""

    code = "broken_code"


class RunFailed(JanError):
    """The own `run` of an assistant failed, or was ended; the message says why, and where."""

    status = 500
    code = "own_run_failed"


@dataclass(frozen=True)
class CodeTool:
    """A function of an assistant's code, as a tool.

    Attributes:
        name: what it is called by.
        description: what it does, for the model to read.
        parameters: the JSON schema of its arguments.
    """

    name: FunctionName
    description: str
    parameters: dict[str, Any]


TOLD: TypeAdapter[tuple[list[CodeTool], list[str], bool]] = TypeAdapter(
    tuple[list[CodeTool], list[str], bool], config=ConfigDict(defer_build=True)
)
"""What a process tells of the code that it has loaded. The code may have told it instead."""


@dataclass(eq=False)
class Running:
    """A process of an assistant's code in use, or the place of one.

    Attributes:
        lock: held while something is asked of the process.
        process: the process; None where none runs.
        private: the folder of its own.
        source: what its tools were told from.
        tools: its tools.
        own_run: whether it has a `run`.
        timer: ends the process when it has been idle for long enough.
        calls: how many there were.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: CodeProcess | None = None
    private: str = ""
    source: Source | None = None
    tools: tuple[CodeTool, ...] = ()
    own_run: bool = False
    timer: asyncio.TimerHandle | None = None
    calls: int = 0


@dataclass(eq=False)
class Places:
    """Where the own runs of an assistant go on: each in a process for itself.

    Attributes:
        room: as many as may go on at once.
        free: those where none goes on.
    """

    room: asyncio.Semaphore
    free: list[Running]


def check_ended(answer: Mapping[str, Any], number: int) -> None:
    """Return where an own run went well, by what its process said last.

    Raises:
        RunFailed: it did not.
    """
    if answer.get("number") == number and answer.get("output") == "":
        return
    where = f" ({answer['file']}, line {answer.get('line')})" if answer.get("file") else ""
    told = storable(f"{answer.get('error')}{where}"[:LONGEST])
    raise RunFailed(f"The assistant's own run failed: {told}.")


def broken_code(source: Source, broken: Any) -> BrokenCode:
    """What is wrong with code that could not be loaded, by what its process said."""
    told = broken if isinstance(broken, dict) else {}
    place = told.get("file") or source.index
    line = f":{told['line']}" if told.get("line") else ""
    hint = ""
    if str(told.get("error", "")).startswith(("ModuleNotFoundError", "Error: Cannot find ")):
        asked = "pyproject.toml" if source.node is None else "package.json"
        hint = f" `jan assistants install {source.assistant_id}` installs what its {asked} names."
    why = storable(f"{place}{line}: {told.get('error')}")
    return BrokenCode(f"The code of the assistant cannot be used: {why}.{hint}")


def storable(text: str) -> str:
    """A text of a process without halves of characters of UTF-16, which JSON can have and nothing can store."""
    return text.encode("utf-8", "replace").decode()
